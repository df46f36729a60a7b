"""Early stopping on scripted figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import limpid
from limpid.data.dataset import Dataset, Split
from limpid.training.history import Silence
from limpid.training.stopping import EarlyStopping


def epochs_run(figures: list[float], **options: float | bool) -> tuple[int, EarlyStopping]:
    stopping = EarlyStopping(**{"higher_is_better": False, **options})  # type: ignore[arg-type]
    for epoch, figure in enumerate(figures, 1):
        stopping.observe(figure, epoch=epoch, step=10 * epoch)
        if stopping.exhausted:
            return epoch, stopping
    return len(figures), stopping


@pytest.mark.spec("G3")
def test_patience_two_stops_after_the_fifth_value() -> None:
    epochs, stopping = epochs_run([5, 4, 3, 3.5, 3.4, 0.1], patience=2)
    assert (epochs, stopping.best, stopping.best_epoch, stopping.best_step) == (5, 3, 3, 30)


@pytest.mark.spec("G3")
def test_min_delta_rejects_a_small_gain() -> None:
    _, stopping = epochs_run([3, 2.8, 2.4], min_delta=0.5)
    assert (stopping.best, stopping.best_epoch) == (2.4, 3)
    assert epochs_run([3, 2.8], min_delta=0.5)[1].best == 3


@pytest.mark.spec("G4", "K55", "X20")
def test_constant_figure_runs_patience_plus_one_epochs_and_a_falling_one_all() -> None:
    assert epochs_run([1.0] * 100, patience=10)[0] == 11
    assert epochs_run([1 / (i + 1) for i in range(100)], patience=10)[0] == 100


@pytest.mark.spec("G3")
def test_a_baseline_that_is_not_reached_ends_the_run() -> None:
    assert epochs_run([3.0] * 9, patience=2, baseline=2.0)[0] == 2
    epochs, stopping = epochs_run([3.0, 2.9, 2.8], patience=2, baseline=2.0)
    assert (epochs, stopping.best) == (2, 2.9), "better than before is not enough, but is remembered"
    assert epochs_run([3.0, 1.9, 1.95, 1.95, 1.0], patience=2, baseline=2.0)[0] == 4
    assert epochs_run([0.5, 0.6, 0.6, 0.6], patience=2, baseline=0.4, higher_is_better=True)[0] == 4


def test_higher_is_better() -> None:
    epochs, stopping = epochs_run([0.1, 0.5, 0.4, 0.4], patience=2, higher_is_better=True)
    assert (epochs, stopping.best) == (4, 0.5)


def test_nan_never_improves_and_an_infinite_first_figure_is_beaten() -> None:
    _, stopping = epochs_run([math.nan, math.inf, 2.0, math.nan])
    assert (stopping.best, stopping.best_epoch) == (2.0, 3)


def test_patience_zero_never_stops() -> None:
    assert epochs_run([1.0] * 50)[0] == 50


@pytest.mark.spec("X33")
def test_validation_decides_when_to_stop_and_the_test_split_is_read_once_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    make = Dataset.test

    def test(dataset: Dataset) -> Split | None:
        happened.append("test split")
        return make(dataset)

    class Watch(Silence):
        def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None:
            happened.append("epoch")

    monkeypatch.setattr(Dataset, "test", test)
    run = limpid.train(
        "moons", model="mlp", epochs=60, patience=2, lr=0.05, size=200, out=str(tmp_path / "run"), observer=Watch(),
        record__report=False, record__doctor=False, training__threads=1,
    )  # fmt: skip
    losses = [row["loss"] for row in run.events("metric") if row["split"] == "valid"]
    assert len(losses) < 60
    assert losses.index(min(losses)) == len(losses) - 3
    assert happened == [*(["epoch"] * len(losses)), "test split"]
