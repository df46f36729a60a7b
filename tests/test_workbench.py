"""Odd but legal runs, and refusals, through `limpid.train` as a program calls it."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import limpid as package
from limpid.config import Config
from limpid.errors import ConfigError, ModelError, NonFiniteLoss, RecordError
from limpid.record.run import Run

Limpid = Callable[..., Any]  # the command, run in this process; see conftest.py

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(200, 6)).astype(np.float32)
THREE = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
LABELS = (X[:, :3] > 0).astype(np.float32)
VALUES = X @ GENERATOR.normal(size=(6, 2)).astype(np.float32)


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Train two epochs without a report into a numbered folder."""
    monkeypatch.chdir(tmp_path)
    made = 0

    def run(source: Any, **options: Any) -> Run:
        nonlocal made
        made += 1
        return package.train(source, **{"epochs": 2, "out": f"run-{made}", "record__report": False, **options})

    return run


def result_of(run: Run) -> dict[str, Any]:
    return run.events("result")[-1]


def end_of(run: Run) -> dict[str, Any]:
    return run.events("end")[-1]


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


# Splits and lengths


def test_without_validation_and_test_there_is_no_score_and_a_note_says_so(train: Callable[..., Run]) -> None:
    run = train((X, THREE), data__valid_share=0.0, data__test_share=0.0)
    assert run.events("result") == []
    assert "no score" in run.events("note")[-1]["text"]
    assert end_of(run)["status"] == "finished"


def test_no_epochs_score_the_first_weights(train: Callable[..., Run]) -> None:
    run = train((X, THREE), epochs=0)
    assert result_of(run)["step"] == 0
    assert result_of(run)["loss"] == pytest.approx(math.log(3), rel=0.5)
    assert len(package.predict(run, X)) == 200


def test_batches_larger_than_the_data_are_one_batch(train: Callable[..., Run]) -> None:
    assert end_of(train((X, THREE), batch_size=5000))["step"] == 2


def test_accumulation_longer_than_an_epoch_is_one_update_an_epoch(train: Callable[..., Run]) -> None:
    assert end_of(train((X, THREE), batch_size=16, accumulate=300))["step"] == 2


# Tasks and losses


@pytest.mark.parametrize(
    ("target", "options", "task", "score"),
    [
        (LABELS, {"task": "multilabel"}, "multilabel", "accuracy"),
        (VALUES, {}, "regression", "r2"),
        (VALUES, {"loss": "huber"}, "regression", "r2"),
        (VALUES[:, 0], {"loss": "mae"}, "regression", "r2"),
        (THREE, {"class_weights": "balanced"}, "classification", "accuracy"),
        (THREE, {"class_weights": [1, 2, 3], "label_smoothing": 0.1}, "classification", "accuracy"),
        (THREE > 0, {}, "binary", "accuracy"),
        (THREE, {"accumulate": 3, "ema": 0.5, "clip_norm": 1.0, "patience": 2}, "classification", "accuracy"),
    ],
)
def test_every_task_and_loss_learns(
    train: Callable[..., Run], target: Any, options: dict[str, Any], task: str, score: str
) -> None:
    run = train((X, target), epochs=12, **options)
    assert (run.header["data"]["task"], result_of(run)["score"]) == (task, score)
    assert result_of(run)["loss"] < 0.9 * result_of(run)["chance_loss"]
    assert set(result_of(run)["interval"]) == {score}


def test_patience_ends_a_run_early(train: Callable[..., Run]) -> None:
    run = train((X, THREE), epochs=200, patience=1, lr=0.05)
    assert end_of(run)["reason"] == "early stopping"
    best = min(run.events("metric"), key=lambda row: row["loss"] if row["split"] == "valid" else math.inf)
    assert end_of(run)["best_step"] == best["step"]


def test_a_monitored_error_is_better_when_smaller(train: Callable[..., Run]) -> None:
    run = train((X, VALUES), epochs=8, training__monitor="rmse")
    rows = [row for row in run.events("metric") if row["split"] == "valid"]
    assert rows[0]["rmse"] > rows[-1]["rmse"], "the figure must fall, or this shows nothing"
    assert end_of(run)["best_step"] == min(rows, key=lambda row: row["rmse"])["step"]


def test_what_cannot_work_is_refused_before_anything_is_written(train: Callable[..., Run], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"monitor=acc is not a figure of classification\. Use one of loss, accuracy"):
        train((X, THREE), training__monitor="acc")
    with pytest.raises(ConfigError, match="batch normalisation needs at least two samples"):
        train((X, THREE), batch_size=1, model__norm="batch")
    with pytest.raises(ConfigError, match="expected a name"):
        train((X, THREE), model=nn.Linear)
    with pytest.raises(ModelError, match="no parameter that can be trained"):
        train((X, THREE), model=network().requires_grad_(False))
    with pytest.raises(ConfigError, match="leave nothing to train on"):
        train((X, THREE), data__test_share=0.6, data__valid_share=0.6)
    with pytest.raises(ConfigError, match="Nothing to train on"):
        package.train(Config())
    assert list(tmp_path.iterdir()) == []


