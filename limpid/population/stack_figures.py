"""The figures of merit of many members on the same rows, in one pass: those of objectives/objective.py.

A pass over each member's few hundred rows costs as much in calls as in arithmetic: for twenty-five small networks half
as long as their training epoch.

Shapes: M members, N rows, K classes, T regression targets.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from limpid.objectives.objective import Binary, Classification, Objective, Regression


def figures_of(objective: Objective, outputs_MNK: Tensor, target: Tensor) -> list[dict[str, float]]:
    """`objective.metrics` of every member's outputs."""
    if isinstance(objective, Classification):
        columns = _of_classes(objective, outputs_MNK, target)
    elif isinstance(objective, Binary):
        columns = _of_yes_or_no(objective, outputs_MNK.squeeze(2), target.squeeze(1))
    elif isinstance(objective, Regression):
        columns = _of_numbers(objective, outputs_MNK, target)
    else:
        return [objective.metrics(outputs_NK, target) for outputs_NK in outputs_MNK]
    rows = zip(*(column_M.tolist() for column_M in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _of_classes(objective: Classification, outputs_MNK: Tensor, target_N: Tensor) -> dict[str, Tensor]:
    num_classes = objective.num_classes
    guess_MN = outputs_MNK.argmax(dim=2)
    confusion_MKK = _confusion(guess_MN, target_N, num_classes)
    hits_MK = confusion_MKK.diagonal(dim1=1, dim2=2)
    truth_MK, claimed_MK = confusion_MKK.sum(dim=2), confusion_MKK.sum(dim=1)
    f1_MK = 2 * hits_MK / (truth_MK + claimed_MK).clamp(min=1)
    figures = {
        "accuracy": (guess_MN == target_N).double().mean(dim=1),
        "balanced_accuracy": (hits_MK / truth_MK).nanmean(dim=1),
        "macro_f1": f1_MK.masked_fill(truth_MK + claimed_MK == 0, math.nan).nanmean(dim=1),
        "log_loss": functional.cross_entropy(
            outputs_MNK.double().transpose(1, 2), target_N.expand(len(outputs_MNK), -1), reduction="none"
        ).mean(dim=1),
    }
    if num_classes > 5:
        best_MN5 = outputs_MNK.topk(5, dim=2).indices
        figures["top5_error"] = 1.0 - (best_MN5 == target_N[:, None]).any(dim=2).double().mean(dim=1)
    return figures


def _of_yes_or_no(objective: Binary, logits_MN: Tensor, target_N: Tensor) -> dict[str, Tensor]:
    guess_MN, truth_N = (logits_MN > 0).long(), target_N.long()
    confusion_M22 = _confusion(guess_MN, truth_N, 2)
    hits_M2 = confusion_M22.diagonal(dim1=1, dim2=2)
    positive_M, claimed_M = confusion_M22[:, 1].sum(dim=1), confusion_M22[:, :, 1].sum(dim=1)
    return {
        "accuracy": (guess_MN == truth_N).double().mean(dim=1),
        "balanced_accuracy": (hits_M2 / confusion_M22.sum(dim=2)).nanmean(dim=1),
        "f1": 2 * hits_M2[:, 1] / (positive_M + claimed_M).clamp(min=1),
        "auc": _auc(logits_MN, truth_N.bool()),
        "log_loss": functional.binary_cross_entropy_with_logits(
            logits_MN.double(), target_N.double().expand_as(logits_MN), reduction="none"
        ).mean(dim=1),
    }


def _of_numbers(objective: Regression, outputs_MNT: Tensor, target_NT: Tensor) -> dict[str, Tensor]:
    error_MNT = objective.predict(outputs_MNT).double() - target_NT.double()
    squared_MT = error_MNT.square().sum(dim=1)
    spread_T = (target_NT.double() - target_NT.double().mean(dim=0)).square().sum(dim=0)
    return {
        "r2": torch.where(spread_T > 0, 1 - squared_MT / spread_T, math.nan).mean(dim=1),
        "rmse": (squared_MT / len(target_NT)).sqrt().mean(dim=1),
        "mae": error_MNT.abs().mean(dim=1).mean(dim=1),
    }


def _confusion(guess_MN: Tensor, target_N: Tensor, num_classes: int) -> Tensor:
    """(M, K, K) counts as doubles: row is the true class, column the predicted one."""
    num_members, cells = len(guess_MN), num_classes**2
    first_M1 = torch.arange(0, num_members * cells, cells, device=guess_MN.device).unsqueeze(1)
    counts = torch.bincount((guess_MN + target_N * num_classes + first_M1).flatten(), minlength=num_members * cells)
    return counts.view(num_members, num_classes, num_classes).double()


def _auc(scores_MN: Tensor, positive_N: Tensor) -> Tensor:
    """How often a positive outranks a negative, ties counting half, from the ranks of the positives."""
    n = int(positive_N.sum())
    m = len(positive_N) - n
    if n == 0 or m == 0:
        return scores_MN.new_full((len(scores_MN),), math.nan)
    sorted_MN, scores_Mn = scores_MN.sort(dim=1).values, scores_MN[:, positive_N].contiguous()
    below_Mn = torch.searchsorted(sorted_MN, scores_Mn)
    up_to_Mn = torch.searchsorted(sorted_MN, scores_Mn, right=True)
    rank_Mn = (below_Mn + up_to_Mn + 1).double() / 2  # the mean among ties
    return (rank_Mn.sum(dim=1) - n * (n + 1) / 2) / (n * m)
