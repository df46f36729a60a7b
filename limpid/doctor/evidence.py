"""What rules read: the header and the rows of a record, sorted out. Anything may be missing, and numbers may be NaN.

Rows that probes and monitors write:

    {"kind": "probe",   "name": "loss_at_start", "values": {...}}                   measured once
    {"kind": "monitor", "name": "update_norm", "step": 120, "values": {"layers.0.weight": 0.003, ...}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from limpid.doctor.numbers import number
from limpid.record.run import Run
from limpid.record.trial_table import TrialTable

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """One measurement of a monitor: a number, or several statistics, for each place (layer, tensor)."""

    step: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Curve:
    """Losses of single steps as recorded: about 500 of them over the run."""

    steps: tuple[int, ...]
    losses: tuple[float, ...]
    lrs: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True)
class Epoch:
    """One epoch: its training loss (a running mean, with dropout and augmentation on) and what evaluation said."""

    epoch: int
    step: int  # updates so far
    loss: float
    lr: float
    valid: Row | None  # loss and metrics of the validation split
    fixed: Row | None  # loss and metrics of fixed training rows in evaluation mode, to be held beside `valid`


class Evidence:
    """A record as rules see it.

    Args:
        header: content of run.json, or as much of it as there is (a user's own loop has little).
        rows: of events.jsonl, oldest first.
        predictions: arrays of predictions.npz, if there are any.
    """

    def __init__(
        self, header: Row, rows: Iterable[Row], predictions: Mapping[str, Any] | None = None, path: str = ""
    ) -> None:
        self.header = header
        self.rows = list(rows)
        self.predictions = predictions
        self.path = path  # of the run folder, for messages

    @classmethod
    def of(cls, run: Run) -> Evidence:
        """The evidence of a run folder."""
        file = run.path / "predictions.npz"
        arrays = None
        if file.is_file():
            import numpy as np

            with np.load(file, allow_pickle=False) as stored:
                arrays = dict(stored)
        return cls(run.header, run.events(), arrays, str(run.path))

    def option(self, path: str, default: Any = None) -> Any:
        """An option of the resolved configuration: `option("optim.lr")`."""
        section, _, key = path.partition(".")
        return (self.header.get("config") or {}).get(section, {}).get(key, default)

    def given(self, path: str) -> bool:
        """Whether the user asked for this option himself."""
        section, _, key = path.partition(".")
        return key in (self.header.get("given") or {}).get(section, {})

    @property
    def scope(self) -> str:
        """What the record is of: "run", one training run, or "search"."""
        return "search" if self.header.get("kind") == "search" else "run"

    @cached_property
    def trials(self) -> TrialTable | None:
        """The trials of a search; None for a run."""
        return TrialTable(self.header, self.rows) if self.scope == "search" else None

    @property
    def spec(self) -> Row:
        """The DataSpec as a mapping."""
        return self.header.get("data") or {}

    @property
    def task(self) -> str:
        """The task, "classification" and so on; "" where it is not known."""
        return str(self.spec.get("task", ""))

    @cached_property
    def _probes(self) -> dict[str, Row]:
        return {row["name"]: row.get("values") or {} for row in self.rows if row.get("kind") == "probe"}

    @cached_property
    def _readings(self) -> dict[str, list[Reading]]:
        readings: dict[str, list[Reading]] = {}
        for row in self.rows:
            if row.get("kind") == "monitor":
                readings.setdefault(row["name"], []).append(Reading(row["step"], row["values"]))
        return readings

    def probe(self, name: str) -> Row | None:
        """The latest values of a probe; None when it was not measured or did not apply."""
        return self._probes.get(name) or None

    def readings(self, name: str) -> list[Reading]:
        """All measurements of a monitor, oldest first."""
        return self._readings.get(name, [])

    @cached_property
    def curve(self) -> Curve:
        """The losses of single steps."""
        rows = [row for row in self.rows if row.get("kind") == "metric" and row.get("split") == "train_step"]
        rows.sort(key=lambda row: row["step"])
        return Curve(
            tuple(row["step"] for row in rows),
            tuple(number(row.get("loss")) for row in rows),
            tuple(number(row.get("lr")) for row in rows),
        )

    @cached_property
    def epochs(self) -> list[Epoch]:
        """The epochs so far."""
        by_split: dict[str, dict[int, Row]] = {"train": {}, "valid": {}, "train_fixed": {}}
        for row in self.rows:
            if row.get("kind") == "metric" and row.get("split") in by_split:
                by_split[row["split"]][row["epoch"]] = row
        return [
            Epoch(
                epoch,
                row["step"],
                number(row.get("loss")),
                number(row.get("lr")),
                by_split["valid"].get(epoch),
                by_split["train_fixed"].get(epoch),
            )
            for epoch, row in sorted(by_split["train"].items())
        ]

    @property
    def planned_steps(self) -> int | None:
        """Updates that the whole run was to take."""
        plan = self.probe("plan")
        return None if plan is None else plan.get("num_steps")

    @cached_property
    def ended(self) -> Row | None:
        """The row that closed the run: status "finished", "stopped" or "failed"."""
        rows = [row for row in self.rows if row.get("kind") == "end"]
        return rows[-1] if rows else None

    @cached_property
    def result(self) -> Row | None:
        """The score of the held-out split."""
        rows = [row for row in self.rows if row.get("kind") == "result"]
        return rows[-1] if rows else None
