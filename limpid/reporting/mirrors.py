"""Copies of a run's curves for those who watch them elsewhere. The run folder stays the original."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from limpid.errors import MissingExtra, RecordError
from limpid.record.run import Run
from limpid.reporting.reading import Row
from limpid.reporting.text import value_text

INSTALL = "pip install 'limpid[track]'"
NOT_MIRRORED = frozenset({"kind", "time", "split", "step", "epoch", "n", "interval", "score"})
LONGEST_PARAMETER = 500  # characters of a parameter's value that MLflow takes
BATCH = 1000  # metrics that MLflow takes in one call


def require(*, tensorboard: bool = False, mlflow: bool = False) -> None:
    """Raise MissingExtra unless what a mirror needs can be imported."""
    for needed, module, title in ((tensorboard, "tensorboard", "TensorBoard"), (mlflow, "mlflow", "MLflow")):
        if needed:
            try:
                importlib.import_module(module)
            except ImportError:
                raise MissingExtra(f"The {title} mirror needs {module}. Install it with: {INSTALL}") from None


def mirror_tensorboard(run: Run, folder: Path) -> Path:
    """Write every metric of the run as TensorBoard scalars into `folder`/<name of the run>; returns that folder.

    An earlier mirror of the same run is replaced. Raises MissingExtra when tensorboard is not installed.
    """
    require(tensorboard=True)
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    place = Path(folder) / run.path.resolve().name
    for earlier in place.glob("events.out.tfevents.*"):
        earlier.unlink()
    writer = EventFileWriter(str(place))
    try:
        for tag, step, time, value in scalars(run):
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.add_event(Event(step=step, wall_time=time, summary=summary))
    finally:
        writer.close()
    return place


def mirror_mlflow(run: Run, uri: str) -> str:
    """Write the run's options and metrics to the MLflow server or data base at `uri`; returns MLflow's id of the run.

    The experiment is named after the data. Raises MissingExtra when mlflow is not installed, RecordError when MLflow
    refuses; the run folder is complete either way.
    """
    require(mlflow=True)
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        return _tell_mlflow(run, MlflowClient(tracking_uri=uri))
    except MlflowException as error:
        raise RecordError(
            f"MLflow at {uri} did not take the mirror of {run.path}; the run itself is complete. It said: {error}"
        ) from None


def _tell_mlflow(run: Run, client: Any) -> str:
    from mlflow.entities import Metric, Param

    name = f"limpid {(run.header.get('data') or {}).get('name', 'data')}"
    experiment = client.get_experiment_by_name(name)
    identity = experiment.experiment_id if experiment is not None else client.create_experiment(name)
    copy = client.create_run(identity, run_name=run.path.resolve().name, tags={"limpid.run": run.id})
    parameters = [Param(key, value) for key, value in _parameters(run)]
    metrics = [Metric(tag, value, int(time * 1000), step) for tag, step, time, value in scalars(run)]
    for start in range(0, len(parameters), 100):
        client.log_batch(copy.info.run_id, params=parameters[start : start + 100])
    for start in range(0, len(metrics), BATCH):
        client.log_batch(copy.info.run_id, metrics=metrics[start : start + BATCH])
    ends = run.events("end")
    status = ends[-1].get("status") if ends else "finished"
    client.set_terminated(copy.info.run_id, {"failed": "FAILED", "stopped": "KILLED"}.get(str(status), "FINISHED"))
    return str(copy.info.run_id)


def scalars(run: Run) -> Iterator[tuple[str, int, float, float]]:
    """(tag, step, seconds since 1970, value) of every metric, such as ("valid/accuracy", 200, ..., 0.97)."""
    for row in run.events():
        if row["kind"] in ("metric", "result") and isinstance(row.get("step"), int):
            time = _seconds_since_1970(row)
            split = "result" if row["kind"] == "result" else row.get("split", "metric")
            for name, value in row.items():
                if name not in NOT_MIRRORED and isinstance(value, int | float) and not isinstance(value, bool):
                    yield f"{split}/{name}", row["step"], time, float(value)


def _seconds_since_1970(row: Row) -> float:
    try:
        return datetime.fromisoformat(str(row.get("time"))).timestamp()
    except ValueError:
        return 0.0


def _parameters(run: Run) -> Iterator[tuple[str, str]]:
    config: dict[str, Any] = run.header.get("config") or {}
    for section, options in config.items():
        for key, value in options.items() if isinstance(options, dict) else ():
            if value is not None and not (isinstance(value, float) and math.isnan(value)):
                yield f"{section}.{key}", value_text(value)[:LONGEST_PARAMETER]
