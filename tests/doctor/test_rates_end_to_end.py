"""Real runs with rates far off and with rates a third and three times the usual: named, or left alone."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

import limpid
from limpid.doctor.diagnosis import judge
from limpid.doctor.evidence import Evidence
from limpid.errors import NonFiniteLoss
from limpid.record.run import Run

RATES = {"O01", "O02", "O03", "O04"}
USUAL = {"sgd": 0.05, "adamw": 3e-3}


def found(tmp_path: Path, optimizer: str, factor: float, *, schedule: str, seed: int = 0, **options: Any) -> set[str]:
    """Codes of warnings about the rate and the course that do not follow from one another, of a run on digits."""
    place = tmp_path / "run"
    settings = {"optimizer": optimizer, "lr": USUAL[optimizer] * factor, "schedule": schedule, "seed": seed}
    settings = {"epochs": 8, "batch_size": 32, **settings, **options}
    with contextlib.suppress(NonFiniteLoss):
        limpid.train("digits", model="mlp", out=place, record__report=False, training__threads=1, **settings)
    findings = judge(Evidence.of(Run.open(place))).findings
    return {f.code for f in findings if f.level != "note" and f.code in RATES and f.because not in RATES}


CASES = [("sgd", "constant"), ("adamw", "one_cycle")]


@pytest.mark.parametrize(("optimizer", "schedule"), CASES)
def test_a_hundred_times_the_rate(tmp_path: Path, optimizer: str, schedule: str) -> None:
    assert found(tmp_path, optimizer, 100, schedule=schedule) == {"O01"}


@pytest.mark.parametrize(("optimizer", "schedule"), CASES)
def test_a_thousandth_of_the_rate(tmp_path: Path, optimizer: str, schedule: str) -> None:
    assert found(tmp_path, optimizer, 1e-3, schedule=schedule) == {"O02"}


@pytest.mark.parametrize("factor", [1 / 3, 1, 3])
def test_usual_rates_are_left_alone(tmp_path: Path, factor: float) -> None:
    assert found(tmp_path, "adamw", factor, schedule="constant") == set()


def test_two_hidden_units_are_no_low_rate(tmp_path: Path) -> None:
    assert "O02" not in found(tmp_path, "adamw", 1, schedule="constant", hidden=(2,))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(("factor", "expected"), [(100, {"O01"}), (1e-3, {"O02"}), (1 / 3, set()), (3, set())])
def test_rates_with_every_seed(
    tmp_path: Path, optimizer: str, schedule: str, factor: float, expected: set[str], seed: int
) -> None:
    assert found(tmp_path, optimizer, factor, schedule=schedule, seed=seed, epochs=20) == expected
