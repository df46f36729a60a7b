"""A run folder read once, for whoever shows it: header, curves, result, predictions and images.

A run that was stopped, failed or is still going has no result and perhaps no predictions; every reader expects that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from limpid.record.run import Run
from limpid.reporting.text import label, plain

if TYPE_CHECKING:
    import numpy as np

Row = dict[str, Any]
NOT_A_METRIC = frozenset(
    {"kind", "time", "split", "step", "epoch", "loss", "lr", "n", "interval", "score", "seconds", "samples_per_second"}
)
# The usual headline figure of each task, where no result row names it yet.
USUAL_SCORES = ("accuracy", "r2", "rmse", "mae", "mse", "macro_f1", "f1")


@dataclass
class Reading:
    """What one run folder says. Lists are in the order of the record."""

    run: Run
    header: Row
    data: Row  # DataSpec as plain values
    train: list[Row] = field(default_factory=list)
    valid: list[Row] = field(default_factory=list)
    steps: list[Row] = field(default_factory=list)
    result: Row | None = None
    end: Row | None = None
    throughput: Row | None = None
    findings: list[Row] = field(default_factory=list)
    trials: list[Row] = field(default_factory=list)  # of treatments
    examined: bool = False  # whether the doctor looked at the run at all
    notes: list[str] = field(default_factory=list)
    predictions: dict[str, np.ndarray] = field(default_factory=dict)
    predictions_split: str = "test"
    samples: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def task(self) -> str:
        return str(self.data.get("task", ""))

    @property
    def classes(self) -> list[str]:
        """Names of classes or labels as stored, unescaped."""
        return [str(name) for name in self.data.get("classes") or ()]

    @property
    def score(self) -> str | None:
        """Name of the headline metric, or None when nothing was evaluated yet."""
        if self.result and self.result.get("score"):
            return str(self.result["score"])
        return score_name(self.valid[-1]) if self.valid else None

    @property
    def best_epoch(self) -> int | None:
        return self.result.get("epoch") if self.result else None

    @property
    def status(self) -> str:
        """finished, stopped, failed, or running (no end was written: still going, or killed)."""
        return str(self.end.get("status", "finished")) if self.end else "running"

    @property
    def last_step(self) -> int:
        rows = [*self.train, *self.valid, *self.steps, *([self.end] if self.end else [])]
        return max((row["step"] for row in rows if isinstance(row.get("step"), int)), default=0)

    @property
    def last_epoch(self) -> int:
        """Completed epochs."""
        return max((row["epoch"] for row in self.train if isinstance(row.get("epoch"), int)), default=0)

    @property
    def title(self) -> tuple[str, str]:
        """Names of the data and of the model."""
        model = self.header.get("model") or {}
        config_model = (self.header.get("config") or {}).get("model") or {}
        return plain(self.data.get("name", "data")), plain(model.get("name") or config_model.get("name") or "model")


def score_name(row: Row) -> str | None:
    """The headline metric among a validation row's figures."""
    names = [name for name, value in row.items() if name not in NOT_A_METRIC and isinstance(value, int | float)]
    return next((name for name in USUAL_SCORES if name in names), names[0] if names else None)


def read_run(run: Run) -> Reading:
    """Read everything that a report shows. Files that cannot be read become notes."""
    header = run.header
    reading = Reading(run, header, dict(header.get("data") or {}))
    predictions_file = None
    curves = {"train": reading.train, "valid": reading.valid, "train_step": reading.steps}
    for row in run.events():
        kind = row.get("kind")
        if kind == "metric":
            curves.get(row.get("split", ""), []).append(row)
            reading.end = None  # rows after an end: the run was resumed
        elif kind == "result" and (row.get("split") == "test" or reading.result is None or _same_split(row, reading)):
            reading.result = row
        elif kind == "predictions":
            predictions_file = row
        elif kind == "throughput":
            reading.throughput = row
        elif kind == "note":
            reading.notes.append(plain(row.get("text", "")))
        elif kind == "finding":
            same = [found for found in reading.findings if _place(found) != _place(row)]
            reading.findings = [*same, row]  # one that has become graver is written again
        elif kind == "trial":
            reading.trials.append(row)
        elif kind == "probe":
            reading.examined = True
        elif kind == "end":
            reading.end = row
    if predictions_file is not None:
        reading.predictions = _arrays(reading, str(predictions_file.get("file", "predictions.npz")))
        reading.predictions_split = plain(predictions_file.get("split", "test"))
    if (run.path / "samples.npz").exists():
        reading.samples = _arrays(reading, "samples.npz")
    return reading


def _place(finding: Row) -> tuple[str, str]:
    return str(finding.get("code", "")), str(finding.get("where", ""))


def _same_split(row: Row, reading: Reading) -> bool:
    return reading.result is not None and reading.result.get("split") == row.get("split")


def _arrays(reading: Reading, name: str) -> dict[str, np.ndarray]:
    """Arrays of an .npz file of the run folder; damaged or missing ones are noted. Nothing is unpickled."""
    import zipfile
    import zlib

    import numpy as np

    path = reading.run.path / name
    if path.parent != reading.run.path:
        reading.notes.append(f"{plain(name)} does not lie in the run folder and was not read.")
        return {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        reading.notes.append(f"{plain(name)} could not be read ({plain(error)}); what it would show is left out.")
        return {}


def score_title(reading: Reading) -> str:
    """`test accuracy`, or `validation R²`."""
    split = reading.result.get("split", "test") if reading.result else "valid"
    return f"{'validation' if split == 'valid' else plain(split)} {label(reading.score or 'loss')}"
