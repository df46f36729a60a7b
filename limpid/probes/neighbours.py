"""Nearest rows by squared Euclidean distance, exactly, block by block, in bounded memory.

    |a - b|^2 = |a|^2 - 2 a.b + |b|^2,   and once more from a - b for those that are kept, since the sum above loses
    the digits of small distances

Shapes: N rows to look among, M rows that ask, F numbers of a row, k neighbours, D directions.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK_VALUES = 40_000_000  # distances at a time: 160 MB
MOST_DIRECTIONS = 50  # longer rows are projected; MNIST keeps 83 % of its variance in as many


def nearest_rows(
    rows_NF: Tensor, k: int, *, asking_MF: Tensor | None = None, first: int = 0, last: int | None = None
) -> tuple[Tensor, Tensor]:
    """Distances, float32 (M, k) rising, and int64 (M, k) numbers of the k nearest rows; a row is not its own neighbour.

    Args:
        rows_NF: float32.
        asking_MF: other rows that ask; None: the rows ask about each other.
        first, last: which of those that ask; all by default.
    """
    asking = rows_NF if asking_MF is None else asking_MF
    last = len(asking) if last is None else last
    own = asking_MF is None
    k = min(k, len(rows_NF) - own)
    square_N = rows_NF.square().sum(1)
    distances, numbers = [], []
    for begin, end in _blocks(first, last, max(1, BLOCK_VALUES // max(1, len(rows_NF)))):
        part_BF = asking[begin:end]
        rest_BN = torch.addmm(square_N.expand(end - begin, -1), part_BF, rows_NF.T, alpha=-2)
        if own:
            rest_BN[torch.arange(end - begin), torch.arange(begin, end)] = torch.inf
        numbers_Bk = rest_BN.topk(k, largest=False).indices
        exact_Bk = torch.stack([(rows_NF[numbers_Bk[:, j]] - part_BF).square().sum(1) for j in range(k)], dim=1)
        exact_Bk, order_Bk = exact_Bk.sort(dim=1, stable=True)
        distances.append(exact_Bk.sqrt())
        numbers.append(numbers_Bk.gather(1, order_Bk))
    if not distances:
        return torch.zeros(0, k), torch.zeros(0, k, dtype=torch.int64)
    return torch.cat(distances), torch.cat(numbers)


def condensed(rows_NF: Tensor, directions: int = MOST_DIRECTIONS) -> Tensor:
    """float32 (N, D): the rows in their directions of largest variance, or centred as they are when they are short."""
    centred_NF = rows_NF - rows_NF.mean(0)
    if centred_NF.shape[1] <= directions:
        return centred_NF
    sample = centred_NF[:: max(1, len(centred_NF) // 20_000)]
    _, turned_FF = torch.linalg.eigh(sample.T @ sample)
    return centred_NF @ turned_FF[:, -directions:]


def votes(numbers_Nk: Tensor, label_N: Tensor, num_classes: int) -> Tensor:
    """float32 (N, K): the share of each class among the neighbours of a row."""
    shares_NK = torch.zeros(len(numbers_Nk), num_classes)
    return shares_NK.scatter_add_(1, label_N[numbers_Nk], torch.full(numbers_Nk.shape, 1 / numbers_Nk.shape[1]))


def _blocks(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    for begin in range(first, last, size):
        yield begin, min(begin + size, last)