# Sources, modules, threads


class Pairs(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 150

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(X[i]), int(THREE[i])


def test_a_torch_data_set_trains_like_its_arrays(train: Callable[..., Run]) -> None:
    digest = end_of(train(Pairs()))["digest"]
    assert digest == end_of(train((X[:150], THREE[:150])))["digest"]


def test_a_module_of_ones_own_trains_by_seed_and_needs_itself_to_resume(train: Callable[..., Run]) -> None:
    torch.manual_seed(0)
    states = [network().state_dict() for _ in range(1)] * 3
    digests = []
    for seed, state in zip((3, 3, 4), states, strict=True):
        module = network()
        module.load_state_dict(state)
        run = train((X, THREE), model=module, seed=seed)
        digests.append(end_of(run)["digest"])
    assert digests[0] == digests[1] != digests[2]
    with pytest.raises(RecordError, match="module of your own"):
        package.train((X, THREE), resume=run.path)
    again = package.train((X, THREE), resume=run.path, model=network())
    assert end_of(again)["digest"] == digests[2]


def test_partly_frozen_weights_stay(train: Callable[..., Run]) -> None:
    module = network()
    module[0].requires_grad_(False)
    frozen, free = module[0].weight.clone(), module[4].weight.clone()
    train((X, THREE), model=module)
    assert torch.equal(module[0].weight, frozen)
    assert not torch.equal(module[4].weight, free)


def test_resuming_data_in_memory_needs_the_same_data(train: Callable[..., Run]) -> None:
    run = train((X, THREE))
    with pytest.raises(RecordError, match="hand over the same data"):
        package.train(resume=run.path)
    with pytest.raises(RecordError, match=r"the data handed over are not those"):
        package.train((X[:50], THREE[:50]), resume=run.path)
    with pytest.raises(ConfigError, match="lr cannot be changed"):
        package.train((X, THREE), resume=run.path, lr=0.1)
    before = (run.path / "events.jsonl").read_bytes()
    assert end_of(package.train((X, THREE), resume=run.path)) == end_of(run)
    assert (run.path / "events.jsonl").read_bytes() == before, "a finished run is left as it is"


def test_a_thread_may_train_and_the_callers_random_numbers_are_left_alone(train: Callable[..., Run]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    runs: list[Run] = []
    worker = threading.Thread(target=lambda: runs.append(train((X, THREE))))
    worker.start()
    worker.join()
    assert end_of(runs[0])["digest"] == end_of(train((X, THREE)))["digest"]
    assert torch.equal(torch.rand(3), expected)


def test_paths_are_taken_as_paths(train: Callable[..., Run], tmp_path: Path) -> None:
    assert train("moons", size=60, out=tmp_path / "deep" / "run").path == tmp_path / "deep" / "run"


def test_predictions_are_written_on_request(train: Callable[..., Run], tmp_path: Path) -> None:
    run = train((X, THREE))
    predictions = package.predict(run, X[:5], out=tmp_path / "answers.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [line["prediction"] for line in lines] == list(predictions.decisions)


# Mirrors, machines, interruptions


def test_a_mirror_that_cannot_be_written_is_noticed_before_training(
    train: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sys

    from limpid.errors import MissingExtra

    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtra, match="tensorboard"):
        train((X, THREE), tensorboard="mirror")
    assert list(tmp_path.iterdir()) == []


def test_json_lines_are_strict_json_also_for_a_run_that_diverges(limpid: Limpid, tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=X, y=VALUES)
    options = (
        "--optimizer",
        "sgd",
        "--lr",
        "1e30",
        "--schedule",
        "constant",
        "--epochs",
        "3",
        "--json",
        "--out",
        "run",
    )
    done = limpid("train", "t.npz", *options)
    assert done.code == 4
    assert "NaN or infinite after step" in done.err

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    rows = [json.loads(line, parse_constant=refuse) for line in done.out.splitlines()]
    assert rows[0]["event"] == "run"
    assert Run.open(tmp_path / "run").events("end")[-1]["status"] == "failed"


def test_the_end_of_a_diverging_run_is_recorded_once(train: Callable[..., Run], tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLoss, match="The last good weights"):
        train((X, VALUES), lr=1e30, optimizer="sgd", schedule="constant", epochs=5)
    run = Run.open(tmp_path / "run-1")
    assert [row["status"] for row in run.events("end")] == ["failed"]
    assert len(package.predict(run, X)) == 200, "the last good weights can be used"


def test_ctrl_c_while_the_data_are_read(limpid: Limpid, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("limpid.opening.load_data", interrupted)
    done = limpid("train", "moons", "--out", "run")
    assert done.code == 130
    assert done.err.startswith("Error: Interrupted")
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("steps", [1, 7, 40])
def test_a_run_ends_after_so_many_steps(tmp_path: Path, steps: int) -> None:
    run = package.train("moons", size=100, batch_size=16, training__steps=steps, out=tmp_path / "run")
    assert run.events("end")[-1]["step"] == steps
    assert run.events("result")[-1]["accuracy"] > 0
