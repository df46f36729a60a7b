"""Ensembles as runs: trained, interrupted, resumed, predicted with, exported and joined."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from limpid.errors import ConfigError, Stopped
from limpid.finished import export, predict
from limpid.record.run import Run
from limpid.training.checkpoint import load_weights
from limpid.workbench import ensemble, train

OPTIONS: dict[str, Any] = {
    "model": "mlp", "hidden": (8,), "epochs": 3, "device": "cpu", "precision": "float32", "training__matmul": "default",
}  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table.csv"
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 3))
    kind = np.where(x @ [1.0, -1.0, 0.5] > 0.6, "high", np.where(x @ [1.0, -1.0, 0.5] < -0.6, "low", "mid"))
    rows = [f"{a:.4f},{b:.4f},{c:.4f},{k}" for (a, b, c), k in zip(x, kind, strict=True)]
    path.write_text("a,b,c,kind\n" + "\n".join(rows) + "\n")
    return path


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    checkpoint = Run.open(path).latest_checkpoint()
    assert checkpoint is not None
    return load_weights(checkpoint)


@pytest.mark.spec("A40", "G9")
@pytest.mark.parametrize("kind", ["bagging", "seeds", "snapshot"])
def test_an_ensemble_predicts_the_mean_of_its_members(kind: str, table: Path, tmp_path: Path) -> None:
    run = train(
        str(table), target="kind", out=tmp_path / "run", training__members=3, training__ensemble=kind, **OPTIONS
    )
    together = predict(run.path, table)
    alone = [predict(tmp_path / "run" / "members" / str(i), table) for i in (1, 2, 3)]
    assert together.probabilities is not None
    mean = np.mean([one.probabilities for one in alone], axis=0)
    np.testing.assert_allclose(together.probabilities, mean, rtol=1e-5, atol=1e-6)
    assert not np.allclose(alone[0].probabilities, alone[1].probabilities)
    assert run.header["model"]["name"] == "3 x mlp"
    assert [row["number"] for row in run.events("member")] == [1, 2, 3]
    assert run.events("result")[0]["n"] > 0
    assert "networks whose answers are averaged" in (run.path / "report.html").read_text(encoding="utf-8")
    epochs = [len(Run.open(run.path / "members" / str(i)).events("checkpoint")) for i in (1, 2, 3)]
    assert epochs == [1, 1, 1]
    last = [row for row in Run.open(run.path / "members" / "1").events("metric") if row["split"] == "train"][-1]
    assert last["epoch"] == (1 if kind == "snapshot" else 3)


def test_an_ensemble_is_exported_like_any_network(table: Path, tmp_path: Path) -> None:
    run = train(str(table), target="kind", out=tmp_path / "run", training__members=2, **OPTIONS)
    (result,) = export(run.path, tmp_path / "out", formats=("safetensors",))
    assert result.format == "safetensors"


def test_an_interrupted_ensemble_goes_on_with_the_member_that_it_was_in(table: Path, tmp_path: Path) -> None:
    options = {**OPTIONS, "target": "kind", "training__members": 3, "training__on": "one-by-one"}

    class StopInSecond:
        """Asks the run to stop in the second epoch of the second member."""

        def wired(self, wiring: Any, run: Any) -> None: ...
        def way(self, text: str) -> None: ...
        def finding(self, finding: Any) -> None: ...
        def member(self, row: Any, ended: int, count: int) -> None: ...
        def step(self, step: int, loss: float) -> None: ...
        def epoch(self, row: Any, valid_row: Any) -> None:
            if (row["member"], row["epoch"]) == (2, 2):
                os.kill(os.getpid(), signal.SIGTERM)

        def close(self) -> None: ...

    whole = train(str(table), out=tmp_path / "whole", **options)
    with pytest.raises(Stopped, match=str(tmp_path / "cut")):
        train(str(table), out=tmp_path / "cut", observer=StopInSecond(), **options)
    assert not (tmp_path / "cut" / "members" / "3").exists()
    again = train(resume=tmp_path / "cut")
    one, other = weights_of(whole.path), weights_of(again.path)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert [row["number"] for row in again.events("member")] == [1, 2, 3]


@pytest.mark.spec("A39")
def test_runs_of_different_architectures_are_joined(table: Path, tmp_path: Path, limpid: Callable[..., Any]) -> None:
    narrow = train(str(table), target="kind", out=tmp_path / "narrow", **OPTIONS)
    line = train(str(table), target="kind", out=tmp_path / "line", **{**OPTIONS, "model": "linear", "hidden": None})
    done = limpid("ensemble", narrow.path, line.path, "--out", tmp_path / "both")
    assert done.code == 0, done.err
    assert "mean of 2 networks" in done.out
    both = predict(tmp_path / "both", table).probabilities
    mean = (predict(narrow.path, table).probabilities + predict(line.path, table).probabilities) / 2  # type: ignore[operator]
    np.testing.assert_allclose(both, mean, rtol=1e-5, atol=1e-6)
    with pytest.raises(ConfigError, match="at least two"):
        ensemble(narrow.path)
    with pytest.raises(ConfigError, match="is an ensemble itself"):
        ensemble(narrow.path, tmp_path / "both")


def test_runs_with_other_questions_do_not_join(table: Path, tmp_path: Path) -> None:
    one = train(str(table), target="kind", out=tmp_path / "one", **OPTIONS)
    other = train(str(table), target="a", out=tmp_path / "other", **OPTIONS)
    with pytest.raises(ConfigError, match="cannot join: its task is 'regression'"):
        ensemble(one.path, other.path)
    with pytest.raises(ConfigError, match="one is given twice"):
        ensemble(one.path, one.path)


def test_a_module_of_ones_own_cannot_be_multiplied(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32), np.arange(60) % 2
    with pytest.raises(ConfigError, match="named model"):
        train((x, y), model=torch.nn.Linear(2, 1), task="binary", training__members=2, out=tmp_path / "run")
