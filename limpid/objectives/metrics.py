"""Figures of merit as pure functions of tensors; each returns a Python float unless it says otherwise.

A figure that the data do not define (the AUC of one class, R^2 of a constant) is NaN, not an error.

Shapes: B samples, K classes, L labels, T targets.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

NAN = math.nan

LOWER_IS_BETTER = frozenset({"loss", "log_loss", "top5_error", "rmse", "mae", "perplexity"})


def accuracy(prediction: Tensor, target: Tensor) -> float:
    """Share of equal entries: of samples, or of all (sample, label) pairs."""
    return (prediction == target).double().mean().item()


def top_k_error(scores_BK: Tensor, target_B: Tensor, k: int) -> float:
    """Share of samples whose true class is not among the k highest scores."""
    best_Bk = scores_BK.topk(k, dim=1).indices
    return 1.0 - (best_Bk == target_B[:, None]).any(dim=1).double().mean().item()


def confusion_matrix(prediction_B: Tensor, target_B: Tensor, num_classes: int) -> Tensor:
    """(K, K) int64 counts: row is the true class, column the predicted one."""
    cells = target_B.long() * num_classes + prediction_B.long()
    return torch.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def precision_recall_f1(confusion_KK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Per class, from a confusion matrix; an empty denominator gives 0 for precision and F1, NaN for recall."""
    hits_K = confusion_KK.diagonal().double()
    truth_K, guess_K = confusion_KK.sum(dim=1).double(), confusion_KK.sum(dim=0).double()
    precision_K = hits_K / guess_K.clamp(min=1)
    recall_K = hits_K / truth_K
    f1_K = 2 * hits_K / (truth_K + guess_K).clamp(min=1)
    return precision_K, recall_K, f1_K


def balanced_accuracy(confusion_KK: Tensor) -> float:
    """Mean recall over the classes that occur."""
    return precision_recall_f1(confusion_KK)[1].nanmean().item()


def macro_f1(confusion_KK: Tensor) -> float:
    """Mean F1 over the classes that occur, in truth or in prediction."""
    occurs_K = confusion_KK.sum(dim=0) + confusion_KK.sum(dim=1) > 0
    return precision_recall_f1(confusion_KK)[2][occurs_K].mean().item()


def f1(prediction: Tensor, target: Tensor) -> float:
    """2 hits / (2 hits + misses + false alarms) of the positive class; 0 when there is neither truth nor claim."""
    hits = (prediction.bool() & target.bool()).sum().item()
    claims = prediction.bool().sum().item() + target.bool().sum().item()
    return 2 * hits / claims if claims else 0.0


def auc(score_B: Tensor, target_B: Tensor) -> float:
    """Area under the ROC curve: how often a positive outranks a negative, ties counting half.

    (sum of the positives' ranks - n (n + 1) / 2) / (n m)      n positives, m negatives, mean rank among ties
    """
    positive_B = target_B.bool().flatten()
    n = int(positive_B.sum().item())
    m = positive_B.numel() - n
    if n == 0 or m == 0:
        return NAN
    _, group_B, size_G = torch.unique(score_B.flatten(), return_inverse=True, return_counts=True)
    rank_G = size_G.cumsum(0).double() - (size_G.double() - 1) / 2
    return ((rank_G[group_B][positive_B].sum().item()) - n * (n + 1) / 2) / (n * m)


def log_loss(logits_BK: Tensor, target_B: Tensor) -> float:
    """Mean -ln p of the true class, from logits, in nats."""
    return torch.nn.functional.cross_entropy(logits_BK.double(), target_B).item()


def binary_log_loss(logits: Tensor, target: Tensor) -> float:
    """Mean -(t ln p + (1 - t) ln(1 - p)) over all entries, from logits, in nats."""
    return torch.nn.functional.binary_cross_entropy_with_logits(logits.double(), target.double()).item()


def r2(prediction_BT: Tensor, target_BT: Tensor) -> float:
    """1 - squared error / squared deviation from the mean, averaged over targets; NaN where a target is constant."""
    error_T = (prediction_BT.double() - target_BT.double()).square().sum(dim=0)
    spread_T = (target_BT.double() - target_BT.double().mean(dim=0)).square().sum(dim=0)
    return torch.where(spread_T > 0, 1 - error_T / spread_T, NAN).mean().item()


def rmse(prediction_BT: Tensor, target_BT: Tensor) -> float:
    """Root of the mean squared error, in the target's units, averaged over targets."""
    return (prediction_BT.double() - target_BT.double()).square().mean(dim=0).sqrt().mean().item()


def mae(prediction_BT: Tensor, target_BT: Tensor) -> float:
    """Mean absolute error, in the target's units, averaged over targets."""
    return (prediction_BT.double() - target_BT.double()).abs().mean().item()
