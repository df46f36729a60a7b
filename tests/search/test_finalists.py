"""How sure the best of the finalists is, where figures are known in steps only."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from limpid.search.finalists import Finalist


def finalist(number: int, *figures: float, metric: str = "accuracy", judged: int = 27) -> Finalist:
    rows = tuple({"state": "finished", "figure": figure} for figure in figures)
    return Finalist({"number": number, "figure": 0.9}, rows, metric, judged)


def test_shares_of_few_rows_that_agree_by_chance_are_no_certainty() -> None:
    """All three seeds: one row of 27 more."""
    better, worse = finalist(0, *[26 / 27] * 3), finalist(1, *[25 / 27] * 3)
    lead, (low, high) = better.lead(worse)
    half = stats.t.ppf(0.975, 2) * math.sqrt(1 / 6 / 27**2 / 3)  # the variance of rounding of both
    assert (lead, low, high) == pytest.approx((1 / 27, 1 / 27 - half, 1 / 27 + half))
    assert low < 0
    assert better.interval[0] < 26 / 27 < better.interval[1]
    assert finalist(2, 1.0, 1.0, 1.0).interval[1] == 1.0, "no share is above 1"


def test_figures_that_are_no_shares_have_student_s_interval() -> None:
    one, other = [0.31, 0.35, 0.30], [0.40, 0.37, 0.45]
    first, second = finalist(0, *one, metric="loss"), finalist(1, *other, metric="loss")
    bounds = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert first.lead(second)[1] == pytest.approx((bounds.low, bounds.high))
    bounds = stats.ttest_1samp(one, 0).confidence_interval(0.95)
    assert first.interval == pytest.approx((bounds.low, bounds.high))


@pytest.mark.parametrize("figures", [(), (0.5,)])
def test_fewer_than_two_seeds_have_no_interval(figures: tuple[float, ...]) -> None:
    one = finalist(0, *figures)
    assert all(map(math.isnan, one.interval))
    assert all(map(math.isnan, one.lead(finalist(1, *figures))[1]))
