"""What TensorBoard and MLflow are told equals the record."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from limpid.errors import MissingExtra, RecordError
from limpid.record.run import Run
from limpid.reporting.mirrors import mirror_mlflow, mirror_tensorboard, scalars


def test_scalars_are_the_record(classification: Run) -> None:
    told = list(scalars(classification))
    for split in ("train", "valid", "train_step"):
        rows = [row for row in classification.events("metric") if row["split"] == split]
        expected = [(row["step"], row["loss"]) for row in rows]
        assert [(step, value) for tag, step, _, value in told if tag == f"{split}/loss"] == expected
    row = classification.events("result")[0]
    assert ("result/accuracy", 200, datetime.fromisoformat(row["time"]).timestamp(), row["accuracy"]) in told
    assert not [tag for tag, *_ in told if tag.endswith(("/step", "/epoch", "/n"))]


def test_tensorboard_reads_back_the_same(classification: Run, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    place = mirror_tensorboard(classification, tmp_path / "board")
    mirror_tensorboard(classification, tmp_path / "board")  # again: replaced, not doubled
    assert place == tmp_path / "board" / "image run"
    board = EventAccumulator(str(place), size_guidance={"scalars": 0})
    board.Reload()
    rows = [row for row in classification.events("metric") if row["split"] == "valid"]
    read = [(event.step, event.value) for event in board.Scalars("valid/accuracy")]
    assert [step for step, _ in read] == [row["step"] for row in rows]
    assert [value for _, value in read] == pytest.approx([row["accuracy"] for row in rows], rel=1e-6)


def test_missing_packages_name_the_command(
    classification: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tensorboard", "tensorboard.compat.proto.event_pb2", "mlflow", "mlflow.exceptions", "mlflow.tracking"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"pip install 'limpid\[track\]'"):
        mirror_tensorboard(classification, tmp_path)
    with pytest.raises(MissingExtra, match=r"pip install 'limpid\[track\]'"):
        mirror_mlflow(classification, "file:///nowhere")


class Refusal(Exception):
    """Stands in for MlflowException."""


class Server:
    """Stands in for MLflow's client: remembers what it is told, and refuses what the real one refuses."""

    def __init__(self) -> None:
        self.params: dict[str, str] = {}
        self.metrics: list[Any] = []
        self.experiments: list[str] = []
        self.status = ""

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return SimpleNamespace(experiment_id=name) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        self.experiments.append(name)
        return name

    def create_run(self, experiment: str, run_name: str, tags: dict[str, str]) -> SimpleNamespace:
        assert experiment in self.experiments
        self.name, self.tags = run_name, tags
        return SimpleNamespace(info=SimpleNamespace(run_id="1234"))

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        assert run_id == "1234"
        assert len(metrics) <= 1000
        assert len(params) <= 100
        for param in params:
            assert param.key not in self.params
            assert len(param.value) <= 500
            self.params[param.key] = param.value
        self.metrics += metrics

    def set_terminated(self, run_id: str, status: str) -> None:
        self.status = status


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    entities, tracking = ModuleType("mlflow.entities"), ModuleType("mlflow.tracking")
    entities.Param = lambda key, value: SimpleNamespace(key=key, value=value)  # type: ignore[attr-defined]
    entities.Metric = lambda key, value, timestamp, step: SimpleNamespace(  # type: ignore[attr-defined]
        key=key, value=value, timestamp=timestamp, step=step
    )
    tracking.MlflowClient = lambda tracking_uri: server  # type: ignore[attr-defined]
    exceptions = ModuleType("mlflow.exceptions")
    exceptions.MlflowException = Refusal  # type: ignore[attr-defined]
    modules = {"mlflow": ModuleType("mlflow"), "mlflow.entities": entities, "mlflow.tracking": tracking}
    for name, module in (modules | {"mlflow.exceptions": exceptions}).items():
        monkeypatch.setitem(sys.modules, name, module)
    return server


def test_mlflow_is_told_the_record(classification: Run, server: Server) -> None:
    assert mirror_mlflow(classification, "somewhere") == "1234"
    assert server.experiments == ["limpid digits"]
    assert server.name == "image run"
    assert server.params["optim.lr"] == "0.003"
    assert server.status == "FINISHED"
    told = [(metric.key, metric.step, metric.value) for metric in server.metrics]
    assert told == [(tag, step, value) for tag, step, _, value in scalars(classification)]


def test_mlflow_experiment_is_used_again(classification: Run, server: Server) -> None:
    server.experiments.append("limpid digits")
    mirror_mlflow(classification, "somewhere")
    assert server.experiments == ["limpid digits"]


def test_mlflow_refusal_is_one_message(classification: Run, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise Refusal("no such server")

    monkeypatch.setattr(server, "get_experiment_by_name", refuse)
    with pytest.raises(RecordError, match="MLflow at somewhere did not take .* said: no such server"):
        mirror_mlflow(classification, "somewhere")


def test_mlflow_says_how_it_ended(make_unfinished: Callable[..., Run], server: Server) -> None:
    mirror_mlflow(make_unfinished(status="failed"), "somewhere")
    assert server.status == "FAILED"
