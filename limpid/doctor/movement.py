"""How far the weights move: |change of w| / |w| of a step, and its sum over a run.

    u_t     median over weight matrices of |w_{t+1} - w_t| / |w_t|
    path    sum of u_t over the steps: how often the weights could have been renewed, were all steps in one direction
    growth  median over weight matrices of |w_t| / |w_0|

Biases and scales are left out: they may start at zero. Between two readings u / lr is taken as the mean of the two.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from limpid.doctor.check import Threshold
from limpid.doctor.evidence import Curve, Evidence
from limpid.doctor.numbers import number

SHORT_PATH = Threshold(
    0.05,
    "sum of |update| / |weights| over a run",
    "ours: six small tasks, three optimisers, three schedules; healthy 0.14 to 20, rate / 1000 below 0.04",
    "wide networks and pretrained ones move less",
)
LONG_STEP = Threshold(0.04, "median |update| / |weights|", "CS231n: 1e-3; 0.1 in TheDeepChecker", "small networks")
LEAST_RATE = 0.02  # of the highest rate; below it an update says nothing of what the rate does


@dataclass(frozen=True)
class Movement:
    """What the weights did.

    Attributes:
        steps: of the readings.
        ratios: u of each.
        path: so far; None where fewer than two readings can be used.
        growth: the largest at any reading.
    """

    steps: tuple[int, ...]
    ratios: tuple[float, ...]
    path: float | None
    growth: float

    @property
    def most(self) -> float:
        return max(self.ratios)

    @property
    def usual(self) -> float:
        """Median over the readings."""
        return statistics.median(self.ratios)


@lru_cache(maxsize=1)  # several checks ask about the same evidence, one after the other
def movement_of(evidence: Evidence) -> Movement | None:
    """The movement so far; None where monitors recorded no update."""
    weights = {reading.step: reading.values for reading in evidence.readings("weight_norm")}
    if not weights:
        return None
    first = weights[min(weights)]
    names = _matrices(evidence, first)
    steps: list[int] = []
    ratios: list[float] = []
    growths = [1.0]
    for reading in evidence.readings("update_norm"):
        norms = weights.get(reading.step) or {}
        sizes = [(number(reading.values.get(n)), number(norms.get(n)), number(first.get(n))) for n in names]
        moved = [update / norm for update, norm, _ in sizes if norm > 0 and not math.isnan(update)]
        if not moved:
            continue
        steps.append(reading.step)
        ratios.append(statistics.median(moved))
        grown = [norm / start for _, norm, start in sizes if start > 0 and not math.isnan(norm)]
        growths += [statistics.median(grown)] if grown else []
    if not steps:
        return None
    return Movement(tuple(steps), tuple(ratios), _path(steps, ratios, evidence.curve), max(growths))


def _matrices(evidence: Evidence, norms: Any) -> list[str]:
    """Names of the weights that are matrices or more; without the probe, those whose name does not say bias or norm."""
    facts = evidence.probe("parameters") or {}
    names = [name for name in norms if str((facts.get(name) or {}).get("kind", "weight")) in ("weight", "matrix")]
    names = [name for name in names if not name.endswith("bias")]
    return names or list(norms)


def _path(steps: list[int], ratios: list[float], curve: Curve) -> float | None:
    """The sum of u over all steps of the curve, from u per unit of rate at the readings."""
    if len(curve) < 2:
        return None
    highest = max((lr for lr in curve.lrs if math.isfinite(lr)), default=0.0)
    known = [
        (step, ratio / lr)
        for step, ratio in zip(steps, ratios, strict=True)
        if math.isfinite(ratio) and (lr := _rate_at(curve, step)) > LEAST_RATE * highest
    ]
    if len(known) < 2 or highest <= 0:
        return None
    total, at, done = 0.0, 0, 0
    for step, lr in zip(curve.steps, curve.lrs, strict=True):
        while at + 2 < len(known) and step > known[at + 1][0]:
            at += 1
        (low, before), (high, after) = known[at], known[at + 1]
        share = min(1.0, max(0.0, (step - low) / max(1, high - low)))
        if math.isfinite(lr):
            total += (step - done) * lr * (before + share * (after - before))
        done = step
    return total


def _rate_at(curve: Curve, updates: int) -> float:
    """The rate of the recorded step nearest to the one that follows so many updates."""
    after = min(bisect_left(curve.steps, updates + 1), len(curve) - 1)
    place = min((max(after - 1, 0), after), key=lambda i: abs(curve.steps[i] - 1 - updates))
    return curve.lrs[place]
