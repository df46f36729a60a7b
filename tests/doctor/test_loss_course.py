"""The four shapes of a training loss, and the numbers behind them."""

from __future__ import annotations

import math
import random

import pytest

from limpid.doctor.loss_course import UNLIKELY, read_course, shape_of

NUM = 400


def noisy(course: list[float], seed: int, noise: float = 0.03) -> list[float]:
    draw = random.Random(seed)
    return [loss * math.exp(noise * draw.gauss(0, 1)) for loss in course]


def low() -> list[float]:
    return [2.3 - 0.5 * t / NUM for t in range(NUM)]


def good() -> list[float]:
    return [0.1 + 2.2 * math.exp(-8 * t / NUM) for t in range(NUM)]


def high() -> list[float]:
    return [1.5 + 0.8 * math.exp(-60 * t / NUM) for t in range(NUM)]


def very_high() -> list[float]:
    return [2.3 * math.exp(4 * t / NUM) for t in range(NUM)]


@pytest.mark.spec("H5")
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("course", "shape"),
    [(low, "low"), (good, "good"), (high, "high"), (very_high, "very high")],
    ids=["low", "good", "high", "very high"],
)
def test_the_four_curves_of_babysitting_get_their_labels(course: object, shape: str, seed: int) -> None:
    read = read_course(noisy(course(), seed), start=2.3)  # type: ignore[operator]
    assert read is not None
    assert shape_of(read) == shape


def test_a_loss_that_is_no_number_any_more_is_very_high() -> None:
    read = read_course([2.3] * 30 + [math.nan], start=2.3)
    assert read is not None
    assert shape_of(read) == "very high"


def test_a_schedule_does_not_bend_a_straight_course() -> None:
    """Too low a rate on half a cosine: the loss against the step flattens out, against the sum of rates it does not."""
    rates = [0.5 * (1 + math.cos(math.pi * t / NUM)) for t in range(NUM)]
    carried, losses = 0.0, []
    for rate in rates:
        carried += rate
        losses.append(2.3 - 1e-3 * carried)
    read = read_course(noisy(losses, 0, 0.002), rates)
    assert read is not None
    assert read.straightness == pytest.approx(1, abs=0.2)
    assert shape_of(read) == "low"


def test_numbers_are_relative_to_the_start() -> None:
    one, thousand = read_course(good()), read_course([1000 * loss for loss in good()])
    assert one is not None
    assert thousand is not None
    for name in ("fall", "burst", "given_back", "straightness"):
        assert getattr(one, name) == pytest.approx(getattr(thousand, name))


def test_few_losses_have_no_course() -> None:
    assert read_course([1.0] * 19) is None
    assert read_course([-1.0] * 100) is None
    assert read_course([math.nan] * 100) is None


def test_the_luck_of_a_few_noisy_batches_is_no_loss_of_what_was_gained() -> None:
    """28 losses that fall to a floor, each 30 % off: a fifth of them seem to lose a third of the gain again."""
    seemed, beyond_luck = 0, 0
    for seed in range(200):
        draw = random.Random(seed)
        falling = [0.45 + 0.65 * math.exp(-t / 6) for t in range(28)]
        course = read_course([max(0.01, loss * (1 + draw.gauss(0, 0.3))) for loss in falling], start=1.1)
        assert course is not None
        seemed += course.given_back > 0.3
        beyond_luck += course.given_back > 0.3 and course.rose_by > UNLIKELY
    assert seemed > 30
    assert beyond_luck <= 10
