"""Equal and nearly equal rows: within a split, across splits, and with different labels.

Equal rows are found by a sum of their bytes, taken as 64-bit words w_i, with fixed random odd factors a_i,

    h = sum_i a_i w_i  mod 2^64

and compared byte by byte where h agrees. Nearly equal ones are nearer to each other than `NEAR` times the median
distance of a row to its nearest neighbour. In few dimensions m some rows are so by chance, a share of

    1 - 2^(-NEAR^m)    with m = ln 2 / ln(median of d_2 / d_1)

for distances d_1, d_2 to the two nearest rows. Sources: threshold of cleanlab; m by Facco et al. 2017.

Shapes: N rows, W words of a row, C columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.data.dataset import GatheredRows, ResidentRows, Rows
from limpid.probes.neighbours import nearest_rows

NEAR = 0.13  # of the median distance to the nearest row
BLOCK = 8192  # rows that are digested at a time
NATURAL = 0.5  # rows to be expected by chance, from which an equal row is no copy
FEW_TOKENS = 4  # texts as short as this are equal by nature
MIDDLE = 128  # bytes in the middle of a row by which long rows are told apart first
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Rows by content: rows of one group are equal.

    Attributes:
        group_N: number of each row's group; blank rows have a group of their own each.
        num_blank: rows that equal others because there is nothing in them: one value throughout, a very short text.
    """

    group_N: Index
    num_blank: int

    def copies(self) -> NDArray[np.bool_]:
        """(N,) whether an earlier row is equal."""
        first = np.unique(self.group_N, return_index=True)[1]
        found_N = np.ones(len(self.group_N), bool)
        found_N[first] = False
        return found_N

    def sizes(self) -> Index:
        """(N,) how many rows are equal to each, itself counted."""
        _, place_N, count_G = np.unique(self.group_N, return_inverse=True, return_counts=True)
        return np.asarray(count_G[place_N], np.int64)

    def conflicts(self, label_N: NDArray[np.generic]) -> NDArray[np.bool_]:
        """(N,) whether an equal row has another label."""
        _, label_N = np.unique(label_N, return_inverse=True)
        order = np.argsort(self.group_N, kind="stable")
        group, label = self.group_N[order], label_N[order]
        start = np.flatnonzero(np.diff(group, prepend=-1))
        lowest, highest = np.minimum.reduceat(label, start), np.maximum.reduceat(label, start)
        mixed = np.repeat(lowest != highest, np.diff(start, append=len(group)))
        found_N = np.zeros(len(group), bool)
        found_N[order] = mixed
        return found_N

    def best_accuracy(self, label_N: NDArray[np.generic]) -> float:
        """The largest share of rows that any function of the inputs can get right: that of each group's commonest
        label."""
        _, code_N = np.unique(label_N, return_inverse=True)
        pairs, counts = np.unique(self.group_N * (code_N.max() + 1) + code_N, return_counts=True)
        group = pairs // (code_N.max() + 1)
        most = np.maximum.reduceat(counts, np.flatnonzero(np.diff(group, prepend=-1)))
        return float(most.sum() / len(label_N))


def equal_groups(parts: Sequence[tuple[Rows, Tensor]]) -> Groups:
    """Groups of equal rows over several splits, each with the numbers of the rows that count, in this order.

    Long rows are told apart by their middle; only those that agree there are read as a whole.
    """
    digest_N = _digests(parts, middle=True)
    _, place_N, count_G = np.unique(digest_N, return_inverse=True, return_counts=True)
    twin_N = count_G[place_N] > 1
    group_N = np.arange(len(digest_N))
    blank_N = np.zeros(len(digest_N), bool)
    if twin_N.any():
        begin, chosen = 0, []
        for rows, number_N in parts:
            chosen.append((rows, number_N[torch.from_numpy(twin_N[begin : begin + len(number_N)])]))
            begin += len(number_N)
        blank = [
            _blank(rows, index_B) for rows, number_N in chosen for index_B in number_N.split(BLOCK) if len(index_B)
        ]
        blank_N[twin_N] = np.concatenate(blank)
        twins = np.flatnonzero(twin_N)
        _, first, back = np.unique(_digests(chosen, middle=False), return_index=True, return_inverse=True)
        group_N[twins] = twins[first][back]
        group_N[blank_N] = np.flatnonzero(blank_N)
    return Groups(group_N, int(blank_N.sum()))


def natural_rows(
    columns_MF: NDArray[np.generic], sample_NF: NDArray[np.generic], num_rows: int, *, rarest: int
) -> NDArray[np.bool_]:
    """(M,) whether rows are so common that others equal them by chance: of values v_1, v_2, ... in the columns where
    the row is rarest, num_rows p(v_1) p(v_2) ... rows are to be expected. The shares p are those of a sample.

    Args:
        rarest: how many columns are counted. The others are left out, since they may say the same again: in tables,
            where a fare goes with a class and a deck, two are safe; pixels and the like allow more.
    """
    lowest = np.ones((rarest, len(columns_MF)))
    for asked, known in zip(columns_MF.T, np.sort(sample_NF, axis=0).T, strict=True):
        found = np.searchsorted(known, asked, "right") - np.searchsorted(known, asked, "left")
        share = np.maximum(found, 1) / len(known)
        lowest = np.sort(np.concatenate([lowest, share[None]]), axis=0)[:rarest]
    return np.asarray(num_rows * lowest.prod(axis=0) >= NATURAL)


