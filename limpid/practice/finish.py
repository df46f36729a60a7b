"""How optimisers end on one surface: each at its best rate, ranked.

Shapes: C competitors, R rates, T steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

from limpid.optim.surface import Surface

LAST = 0.1  # share of the steps over whose losses an end is averaged: one step of a noisy or swinging path is luck
ARRIVED = 1e-9  # of the excess at the start: closer, rounding decides
NEAR = 0.01  # of that excess, told to readers
DIGITS = 4  # of an end that count: beyond, two optimisers are level

Key = tuple[int, float]


@dataclass(frozen=True)
class Finish:
    """The end of one optimiser on one surface, at the rate that served it best.

    Attributes:
        competitor: place of the optimiser in the line-up.
        rate_place: place of its rate in the grid.
        excess: of the wanted loss over its minimum, mean over the last tenth of the steps.
        near: step from which on it stays within 1 % of the excess at the start; None: never.
        arrived: the same for 1e-9 of it.
        diverged: not finite, or higher than at the start.
        rank: from 1, the mean where several are level.
    """

    competitor: int
    rate_place: int
    excess: float
    near: int | None
    arrived: int | None
    diverged: bool
    rank: float = math.nan

    @property
    def key(self) -> Key:
        """What is ranked: who arrived, by steps; then by excess; then who diverged, all level."""
        if self.diverged:
            return (2, 0.0)
        return (0, float(self.arrived)) if self.arrived is not None else (1, float(f"{self.excess:.{DIGITS}g}"))


def judge(surface: Surface, path_TCR2: Tensor) -> list[Finish]:
    """The finishes on a surface, in the order of the line-up.

    The rate is chosen by the loss that is descended, which is all that an optimiser could know; the rank is by the loss
    that is wanted.
    """
    seen_TCR, wanted_TCR = surface.seen(path_TCR2), surface.loss(path_TCR2) - surface.part.least
    ends_CR = _end(seen_TCR)
    finishes = []
    for c, end_R in enumerate(ends_CR):
        r = int(end_R.argmin())
        diverged = not bool(end_R[r] <= seen_TCR[0, c, r])
        excess_T = wanted_TCR[:, c, r]
        near, arrived = (stays_within(excess_T, share * excess_T[0].item()) for share in (NEAR, ARRIVED))
        finishes.append(Finish(c, r, float(_end(excess_T)), near, arrived, diverged))
    ranks = average_ranks([finish.key for finish in finishes])
    return [replace(finish, rank=rank) for finish, rank in zip(finishes, ranks, strict=True)]


def num_last(num_steps: int) -> int:
    """Steps that an end is made of."""
    return max(1, round(LAST * num_steps))


def stays_within(excess_T: Tensor, bound: float) -> int | None:
    """The step from which on the excess is never above the bound; None where it is above within the last tenth."""
    above = (~(excess_T <= bound)).nonzero()
    first = int(above[-1]) + 1 if len(above) else 0
    return first if first <= len(excess_T) - num_last(len(excess_T) - 1) else None


def _end(losses_T: Tensor) -> Tensor:
    """Mean over the last tenth of the steps; infinite where anything there is not a number."""
    ends = losses_T[-num_last(len(losses_T) - 1) :].mean(dim=0)
    return torch.nan_to_num(ends, nan=math.inf, posinf=math.inf, neginf=math.inf)


def average_ranks(keys: Sequence[Key]) -> list[float]:
    """Ranks from 1, the smallest key first; equal keys share the mean of their places.

    >>> average_ranks([(1, 0.5), (0, 9.0), (1, 0.5)])
    [2.5, 1.0, 2.5]
    """
    ranks = [0.0] * len(keys)
    before = 0
    for _, group in groupby(sorted(range(len(keys)), key=keys.__getitem__), key=keys.__getitem__):
        level = list(group)
        for place in level:
            ranks[place] = before + (len(level) + 1) / 2
        before += len(level)
    return ranks
