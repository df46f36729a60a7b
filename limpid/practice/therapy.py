"""What was tried on a run and what came of it; and who is told while it goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from limpid.config import Config
from limpid.doctor.finding import Finding
from limpid.doctor.gain import LEVEL, RELEVANT
from limpid.practice.trial import Trial
from limpid.practice.yardstick import Judgement

Z = 1.96  # 95 % of a normal distribution


@dataclass(frozen=True)
class Therapy:
    """What was tried on a run, and what came of it.

    Attributes:
        trials: in the order in which they were made.
        patch: all accepted changes together; empty where nothing was accepted.
        config: the run's configuration with them.
        figure: what the trials compared last.
        before: the run's best network on its validation rows.
        after: that of the new run.
        path: folder of the new run.
        untried: (treatment, code of its finding) for which the budget did not last.
        seconds: that the trials took.
    """

    trials: tuple[Trial, ...]
    patch: dict[str, Any]
    config: Config
    figure: str
    before: Judgement | None
    after: Judgement | None = None
    path: str = ""
    untried: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0

    def to_row(self) -> dict[str, Any]:
        """Plain values, for machines and for reporting/therapy_lines.py."""
        row: dict[str, Any] = {
            "trials": [trial.to_row() for trial in self.trials],
            "patch": self.patch,
            "figure": self.figure,
            "level": LEVEL,
            "relevant": RELEVANT,
            "untried": [list(pair) for pair in self.untried],
            "seconds": self.seconds,
            "path": self.path,
        }
        for name, judgement in (("before", self.before), ("after", self.after)):
            if judgement is not None:
                row[name] = {
                    "loss": judgement.loss,
                    "score": judgement.score,
                    "interval": list(judgement.interval),
                    "name": judgement.name,
                    "n": len(judgement.losses_N),
                }
        if self.before is not None and self.after is not None:
            row["gain"] = _row_gain(self.before, self.after)
        return row


class Audience(Protocol):
    """Who is told: a terminal, or nobody."""

    def now(self, text: str, seconds: float) -> None:
        """What goes on just now, so many seconds after the beginning."""

    def trial(self, row: dict[str, Any]) -> None:
        """A trial is over."""

    def passed_over(self, finding: Finding) -> None:
        """A finding that what was accepted before has cured."""


class Nobody:
    """An audience that is not there."""

    def now(self, text: str, seconds: float) -> None: ...
    def trial(self, row: dict[str, Any]) -> None: ...
    def passed_over(self, finding: Finding) -> None: ...


def _row_gain(before: Judgement, after: Judgement) -> dict[str, Any]:
    """How much lower the figure of the same rows is afterwards, with its 95 % interval over rows."""
    lower_N = before.losses_N - after.losses_N
    half = Z * float(np.std(lower_N, ddof=1)) / math.sqrt(len(lower_N)) if len(lower_N) > 1 else math.nan
    mean = float(lower_N.mean())
    return {"mean": mean, "interval": [mean - half, mean + half]}