@dataclass(frozen=True)
class NearCopies:
    """Rows with a nearly equal row: their numbers, that row's, and how near it is in units of the median distance."""

    row: Index
    other: Index
    nearness: NDArray[np.float64]
    by_chance: float  # share of rows that would be found in so many dimensions without any copy
    asked: int


def near_copies(
    rows_NF: Tensor, asking_MF: Tensor | None = None, *, unit: float, last: int | None = None
) -> NearCopies:
    """Nearly equal rows among the first `last` of `rows_NF`, or of other rows that ask; equal ones have nearness 0.

    `unit` is the median distance of a row to its nearest neighbour.
    """
    distance_M2, number_M2 = nearest_rows(rows_NF, 2, asking_MF=asking_MF, last=last)
    nearest_M = distance_M2[:, 0].double().numpy()
    found = np.flatnonzero(nearest_M < NEAR * unit)
    return NearCopies(
        row=found,
        other=number_M2[:, 0].numpy()[found],
        nearness=nearest_M[found] / unit,
        by_chance=1 - 2 ** -(NEAR ** _dimension(distance_M2)),
        asked=len(nearest_M),
    )


def median_distance(rows_NF: Tensor, last: int | None = None) -> float:
    """The median distance of the first `last` rows to their nearest other row, copies left out."""
    nearest_N = nearest_rows(rows_NF, 1, last=last)[0][:, 0]
    positive = nearest_N[nearest_N > 0]
    return float(positive.median()) if len(positive) else 1.0


def _dimension(distance_M2: Tensor) -> float:
    """Intrinsic dimension by the ratio of the two nearest distances; 1 at least."""
    distance_M2 = distance_M2[distance_M2[:, 0] > 0]
    if len(distance_M2) < 10 or distance_M2.shape[1] < 2:
        return 1.0
    ratio = float((distance_M2[:, 1] / distance_M2[:, 0]).median())
    return max(1.0, math.log(2) / max(1e-3, math.log(ratio))) if ratio > 1 else 1.0


def _digests(parts: Sequence[tuple[Rows, Tensor]], *, middle: bool) -> NDArray[np.uint64]:
    """(N,) sums of words; of long rows only the middle ones where that is asked for."""
    found = [
        _digest(_words(rows, index_B, middle=middle))
        for rows, number_N in parts
        for index_B in number_N.split(BLOCK)
        if len(index_B)
    ]
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def _digest(words_BW: NDArray[np.uint64]) -> NDArray[np.uint64]:
    factors = np.random.default_rng(0).integers(0, 2**63, words_BW.shape[1], dtype=np.uint64)
    return np.asarray((words_BW * (factors * np.uint64(2) + np.uint64(1))).sum(1, dtype=np.uint64))


def _blank(rows: Rows, index_B: Tensor) -> NDArray[np.bool_]:
    """(B,) whether the first input of a row holds one value throughout, or a text has very few tokens."""
    inputs = rows.take(index_B)
    flat = inputs[0].cpu().reshape(len(index_B), -1)
    if isinstance(rows, GatheredRows) and not flat.is_floating_point() and len(inputs) > 1:
        return (inputs[1].cpu() <= FEW_TOKENS).numpy()
    return (flat == flat[:, :1]).all(1).numpy() if flat.shape[1] > 1 else np.zeros(len(flat), bool)


def _words(rows: Rows, index_B: Tensor, *, middle: bool) -> NDArray[np.uint64]:
    """(B, W) bytes of rows as 64-bit words, those of all inputs of a row; the last word is filled with zeros."""
    whole = len(index_B) == int(index_B[-1]) - int(index_B[0]) + 1
    if isinstance(rows, ResidentRows) and whole:
        tensors = tuple(tensor[int(index_B[0]) : int(index_B[-1]) + 1] for tensor in rows.tensors)
    else:
        tensors = rows.take(index_B)
    # Lengths first: sequences come last, so that the zeros behind them, however many, change no sum.
    arrays = [np.ascontiguousarray(tensor.cpu().numpy()).reshape(len(index_B), -1) for tensor in reversed(tensors)]
    parts = [array.view(np.uint8) for array in arrays]
    if middle and not isinstance(rows, GatheredRows):
        starts = [max(0, part.shape[1] - MIDDLE) // 2 for part in parts]
        parts = [part[:, start : start + MIDDLE] for part, start in zip(parts, starts, strict=True)]
    flat = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    missing = -flat.shape[1] % 8
    if missing:
        flat = np.concatenate([flat, np.zeros((len(flat), missing), np.uint8)], axis=1)
    return np.ascontiguousarray(flat).view(np.uint64)
