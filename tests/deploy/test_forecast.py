"""Forecasts: recursion beyond the horizon, the interval, the rivals, and the command."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from limpid.deploy.forecast import conformal_radius, forecast_run, roll
from limpid.deploy.trained import load_trained
from limpid.errors import ConfigError, DataError, ModelError
from limpid.workbench import train

STEPS = 168


def seasonal(num_steps: int = STEPS, seed: int = 1) -> list[float]:
    """A year's wave on a rising level, with noise."""
    noise = np.random.default_rng(seed).normal(0, 2, num_steps)
    return [(100 + i) * (1 + 0.3 * math.sin(i * math.pi / 6)) + noise[i] for i in range(num_steps)]


def write(path: Path, values: list[float]) -> Path:
    months = [f"{1990 + i // 12}-{i % 12 + 1:02d}" for i in range(len(values))]
    pl.DataFrame({"month": months, "value": values}).write_csv(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forecast")
    write(folder / "wave.csv", seasonal())
    options = {
        "model__options": {"units": 32},
        "epochs": 40,
        "data__horizon": 3,
        "data__form": "series",
        "record__report": False,
    }
    train(folder / "wave.csv", target="value", model="lstm", out=str(folder / "run"), **options)
    return folder


@pytest.mark.spec("A51")
def test_a_seasonal_series_is_forecast_better_than_by_repetition(folder: Path) -> None:
    errors = forecast_run(folder / "run").errors
    assert errors["the network"] < errors["the last value"]
    assert errors["the network"] < errors["the last season"]


def test_it_goes_on_from_the_end_with_an_interval_that_widens(folder: Path) -> None:
    made = forecast_run(folder / "run", steps=24)
    assert made.times[:2] == ["2004-01", "2004-02"]
    truth = np.array(seasonal(STEPS + 24)[STEPS:])  # its noise differs from the file's by nothing before STEPS
    assert made.radius is not None
    assert (np.diff(made.radius[:, 0]) >= 0).all()
    inside = np.abs(made.values[:, 0] - truth) <= made.radius[:, 0]
    assert inside.mean() > 0.5
    assert np.abs(made.values[:, 0] - truth).mean() < np.abs(truth - seasonal()[-1]).mean()
    columns = made.to_frame().columns
    assert columns == ["time", "value", "value_low", "value_high"]


def test_steps_beyond_the_horizon_take_its_own_answers(folder: Path) -> None:
    trained = load_trained(folder / "run")
    past = torch.tensor(trained.spec.preparation["last"])[None]
    whole = roll(trained, past, 6)
    first = roll(trained, past, 3)
    assert torch.equal(whole[:, :3], first)
    second = roll(trained, torch.cat((past, first), dim=1), 3)
    torch.testing.assert_close(whole[:, 3:], second)


def test_a_newer_table_is_continued_from_its_own_end(folder: Path) -> None:
    write(folder / "longer.csv", seasonal(STEPS + 5))
    made = forecast_run(folder / "run", folder / "longer.csv")
    assert made.times == ["2004-06", "2004-07", "2004-08"]
    same = write(folder / "same.csv", seasonal())
    np.testing.assert_allclose(
        forecast_run(folder / "run", same).values, forecast_run(folder / "run").values, rtol=1e-5
    )


def test_interval_covers_what_it_says() -> None:
    """Split conformal: over exchangeable errors the share lies at the stated one or just above."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(2000):
        errors = np.abs(rng.normal(size=40))
        covered.append(errors[0] <= conformal_radius(errors[1:], 0.9))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02)
    assert conformal_radius(np.array([3.0, 1.0, 2.0]), 0.9) == 3.0


def test_what_cannot_be_forecast(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="steps"):
        forecast_run(folder / "run", steps=0)
    with pytest.raises(DataError, match="5 steps"):
        forecast_run(folder / "run", write(tmp_path / "short.csv", seasonal(5)))
    (tmp_path / "other.csv").write_text("month,amount\n2000-01,3\n")
    with pytest.raises(DataError, match="'value'"):
        forecast_run(folder / "run", tmp_path / "other.csv")
    train("iris", model="linear", epochs=1, record__report=False, out=str(tmp_path / "iris"))
    with pytest.raises(ModelError, match="no series"):
        forecast_run(tmp_path / "iris")


def test_without_the_training_table_there_is_a_forecast_but_no_interval(folder: Path, limpid: Any) -> None:
    finished = limpid("forecast", folder / "run", "--steps", 2, "--out", "ahead.csv")
    assert finished.code == 0
    assert "by the last season" in finished.err
    assert "90% interval" in finished.err
    moved = (folder / "wave.csv").rename(folder / "moved.csv")
    try:
        finished = limpid("forecast", folder / "run", "--steps", 2)
    finally:
        moved.rename(folder / "wave.csv")
    assert finished.out.splitlines()[0] == "time,value"
    assert len(finished.out.splitlines()) == 3
    assert "No interval" in finished.err
    assert pl.read_csv("ahead.csv")["value"].len() == 2
