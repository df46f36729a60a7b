"""What a race over several surfaces says: mean ranks, who won and who came last where, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from limpid.practice.finish import Finish
from limpid.reporting.intervals import mean_interval

LEVEL = 0.05  # of the test that tells mean ranks apart
CROWD = 0.5  # share of the line-up: a place that so many share is nobody's


@dataclass(frozen=True)
class Standing:
    """One optimiser over all surfaces.

    Attributes:
        optimizer: as it was called.
        adaptive: whether it scales each parameter's step by past gradients.
        ranks: on each surface.
        wins: surfaces on which it is first, or level with the first.
        lasts: surfaces on which it is last, or level with the last.
        diverged: surfaces on which no rate of the grid kept it finite and below its start.
    """

    optimizer: str
    adaptive: bool
    ranks: tuple[float, ...]
    wins: tuple[str, ...]
    lasts: tuple[str, ...]
    diverged: tuple[str, ...]

    @property
    def mean_rank(self) -> float:
        """Over the surfaces."""
        return fmean(self.ranks)


def stand(names: Sequence[str], adaptive: Sequence[bool], finishes: Mapping[str, Sequence[Finish]]) -> list[Standing]:
    """The standings, best mean rank first.

    Args:
        names: of the line-up.
        adaptive: which of it are adaptive.
        finishes: by surface, in the order of the line-up.
    """
    first = {surface: _edge(ends, min) for surface, ends in finishes.items()}
    last = {surface: _edge(ends, max) for surface, ends in finishes.items()}
    rows = []
    for c, name in enumerate(names):
        ranks = tuple(ends[c].rank for ends in finishes.values())
        wins = tuple(surface for surface, places in first.items() if c in places)
        lasts = tuple(surface for surface, places in last.items() if c in places)
        diverged = tuple(surface for surface, ends in finishes.items() if ends[c].diverged)
        rows.append(Standing(name, adaptive[c], ranks, wins, lasts, diverged))
    return sorted(rows, key=lambda row: row.mean_rank)


def _edge(ends: Sequence[Finish], pick: Any) -> set[int]:
    """Places in the line-up that share the first or the last rank; none where it is a crowd."""
    rank = pick(end.rank for end in ends)
    level = {c for c, end in enumerate(ends) if end.rank == rank}
    return level if len(level) < CROWD * len(ends) else set()


def critical_difference(num_optimizers: int, num_surfaces: int) -> float:
    """By how much mean ranks must differ for 5 % doubt, after Nemenyi (Demsar 2006, Statistical comparisons).

        CD = q sqrt(k (k + 1) / (12 N)),  P(range of k standard normal numbers > q) = 0.05

    with k optimisers and N surfaces, which are taken for a sample of those that there are.
    """
    from scipy.stats import studentized_range

    k = num_optimizers
    return float(studentized_range.ppf(1 - LEVEL, k, math.inf)) * math.sqrt(k * (k + 1) / (12 * num_surfaces))


def conclusions(standings: Sequence[Standing], surfaces: Sequence[str]) -> list[str]:
    """What can be said of the standings, a sentence each."""
    k, n = len(standings), len(surfaces)
    if k < 2:
        return [f"{standings[0].optimizer} ran alone: there is nothing to compare it with."]
    return [
        _of_the_winners(standings, surfaces),
        *_of_the_level(standings),
        *(_of_the_ranks(standings, n) if n > 1 else ()),
    ]


def _of_the_winners(standings: Sequence[Standing], surfaces: Sequence[str]) -> str:
    winners = [row for row in standings if row.wins]
    undecided = [surface for surface in surfaces if not any(surface in row.wins for row in winners)]
    if len(surfaces) == 1:
        return f"{_listed([row.optimizer for row in winners])} won." if winners else "Too many are level: nobody won."
    if not winners:
        return "On every surface too many are level for a winner."
    most = max(winners, key=lambda row: len(row.wins))
    told = f" Nobody won on {_listed(undecided)}: too many are level." if undecided else ""
    if len(winners) == 1:
        return f"{most.optimizer} won wherever there was a winner.{told}"
    return (
        f"No single best: {len(winners)} of {len(standings)} optimisers won somewhere, most often {most.optimizer}, "
        f"on {len(most.wins)} of {len(surfaces)} surfaces.{told}"
    )


def _of_the_level(standings: Sequence[Standing]) -> list[str]:
    """Optimisers that are level on every surface: here they are the same."""
    groups: dict[tuple[float, ...], list[str]] = {}
    for row in standings:
        groups.setdefault(row.ranks, []).append(row.optimizer)
    level = [_listed(names) for names in groups.values() if len(names) > 1]
    return [f"Level throughout: {'; '.join(level)}."] if level else []


def _of_the_ranks(standings: Sequence[Standing], num_surfaces: int) -> list[str]:
    best, reach = standings[0], critical_difference(len(standings), num_surfaces)
    level = [row.optimizer for row in standings[1:] if row.mean_rank - best.mean_rank <= reach]
    said = f"{best.optimizer} leads with a mean rank of {best.mean_rank:.1f} of {len(standings)}"
    told = f", and {len(level)} others cannot be told from it" if level else ", further than chance explains"
    lines = [f"{said}{told}: {num_surfaces} surfaces tell mean ranks apart that differ by {reach:.1f} (Nemenyi, 5 %)."]
    return lines + _of_the_adaptive(standings)


def _of_the_adaptive(standings: Sequence[Standing]) -> list[str]:
    """The rule of thumb, to try an adaptive optimiser first, with the interval of what it gains."""
    groups = [np.array([row.ranks for row in standings if row.adaptive is kind]) for kind in (True, False)]
    if not all(map(len, groups)):
        return []
    adaptive, others = (ranks.mean(axis=0) for ranks in groups)
    low, high = mean_interval(others - adaptive)
    verdict = "cannot be told from chance" if low <= 0 <= high else "holds" if low > 0 else "does not hold"
    first = next(row for row in standings if row.adaptive)
    return [
        f"Adaptive optimisers have a mean rank of {adaptive.mean():.1f}, the others of {others.mean():.1f} (difference "
        f"{low:.2f} to {high:.2f}, 95 % over surfaces); the best adaptive one is {first.optimizer} "
        f"({first.mean_rank:.1f}). The rule of thumb, to try an adaptive one first, {verdict} here."
    ]


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
