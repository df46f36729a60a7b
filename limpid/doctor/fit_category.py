"""Under-fitted, good or over-fitted, from the course of a training and a validation loss alone (ledger G19).

A curve is judged against its own noise and its own range: how far both losses still are from the level of knowing
nothing, how far the validation loss has come back up from its best, and how far apart the two have come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Category = Literal["under-fitted", "good", "over-fitted"]

RISEN = 0.2  # share of its best value by which the validation loss has risen; less is the wobble of small splits
PERSISTENT = 3  # evaluations in a row; one epoch's rise (UMLAUT) is noise
LEARNED = 0.5  # share of the way from knowing nothing to no loss at all; below, both curves are "high, together"
APART = 0.25  # gap between the curves as a share of what is left to learn


@dataclass(frozen=True)
class Course:
    """How two losses went.

    Attributes:
        best: position of the least validation loss (its argmin).
        rise: how far the last evaluations all lie above it, as a share of it; 0 where the last one is the best.
        gap: last validation loss minus last training loss, as a share of the validation loss.
        falling: whether the training loss went on falling behind the best validation loss.
        noise: standard deviation of the validation loss around its course, as a share of its best value.
    """

    best: int
    rise: float
    gap: float
    falling: bool
    noise: float


def course_of(train: Sequence[float], valid: Sequence[float]) -> Course | None:
    """The course of two losses, one value per evaluation; None below two evaluations or where one is not finite."""
    if len(valid) < 2 or len(train) != len(valid) or not all(map(math.isfinite, (*train, *valid))):
        return None
    best = min(range(len(valid)), key=valid.__getitem__)
    least = max(abs(valid[best]), 1e-12)
    behind = valid[best + 1 :]
    rise = (min(behind[-PERSISTENT:]) - valid[best]) / least if len(behind) >= PERSISTENT else 0.0
    # Second differences see noise and not the trend; noise of deviation s gives them one of s * sqrt(6).
    bends = sorted(abs(a - 2 * b + c) for a, b, c in zip(valid, valid[1:], valid[2:], strict=False))
    noise = 1.4826 * bends[len(bends) // 2] / math.sqrt(6) / least if bends else 0.0
    gap = (valid[-1] - train[-1]) / max(abs(valid[-1]), 1e-12)
    return Course(best, rise, gap, train[-1] < train[best], noise)


def category_of(train: Sequence[float], valid: Sequence[float], chance: float) -> Category | None:
    """The category of two loss curves.

    Args:
        train, valid: losses per epoch, in evaluation mode where possible.
        chance: loss of knowing nothing, such as ln K or 1.

    Returns None where the curves are too short or not finite.
    """
    course = course_of(train, valid)
    if course is None:
        return None
    if course.falling and course.rise > max(RISEN, 2 * course.noise):
        return "over-fitted"
    if valid[-1] - train[-1] > APART * chance and train[-1] < APART * chance:
        return "over-fitted"
    if min(train[-PERSISTENT:]) > (1 - LEARNED) * chance:
        return "under-fitted"
    return "good"
