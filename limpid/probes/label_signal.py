"""P9 without training: do labels have anything to do with inputs? Neighbours and a linear map against the same labels
in another order.

With centred targets y (classes as one-hot columns) of unit spread,

    s_near   = mean of y_i . y_n(i)     with n(i) the nearest other row
    s_linear = mean of y_i . f(x_i)     with f a ridge regression that has not seen row i (two halves)

and z = (s - mean of s over permuted labels) / their deviation. The Gram matrix of the rows serves both.

Source: permutation test of Ojala and Garriga 2010; 1-NN agreement as in USERS' catalogue, D07.

Shapes: N rows, F numbers of a row, K columns of the target, P permutations.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.data.dataset import Split
from limpid.probes.flat_rows import choose_rows, flat_rows
from limpid.probes.subject import Subject
from limpid.spec import DataSpec

NEAR_ROWS, LINEAR_ROWS, LEAST_ROWS = 1200, 20_000, 30
MOST_PLACES = 130_000  # rows times numbers of a row: 500 pictures of 16 x 16, or 6,500 rows of 20 columns; 10 to 20 ms
PERMUTATIONS = 20
MOST_COLUMNS = 2000  # of all permuted targets together; many classes get fewer permutations
RIDGE = 0.1  # share of the mean squared norm of a row, times the number of rows / 100
FARTHEST = 5.0  # deviations at which a number of the target is cut, so that no row decides alone


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """{rows, near, near_z, linear, linear_z}; None where inputs or labels have no plain form."""
    dataset, spec = subject.dataset, subject.spec
    if dataset is None or spec is None or spec.task == "tokens":
        return None
    rows_NF, position_N = sample_rows(dataset.train, spec)
    if rows_NF is None or len(rows_NF) < LEAST_ROWS:
        return None
    return label_signal(rows_NF, target_columns(dataset.train.target[position_N].cpu(), spec))


def sample_rows(split: Split, spec: DataSpec) -> tuple[Tensor | None, Tensor]:
    """Standardised rows, fewer when they are long, and which rows of the split they are."""
    probe = flat_rows(split, spec, torch.arange(min(len(split), 1)))
    if probe is None or len(split) == 0:
        return None, torch.zeros(0, dtype=torch.int64)
    position_N = choose_rows(split, min(LINEAR_ROWS, max(500, MOST_PLACES // max(1, probe.shape[1]))))
    rows_NF = flat_rows(split, spec, position_N)
    return (None if rows_NF is None else standardised(rows_NF)), position_N


def standardised(rows_NF: Tensor) -> Tensor:
    """Rows of mean 0 and deviation 1 in every column, cut at 10; constant columns become 0."""
    mean_F, std_F = rows_NF.mean(0), rows_NF.std(0, correction=0)
    scale_F = torch.where(std_F > 1e-7 * (mean_F.abs() + 1e-30), 1 / std_F, 0.0)
    return ((rows_NF - mean_F) * scale_F).clamp_(-10, 10)


def target_columns(target: Tensor, spec: DataSpec) -> Tensor:
    """float32 (N, K), centred: classes as one-hot columns, labels and numbers as they are with deviation 1."""
    if spec.task == "classification":
        columns = torch.nn.functional.one_hot(target.long().flatten(), spec.num_outputs).float()
        return columns - columns.mean(0)
    columns = target.float().reshape(len(target), -1)
    columns = columns - columns.mean(0)
    return (columns / columns.std(0, correction=0).clamp_min(1e-30)).clamp(-FARTHEST, FARTHEST)


def label_signal(rows_NF: Tensor, target_NK: Tensor) -> dict[str, Any]:
    """The statistics at the head of this file, of standardised rows and centred target columns."""
    size, width = target_NK.shape
    draw = torch.Generator().manual_seed(0)
    num = max(5, min(PERMUTATIONS, MOST_COLUMNS // width))
    orders = [torch.arange(size), *(torch.randperm(size, generator=draw) for _ in range(num))]
    versions_NPK = torch.stack([target_NK[order] for order in orders], dim=1)
    shuffled_N = torch.randperm(size, generator=draw)
    some_M = shuffled_N[:NEAR_ROWS]
    asking = versions_NPK[some_M]
    near_P = (asking * asking[_nearest(rows_NF[some_M])]).sum(2).mean(0)
    halves = shuffled_N[: size // 2], shuffled_N[size // 2 :]
    linear_P = torch.zeros(num + 1)
    for learn, rest in (halves, halves[::-1]):
        answers = _ridge(rows_NF[learn], versions_NPK[learn].flatten(1), rows_NF[rest])
        linear_P += (versions_NPK[rest] * answers.view(len(rest), num + 1, width)).sum((0, 2)) / size
    return {
        "rows": size,
        "near": near_P[0].item(),
        "near_z": _deviations(near_P),
        "linear": linear_P[0].item(),
        "linear_z": _deviations(linear_P),
    }


def _nearest(rows_MF: Tensor) -> Tensor:
    distance_MM = torch.addmm(rows_MF.square().sum(1).expand(len(rows_MF), -1), rows_MF, rows_MF.T, alpha=-2)
    return distance_MM.fill_diagonal_(torch.inf).argmin(1)


def _ridge(rows_NF: Tensor, target_NY: Tensor, asking_MF: Tensor) -> Tensor:
    """(M, Y) answers X_M X' (X X' + r I)^-1 Y, or the same by features where these are fewer."""
    size, width = rows_NF.shape
    penalty = RIDGE * float(rows_NF.square().sum(1).mean()) * max(1.0, size / 100) + 1e-6
    if width <= size:
        moment = rows_NF.T @ rows_NF
        moment.diagonal().add_(penalty)
        return asking_MF @ torch.cholesky_solve(rows_NF.T @ target_NY, torch.linalg.cholesky(moment))
    gram = rows_NF @ rows_NF.T
    gram.diagonal().add_(penalty)
    return (asking_MF @ rows_NF.T) @ torch.cholesky_solve(target_NY, torch.linalg.cholesky(gram))


def _deviations(score_P: Tensor) -> float:
    """How many deviations of the permuted scores the first one lies above their mean."""
    rest = score_P[1:]
    return ((score_P[0] - rest.mean()) / rest.std().clamp_min(1e-12)).item()
