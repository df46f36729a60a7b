"""Intervals against closed forms, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import torch

from limpid.objectives.intervals import _student_quantile, interval_of, mean_interval, wilson_interval


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (9, 10), (10, 10), (480, 500)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_equals_scipy(hits: int, trials: int, level: float) -> None:
    expected = scipy.stats.binomtest(hits, trials).proportion_ci(level, method="wilson")
    assert wilson_interval(hits, trials, level) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert all(math.isnan(bound) for bound in wilson_interval(0, 0))


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 29, 1000])
@pytest.mark.parametrize("p", [0.9, 0.95, 0.975])
def test_student_quantile_equals_scipy(freedom: int, p: float) -> None:
    assert _student_quantile(p, freedom) == pytest.approx(scipy.stats.t.ppf(p, freedom), rel=5e-3)


def test_mean_interval_of_three_seeds() -> None:
    values = np.array([0.91, 0.93, 0.92])
    expected = scipy.stats.t.interval(0.95, 2, values.mean(), scipy.stats.sem(values))
    assert mean_interval(values) == pytest.approx(expected)
    assert math.isnan(mean_interval(np.array([1.0]))[0])


def naive_bootstrap(figure: object, guess: np.ndarray, truth: np.ndarray, block: int = 1) -> tuple[float, float]:
    rng = np.random.default_rng(11)
    figures = []
    for _ in range(300):
        starts = rng.integers(0, len(truth) - block + 1, -(-len(truth) // block))
        rows = np.concatenate([np.arange(start, start + block) for start in starts])[: len(truth)]
        figures.append(figure(truth[rows], guess[rows]))
    return tuple(np.quantile(figures, [0.025, 0.975]))


def decisions(size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, size)
    return np.where(rng.random(size) < 0.7, truth, rng.integers(0, 4, size)), truth


def values(size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = 50 + 3 * rng.standard_normal((size, 1))
    return truth + rng.standard_normal((size, 1)), truth


def scores(size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, size)
    return np.round(truth + rng.standard_normal(size), 1), truth


def positives() -> tuple[np.ndarray, np.ndarray]:
    guess, truth = decisions()
    return guess % 2, truth % 2


def f1_of(t: np.ndarray, p: np.ndarray, k: int = 1) -> float:
    return float(2 * ((t == k) & (p == k)).sum() / ((t == k).sum() + (p == k).sum()))


def auc_of(t: np.ndarray, p: np.ndarray) -> float:
    """The share of pairs of a positive and a negative one that are in order; a tie is half a pair."""
    above = p[t == 1][:, None] - p[t == 0]
    return float((above > 0).mean() + (above == 0).mean() / 2)


# Of each score the samples, its formula, which takes a tenth of the library's time, and the library's function.
CASES = {
    "balanced_accuracy": (
        decisions, lambda t, p: np.mean([(p[t == k] == k).mean() for k in range(4)]),
        sklearn.metrics.balanced_accuracy_score,
    ),
    "macro_f1": (
        decisions, lambda t, p: np.mean([f1_of(t, p, k) for k in range(4)]),
        lambda t, p: sklearn.metrics.f1_score(t, p, average="macro"),
    ),
    "f1": (positives, f1_of, sklearn.metrics.f1_score),
    "r2": (values, lambda t, p: 1 - ((t - p) ** 2).sum() / ((t - t.mean()) ** 2).sum(), sklearn.metrics.r2_score),
    "rmse": (values, lambda t, p: np.sqrt(((t - p) ** 2).mean()), sklearn.metrics.root_mean_squared_error),
    "mae": (values, lambda t, p: np.abs(t - p).mean(), sklearn.metrics.mean_absolute_error),
    "auc": (scores, auc_of, sklearn.metrics.roc_auc_score),
}  # fmt: skip


@pytest.mark.parametrize("score", CASES)
def test_bootstrap_equals_a_naive_one(score: str) -> None:
    make, figure, library = CASES[score]
    guess, truth = make()
    assert figure(truth, guess) == pytest.approx(library(truth, guess))
    low, high = interval_of(score, guess, truth)
    expected_low, expected_high = naive_bootstrap(figure, guess, truth)
    width = expected_high - expected_low
    assert low == pytest.approx(expected_low, abs=0.2 * width)
    assert high == pytest.approx(expected_high, abs=0.2 * width)
    assert low < figure(truth, guess) < high
    assert interval_of(score, guess, truth) == (low, high)
    assert interval_of(score, guess, truth, seed=1) != (low, high)


def test_accuracy_takes_tensors_of_the_objective() -> None:
    guess_B, target_B1 = torch.tensor([1, 0, 1, 1]), torch.tensor([[1.0], [0.0], [0.0], [1.0]])
    assert interval_of("accuracy", guess_B, target_B1) == wilson_interval(3, 4)


def test_several_labels_of_a_sample_are_not_independent() -> None:
    guess_BK, truth_BK = torch.zeros(40, 50), torch.zeros(40, 50)
    guess_BK[:10] = 1  # all labels of a sample are right or wrong together
    low, high = interval_of("accuracy", guess_BK, truth_BK)
    assert high - low > 0.2
    assert interval_of("macro_f1", truth_BK.long(), truth_BK.long()) == (0.0, 0.0)


def test_wilson_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    hits = rng.binomial(200, 0.9, size=2000)
    bounds = np.array([wilson_interval(int(k), 200) for k in hits])
    assert ((bounds[:, 0] < 0.9) & (bounds[:, 1] > 0.9)).mean() == pytest.approx(0.95, abs=0.02)


def test_undefined_figure_has_no_interval() -> None:
    assert math.isnan(interval_of("r2", np.zeros((5, 1)), np.ones((5, 1)))[0])


def walk(size: int, rng: np.random.Generator) -> np.ndarray:
    """A series that remembers: each value keeps .8 of the one before."""
    steps = rng.normal(size=size + 100)
    for i in range(1, len(steps)):
        steps[i] = 0.8 * steps[i - 1] + 0.6 * steps[i]
    return steps[100:, None]


@pytest.mark.parametrize("score", ["r2", "rmse", "mae"])
def test_samples_that_overlap_are_resampled_in_blocks(score: str) -> None:
    figure, rng = CASES[score][1], np.random.default_rng(3)
    truth = walk(600, rng)
    guess = truth + 0.5 * walk(600, rng)
    low, high = interval_of(score, guess, truth, overlap=12)
    expected_low, expected_high = naive_bootstrap(figure, guess, truth, block=12)
    width = expected_high - expected_low
    assert low == pytest.approx(expected_low, abs=0.2 * width)
    assert high == pytest.approx(expected_high, abs=0.2 * width)
    alone = interval_of(score, guess, truth)
    assert high - low > 1.4 * (alone[1] - alone[0])


def test_intervals_of_values_hold_the_truth_as_often_as_they_say() -> None:
    """R2 of samples that depend on one another: .64 of the intervals hold the truth where that is not allowed for."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(60):
        truth = walk(400, rng)
        low, high = interval_of("r2", truth + 0.5 * walk(400, rng), truth, overlap=12)
        held.append(low < 0.75 < high)
    assert np.mean(held) > 0.83
    few = [rng.normal(size=(11, 1)) for _ in range(60)]
    bounds = [interval_of("r2", truth + 0.5 * rng.normal(size=(11, 1)), truth) for truth in few]
    assert np.mean([low < 0.75 < high for low, high in bounds]) > 0.75


@pytest.mark.parametrize("score", ["r2", "rmse", "mae"])
def test_few_windows_that_overlap_say_nothing(score: str) -> None:
    truth = walk(59, np.random.default_rng(0))
    assert all(math.isnan(bound) for bound in interval_of(score, truth + 1, truth, overlap=12))
    assert math.isfinite(interval_of(score, truth + 1, truth, overlap=11)[0])
