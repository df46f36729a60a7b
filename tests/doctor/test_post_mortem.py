"""A diagnosis measures the trained network once, keeps what it measured, and says what it could not look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import limpid
from limpid.probes.registry import PROBES
from limpid.record.run import Run
from limpid.reporting.finding_lines import diagnosis_lines

AFTER = {probe.name for probe in PROBES if probe.when == "after"}
QUICK: dict[str, Any] = {"training__threads": 1, "record__report": False, "device": "cpu", "epochs": 3}


def rows(size: int = 300) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    x = random.standard_normal((size, 4)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.int64)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("runs") / "run"
    return limpid.train("moons", size=240, model="mlp", hidden=(8,), out=str(path), **QUICK)


def test_what_takes_the_trained_network_is_measured_once(trained: Run) -> None:
    told: list[str] = []
    before = (trained.path / "checkpoints").stat().st_mtime_ns
    first = limpid.diagnose(trained, tell=told.append)
    assert len(told) == len(AFTER)
    recorded = {row["name"] for row in trained.events("probe")}
    assert recorded >= AFTER
    again = limpid.diagnose(trained, tell=told.append)
    assert len(told) == len(AFTER)
    assert again.to_row() == first.to_row()
    assert (trained.path / "checkpoints").stat().st_mtime_ns == before
    assert trained.events("end")[-1]["status"] == "finished"


def test_the_budget_is_a_chain_and_is_shown(trained: Run) -> None:
    diagnosis = limpid.diagnose(trained)
    assert diagnosis.budget is not None
    terms = {term["name"]: term for term in diagnosis.budget["terms"]}
    assert list(terms) == [
        "irreducible", "avoidable bias", "optimisation gap", "variance", "mismatch", "evaluation noise",
    ]  # fmt: skip
    assert terms["mismatch"]["value"] is None
    assert "drawn from the same rows" in terms["mismatch"]["basis"]
    for term in terms.values():
        assert term["value"] is None or term["low"] <= term["value"] <= term["high"]
    text = "\n".join(diagnosis_lines(diagnosis.to_row()))
    for words in ("error budget of the test split", "avoidable bias", "evaluation noise", "Ng's chart", "->"):
        assert words in text


def test_data_that_are_not_at_hand_are_a_note(tmp_path: Path) -> None:
    x, y = rows()
    run = limpid.train(x, y=y, model="mlp", hidden=(8,), out=str(tmp_path / "run"), **QUICK)
    alone = limpid.diagnose(run)
    assert alone.statistics
    assert len(alone.notes) == 1
    assert "handed over in Python" in alone.notes[0]
    wrong = limpid.diagnose(run, source=x + 1, y=y)
    assert "not those that the run was trained on" in wrong.notes[0]
    with_data = limpid.diagnose(run, source=x, y=y)
    assert with_data.notes == ()
    assert set(with_data.statistics) > set(alone.statistics)


@pytest.mark.slow
def test_a_network_of_ones_own_is_asked_for(tmp_path: Path) -> None:
    x, y = rows()
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    run = limpid.train(x, y=y, model=network, out=str(tmp_path / "run"), **QUICK)
    assert "module of your own" in limpid.diagnose(run, source=x, y=y).notes[0]
    assert limpid.diagnose(run, source=x, y=y, module=network).notes == ()


@pytest.mark.slow
def test_a_run_that_is_being_written_is_judged_without_keeping(trained: Run, tmp_path: Path) -> None:
    x, y = rows()
    run = limpid.train(x, y=y, model="mlp", hidden=(8,), out=str(tmp_path / "run"), **QUICK)
    with Run.open(run.path, write=True):
        found = limpid.diagnose(run, source=x, y=y)
    assert "is not kept" in found.notes[0]
    assert AFTER.isdisjoint(row["name"] for row in run.events("probe"))
    assert "G14" in found.statistics  # judged from what was measured all the same


def test_a_user_reads_of_a_network_that_memorises(limpid: Any, tmp_path: Path) -> None:
    data = ["moons", "--size", "300", "--noise", "0.6", "--set", "data.valid_share=0.4", "--set", "record.report=false"]
    model = ["--model", "mlp", "--hidden", "256,256", "--dropout", "0", "--weight-decay", "0"]
    course = ["--lr", "0.002", "--schedule", "constant", "--epochs", "120", "--set", "training.threads=1"]
    done = limpid("train", *data, *model, *course, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "warning G02 overfit" in done.out
    told = limpid("diagnose", tmp_path / "run")
    assert told.code == 0, told.err
    assert "warning G02 overfit" in told.out
    assert "measuring rivals_after" in told.err
    assert "error budget" in told.out


def test_a_run_that_fits_well_is_left_in_peace(limpid: Any, tmp_path: Path) -> None:
    options = ["--model", "mlp", "--epochs", "8", "--set", "record.report=false", "--set", "training.threads=1"]
    done = limpid("train", "digits", *options, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert " G0" not in done.out
