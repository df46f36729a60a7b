"""The interval of a paired gain: what it holds, and how often all looks together are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from limpid.doctor.gain import LEVEL, LOOKS, is_decided, measure_gain


def test_with_one_row_it_is_the_paired_t_interval() -> None:
    differences = np.array([[0.3], [0.5], [0.1], [0.4]])
    gain = measure_gain(differences, doubt=0.1)
    low, high = stats.t.interval(0.9, 3, loc=differences.mean(), scale=stats.sem(differences[:, 0]))
    assert (gain.low, gain.high) == pytest.approx((low, high))
    assert (gain.pairs, gain.rows) == (4, 1)
    assert gain.mean == pytest.approx(0.325)


def test_rows_and_seeds_both_widen_it() -> None:
    draw = np.random.default_rng(0)
    seeds, rows = draw.normal(size=(5, 1)), draw.normal(size=(1, 40))
    only_seeds, only_rows = measure_gain(seeds + 0 * rows), measure_gain(rows + 0 * seeds)
    both = measure_gain(seeds + rows)
    assert both.error == pytest.approx(math.hypot(only_seeds.error, only_rows.error))
    assert only_rows.error == pytest.approx(stats.sem(rows[0]))


def test_no_difference_is_no_gain() -> None:
    gain = measure_gain(np.zeros((3, 10)))
    assert (gain.low, gain.high) == (0.0, 0.0)
    assert not gain.real
    assert is_decided(gain)


def test_a_gain_has_to_matter() -> None:
    sure = np.full((3, 10), 0.2)
    assert measure_gain(sure, least=0.1).real
    assert not measure_gain(sure, least=0.2).real
    assert is_decided(measure_gain(sure, least=0.3))


def test_when_to_stop() -> None:
    assert is_decided(measure_gain(np.array([[1.0], [1.1], [0.9]])))  # real
    assert is_decided(measure_gain(np.array([[-1.0], [-1.1], [-0.9]])))  # a harm
    assert is_decided(measure_gain(np.array([[-1.0], [0.1], [-0.2]])))  # none in sight
    undecided = np.array([[0.1], [1.0], [0.3]])
    assert not is_decided(measure_gain(undecided))
    assert is_decided(measure_gain(np.resize(undecided, (LOOKS[-1], 1))))  # the last look


@pytest.mark.parametrize(("seeds", "rows"), [(1.0, 0.0), (0.3, 5.0), (0.0, 5.0)])
def test_all_looks_together_keep_the_error_level(seeds: float, rows: float) -> None:
    """Treatments without any effect: accepted in at most half of LEVEL, plus what 2000 trials vary by."""
    draw = np.random.default_rng(1)
    num_trials, accepted = 2000, 0
    for _ in range(num_trials):
        noise_PN = (
            seeds * draw.normal(size=(LOOKS[-1], 1))
            + rows * draw.normal(size=(1, 60))
            + draw.normal(size=(LOOKS[-1], 60))
        )
        gain = next(found for look in LOOKS if is_decided(found := measure_gain(noise_PN[:look])))
        accepted += gain.real
    assert accepted / num_trials <= LEVEL / 2 + 3 * math.sqrt(LEVEL / 2 / num_trials)
