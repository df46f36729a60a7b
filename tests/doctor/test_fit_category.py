"""Learning curves fall into three kinds, and are judged against their own noise."""

from __future__ import annotations

import math
import random

import pytest

from limpid.doctor.fit_category import category_of, course_of

CHANCE = math.log(10)


def curve(start: float, floor: float, speed: float, num_epochs: int = 40) -> list[float]:
    """Losses that fall exponentially from a start to a floor."""
    return [floor + (start - floor) * math.exp(-speed * epoch) for epoch in range(num_epochs)]


def noisy(losses: list[float], seed: int, spread: float = 0.02) -> list[float]:
    draw = random.Random(seed)
    return [loss * (1 + draw.gauss(0, spread)) for loss in losses]


def rising(losses: list[float], since: int, slope: float) -> list[float]:
    return [loss + max(0, epoch - since) * slope for epoch, loss in enumerate(losses)]


CURVES = {
    "under-fitted": (curve(2.3, 1.6, 0.3), curve(2.3, 1.65, 0.3)),  # both high, together
    "under-fitted, too slow": (curve(2.3, 0.0, 0.005), curve(2.3, 0.1, 0.005)),
    "good": (curve(2.3, 0.1, 0.3), curve(2.3, 0.2, 0.3)),
    "good, not yet flat": (curve(2.3, 0.0, 0.05), curve(2.3, 0.1, 0.05)),
    "over-fitted": (curve(2.3, 0.0, 0.3), rising(curve(2.3, 0.5, 0.3), 12, 0.02)),
    "over-fitted, with a plateau far above": (curve(2.3, 0.0, 0.4), curve(2.3, 1.3, 0.4)),
}


@pytest.mark.spec("G19")
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", CURVES)
def test_synthetic_curves_are_told_apart(name: str, seed: int) -> None:
    train, valid = CURVES[name]
    assert category_of(noisy(train, seed), noisy(valid, seed + 100), CHANCE) == name.split(",")[0]


@pytest.mark.spec("I39")
def test_the_best_epoch_is_the_argmin() -> None:
    valid = [2.0, 1.0, 0.7, 0.9, 1.1, 1.2]
    course = course_of([2.0, 1.0, 0.5, 0.3, 0.2, 0.1], valid)
    assert course is not None
    assert course.best == valid.index(min(valid))
    assert course.rise == pytest.approx(0.9 / 0.7 - 1)  # the least of the last three
    assert course.gap == pytest.approx(1.1 / 1.2)
    assert course.falling


def test_one_bad_epoch_is_no_rise() -> None:
    course = course_of([1.0] * 6, [2.0, 1.0, 0.9, 0.8, 1.6, 1.7])
    assert course is not None
    assert course.rise == 0.0


@pytest.mark.parametrize("losses", [[1.0], [], [1.0, math.nan], [math.inf, 1.0]])
def test_what_is_too_short_or_not_finite_has_no_course(losses: list[float]) -> None:
    assert course_of(losses, losses) is None
    assert category_of(losses, losses, CHANCE) is None
