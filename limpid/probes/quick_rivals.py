"""P10 in miniature, part of every training: constant answer, linear map and nearest neighbours on a few hundred rows.

Sources: Karpathy 2019 ("dumb baselines"); the linear map is a ridge regression on one-hot targets (Hastie et al.,
Elements of Statistical Learning, 4.2).

Shapes: N training rows, M validation rows, F numbers of a row, K classes, labels or targets.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.probes.flat_rows import choose_rows, flat_rows
from limpid.probes.rival_score import score_rivals
from limpid.probes.subject import Subject

TRAIN_ROWS, VALID_ROWS = 600, 600
NEIGHBOURS = 5
RIDGE = 0.01  # share of the mean squared norm of a row, added to the diagonal


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """{score, n, rows, best, rivals: {name: {score, low, high}}}; None where these rivals cannot answer the task."""
    dataset, spec = subject.dataset, subject.spec
    if dataset is None or dataset.valid is None or spec is None or subject.objective is None:
        return None
    train_N, valid_M = choose_rows(dataset.train, TRAIN_ROWS), choose_rows(dataset.valid, VALID_ROWS)
    inputs, asked = flat_rows(dataset.train, spec, train_N), flat_rows(dataset.valid, spec, valid_M)
    if inputs is None or asked is None:
        return None
    target_NK = as_columns(dataset.train.target[train_N].cpu(), spec.task, spec.num_outputs)
    inputs, asked = standardise(inputs, asked)
    answers = {
        "constant": target_NK.mean(0).expand(len(asked), -1),
        "linear": linear_answers(inputs, target_NK, asked),
        "neighbours": neighbour_answers(inputs, target_NK, asked),
    }
    return score_rivals(answers, dataset.valid.target[valid_M].cpu(), spec.task, rows=len(train_N))


def as_columns(target: Tensor, task: str, num_outputs: int) -> Tensor:
    """Targets as float32 (N, K): one column for each class, label or number."""
    if task == "classification":
        return F.one_hot(target, num_outputs).float()
    return target.float().reshape(len(target), -1)


def standardise(inputs_NF: Tensor, asked_MF: Tensor) -> tuple[Tensor, Tensor]:
    """Both with mean 0 and deviation 1 by the columns of the first; columns that are constant there become 0."""
    mean_F, std_F = inputs_NF.mean(0), inputs_NF.std(0, correction=0)
    scale_F = torch.where(std_F > 1e-7 * (mean_F.abs() + 1e-30), 1 / std_F, 0.0)
    return (inputs_NF - mean_F) * scale_F, ((asked_MF - mean_F) * scale_F).clamp(-10, 10)


def linear_answers(inputs_NF: Tensor, target_NK: Tensor, asked_MF: Tensor) -> Tensor:
    """(M, K): ridge regression, in whichever of its two forms has the smaller matrix."""
    mean_K = target_NK.mean(0)
    size, width = inputs_NF.shape
    penalty = RIDGE * inputs_NF.pow(2).sum().item() / max(min(size, width), 1) + 1e-6
    if width <= size:
        gram = inputs_NF.T @ inputs_NF + penalty * torch.eye(width)
        return asked_MF @ _solve(gram, inputs_NF.T @ (target_NK - mean_K)) + mean_K
    gram = inputs_NF @ inputs_NF.T + penalty * torch.eye(size)
    return asked_MF @ (inputs_NF.T @ _solve(gram, target_NK - mean_K)) + mean_K


def _solve(gram: Tensor, right: Tensor) -> Tensor:
    """The solution for a symmetric matrix with a positive diagonal added."""
    return torch.cholesky_solve(right, torch.linalg.cholesky(gram))


def neighbour_answers(inputs_NF: Tensor, target_NK: Tensor, asked_MF: Tensor) -> Tensor:
    """(M, K): mean target of the nearest training rows."""
    nearest = torch.cdist(asked_MF, inputs_NF).topk(min(NEIGHBOURS, len(inputs_NF)), largest=False).indices
    return target_NK[nearest].mean(1)
