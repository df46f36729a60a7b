"""Counts, intervals and orders recomputed the slow way."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpid.record.run import Run
from limpid.reporting.figures import confusion_figure, regression_figures
from limpid.reporting.intervals import f1_interval, mcnemar, paired_bootstrap, paired_share_difference, wilson
from limpid.reporting.outcomes import class_outcomes, confusion, confusion_of, frequent_confusions, most_wrong
from limpid.reporting.reading import read_run
from limpid.spec import DataSpec


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
@settings(max_examples=50, deadline=None)
def test_confusion_counts_every_pair(pairs: list[tuple[int, int]]) -> None:
    counts_KK = confusion(np.array([t for t, _ in pairs]), np.array([p for _, p in pairs]), 4)
    for true, guess in product(range(4), repeat=2):
        assert counts_KK[true, guess] == pairs.count((true, guess))


def test_class_outcomes_equal_sklearn(classification: Run) -> None:
    from sklearn.metrics import precision_recall_fscore_support

    reading = read_run(classification)
    arrays = reading.predictions
    expected = precision_recall_fscore_support(arrays["target"], arrays["prediction"], labels=range(10))
    for outcome, precision, recall, f1, support in zip(class_outcomes(reading), *expected, strict=True):
        assert (outcome.precision, outcome.recall, outcome.f1) == pytest.approx((precision, recall, f1))
        assert outcome.support == support
        for value, (low, high) in (
            (outcome.precision, outcome.precision_interval),
            (outcome.recall, outcome.recall_interval),
            (outcome.f1, outcome.f1_interval),
        ):
            assert value is not None
            assert 0 <= low <= value <= high <= 1


def test_class_that_never_occurs_is_not_defined(
    make_empty: Callable[..., Run], make_spec: Callable[..., DataSpec]
) -> None:
    with make_empty(spec=make_spec(("a", "b", "c"))) as run:
        np.savez(run.path / "predictions.npz", target=np.array([0, 1]), prediction=np.array([0, 0]))
        run.add("predictions", split="test", file="predictions.npz")
        a, b, c = class_outcomes(read_run(run))
    assert (a.precision, a.recall, a.support) == (0.5, 1.0, 1)
    assert (b.precision, b.recall, b.f1) == (None, 0.0, 0.0)
    assert (c.precision, c.recall, c.f1) == (None, None, None)
    assert c.recall_interval == (0.0, 1.0)


def test_labels_outside_of_the_spec_get_a_number(
    make_empty: Callable[..., Run], make_spec: Callable[..., DataSpec]
) -> None:
    with make_empty(spec=make_spec(("a", "b"))) as run:
        np.savez(run.path / "predictions.npz", target=np.array([0, 2]), prediction=np.array([0, 1]))
        run.add("predictions", split="test", file="predictions.npz")
        assert [outcome.name for outcome in class_outcomes(read_run(run))] == ["a", "b", "class 2"]


def test_frequent_confusions_are_sorted_and_off_the_diagonal() -> None:
    counts_KK = np.array([[50, 3, 0], [7, 40, 1], [0, 0, 9]])
    found = frequent_confusions(counts_KK, ["a", "b", "c"])
    assert [(row["true"], row["predicted"], row["rows"]) for row in found] == [
        ("b", "a", 7),
        ("a", "b", 3),
        ("b", "c", 1),
    ]
    assert found[0]["share"] == pytest.approx(7 / 48)
    assert counts_KK[0, 0] == 50  # the input is left alone


def test_most_wrong_is_in_falling_order_with_nan_first(make_empty: Callable[..., Run]) -> None:
    with make_empty() as run:
        losses = np.array([0.1, math.nan, 3.0, 0.2, math.inf])
        np.savez(run.path / "predictions.npz", target=np.arange(5), prediction=np.arange(5), losses=losses)
        run.add("predictions", split="test", file="predictions.npz")
        assert [row.position for row in most_wrong(read_run(run))] == [1, 4, 2, 3, 0]


def test_confusion_figure_shows_these_numbers(classification: Run) -> None:
    reading = read_run(classification)
    arrays, counts_KK = reading.predictions, confusion_of(reading)
    assert counts_KK is not None
    drawn = confusion_figure(counts_KK, reading)
    assert drawn is not None
    trace = drawn["data"][0]
    for true, guess in product(range(10), repeat=2):
        rows = int(((arrays["target"] == true) & (arrays["prediction"] == guess)).sum())
        assert trace["customdata"][true][guess] == [rows, f"{true} → {guess}"]
        assert trace["z"][true][guess] == pytest.approx(100 * rows / (arrays["target"] == true).sum())
        assert trace["text"][true][guess] == (str(rows) if rows else "")


def test_confusion_of_very_many_classes_is_not_drawn(classification: Run) -> None:
    assert confusion_figure(np.eye(101, dtype=np.int64), read_run(classification)) is None
    drawn = confusion_figure(np.eye(50, dtype=np.int64), read_run(classification))
    assert drawn is not None
    assert "text" not in drawn["data"][0]


def test_regression_figures_show_these_numbers(regression: Run) -> None:
    arrays = read_run(regression).predictions
    ((name, scatter, residuals),) = regression_figures(read_run(regression))
    assert name == "mpg"
    assert scatter["data"][0]["x"] == pytest.approx(arrays["target"][:, 0].tolist(), rel=1e-4)
    assert scatter["data"][0]["y"] == pytest.approx(arrays["prediction"][:, 0].tolist(), rel=1e-4)
    bars, difference = residuals["data"][0], (arrays["target"] - arrays["prediction"])[:, 0]
    assert sum(bars["y"]) == 60
    for centre, width, rows in zip(bars["x"], bars["width"], bars["y"], strict=True):
        assert rows == pytest.approx((np.abs(difference - centre) < width / 2).sum(), abs=1)


def test_large_scatter_is_thinned_without_losing_the_range(make_regression: Callable[..., Run]) -> None:
    ((_, scatter, residuals),) = regression_figures(read_run(make_regression(n=5000)))
    assert len(scatter["data"][0]["x"]) == 2000
    assert sum(residuals["data"][0]["y"]) == 5000


def test_wilson_equals_its_definition() -> None:
    """The bounds solve |share - p| = z sqrt(p (1 - p) / n)."""
    for hits, trials in [(0, 7), (3, 10), (10, 10), (970, 1000)]:
        for bound in wilson(hits, trials):
            if 0 < bound < 1:
                distance = 1.959963984540054 * math.sqrt(bound * (1 - bound) / trials)
                assert abs(hits / trials - bound) == pytest.approx(distance, rel=1e-9)


def test_mcnemar_equals_the_binomial_sum() -> None:
    for b, c in [(0, 0), (3, 0), (1, 9), (12, 15), (40, 80)]:
        tail = sum(math.comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
        assert mcnemar(b, c) == pytest.approx(min(1.0, 2 * tail))


def test_intervals_of_differences_cover_the_truth() -> None:
    """500 experiments with a true difference of 0.05: about 475 intervals should hold it."""
    draw, held = np.random.default_rng(0), 0
    for _ in range(500):
        only_first, only_second, _ = draw.multinomial(300, [0.10, 0.05, 0.85])
        low, high = paired_share_difference(int(only_first), int(only_second), 300)
        held += low <= 0.05 <= high
    assert 460 <= held <= 492


def test_bootstrap_of_a_mean_is_near_the_normal_interval() -> None:
    draw = np.random.default_rng(0)
    for rows in (400, 10_000):  # the second goes through blocks
        values = draw.normal(1.0, 2.0, (rows, 1))
        low, high = paired_bootstrap(values, lambda means: means[:, 0])
        half = 1.96 * values.std() / math.sqrt(rows)
        assert low == pytest.approx(values.mean() - half, abs=0.15 * half)
        assert high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_f1_interval_holds_f1_and_narrows() -> None:
    wide, narrow = f1_interval(8, 4), f1_interval(800, 400)
    assert wide[0] < narrow[0] < 16 / 20 < narrow[1] < wide[1]
