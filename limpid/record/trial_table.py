"""The trials of a search as its record tells them, for whoever judges or shows a search. Needs nothing but the rows.

    header    kind "search", space, sampler, pruner, budget, seeds, metric, higher_is_better, epochs
    rows      {"kind": "member", "stage": "search" | "tightened" | "final", "params", "seed", "number", "state", ...}
              {"kind": "metric", "member": n, "split": "valid", "epoch": 3, ...}
              {"kind": "winner", "params", "numbers", "figure", ...}

A search that is running, or was killed, has fewer rows, and every reader expects that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Row = Mapping[str, Any]

FEW_ROWS = 200  # of a validation split, where the record does not say
FINAL = "final"  # the stage in which the best trials are trained again from fresh seeds


@dataclass(frozen=True)
class Range:
    """What was searched of one option: its bounds or its values, and the scale that they are spread over.

    Attributes:
        path: "section.key" of the configuration.
        kind: linear, log, whole, choice or pattern.
        low, high: bounds, both within; 0 of choices and patterns.
        choices: values of a choice.
        on_log: whether the range is spread over a log scale.
        when: the option is asked only where each option named here has one of these values.
    """

    path: str
    kind: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()
    on_log: bool = False
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Row) -> Range:
        """The range of a knob of the header's space."""
        when = {path: tuple(values) for path, values in (row.get("when") or {}).items()}
        on_log = row.get("kind") == "log" or bool(row.get("log"))
        choices = tuple(row.get("choices") or ())
        low, high = float(row.get("low") or 0.0), float(row.get("high") or 0.0)
        return cls(str(row["path"]), str(row.get("kind", "choice")), low, high, choices, on_log, when)

    @property
    def is_number(self) -> bool:
        """Whether its values lie on a line between two bounds."""
        return self.kind in ("linear", "log", "whole")

    @property
    def decades(self) -> float:
        """Width of a log range in factors of ten; 0 of any other."""
        return math.log10(self.high / self.low) if self.on_log and 0 < self.low < self.high else 0.0

    def place(self, value: Any) -> float | None:
        """Where a value lies, from 0 at `low` to 1 at `high` on the knob's scale; None for what has no place."""
        if not self.is_number or not isinstance(value, int | float) or self.high <= self.low:
            return None
        if not self.on_log:
            return (value - self.low) / (self.high - self.low)
        return math.log(value / self.low) / math.log(self.high / self.low) if value > 0 < self.low else None


@dataclass(frozen=True)
class Trial:
    """One network of a search, and what came of it.

    Attributes:
        number: of the member.
        stage: search, tightened or final.
        params: values of the options that it was asked with.
        seed: of its training.
        state: finished, failed or pruned.
        reason: why it ended.
        figure: the search's metric on the validation rows in its best epoch; NaN where there is none.
        curve: that metric epoch by epoch: pairs of epoch and figure.
        best_epoch, epochs: of the weights that were kept, and that were trained.
        seconds: of its training.
    """

    number: int
    stage: str
    params: Mapping[str, Any]
    seed: int
    state: str
    reason: str = ""
    figure: float = math.nan
    curve: tuple[tuple[int, float], ...] = ()
    best_epoch: int = 0
    epochs: int = 0
    seconds: float = 0.0

    @property
    def has_figure(self) -> bool:
        """Whether it finished with a finite figure, so that it can be compared."""
        return self.state == "finished" and math.isfinite(self.figure)


@dataclass(frozen=True)
class Finalist:
    """A configuration that was trained again from fresh seeds."""

    params: Mapping[str, Any]
    trials: tuple[Trial, ...]

    @property
    def figures(self) -> tuple[float, ...]:
        """Of the trials that ended with one."""
        return tuple(trial.figure for trial in self.trials if trial.has_figure)

    @property
    def mean(self) -> float:
        """Of the figures; NaN where there are none."""
        return sum(self.figures) / len(self.figures) if self.figures else math.nan


class TrialTable:
    """The record of a search, sorted out.

    Args:
        header: content of run.json.
        rows: of events.jsonl, oldest first.

    Attributes:
        metric, higher_is_better: what trials are judged by.
        knobs: what is searched.
        all: every trial whose end is recorded, by number.
        winner, end: the rows that say who won, and that the search is over; None as long as there is none.
        importance: row of each knob that it was measured of.
        next: the row of the search that is recommended next.
        budget: trials that were asked for.
    """

    def __init__(self, header: Row, rows: Iterable[Row]) -> None:
        self.header = header
        self.metric = str(header.get("metric") or "loss")
        self.higher_is_better = bool(header.get("higher_is_better"))
        knobs = (header.get("space") or {}).get("knobs") or ()
        self.knobs: tuple[Range, ...] = tuple(Range.of(knob) for knob in knobs)
        self.winner: Row | None = None
        self.end: Row | None = None
        self.importance: dict[str, Row] = {}
        self.budget: int | None = header["budget"] if isinstance(header.get("budget"), int) else None
        self.next: Row | None = None
        members: dict[int, Row] = {}
        heard: dict[int, dict[int, float]] = {}
        for row in rows:
            kind = row.get("kind")
            if kind == "member" and isinstance(row.get("number"), int):
                members[row["number"]] = row
                self.end = None  # rows behind an end: the search went on
            elif kind == "metric" and row.get("split") == "valid" and isinstance(row.get(self.metric), int | float):
                heard.setdefault(row.get("member", -1), {})[int(row.get("epoch", 0))] = float(row[self.metric])
            elif kind == "winner":
                self.winner = row
            elif kind == "importance":
                self.importance[str(row.get("knob"))] = row
            elif kind == "next":
                self.next = row
            elif kind == "extension":
                self.budget = row["budget"]
            elif kind == "end":
                self.end = row
        self.all: tuple[Trial, ...] = tuple(
            self._trial(row, heard.get(number, {})) for number, row in sorted(members.items())
        )

    def _trial(self, row: Row, heard: Mapping[int, float]) -> Trial:
        own = row.get("monitor") == self.metric
        figure = (row.get("valid") or {}).get(self.metric, row.get("figure") if own else None)
        curve = tuple(sorted(heard.items()))
        if not curve and own:
            curve = tuple(enumerate((float(value) for value in row.get("figures") or ()), 1))
        return Trial(
            number=row["number"],
            stage=str(row.get("stage", "search")),
            params=dict(row.get("params") or {}),
            seed=int(row.get("seed") or 0),
            state=str(row.get("state", "finished")),
            reason=str(row.get("reason") or ""),
            figure=float(figure) if isinstance(figure, int | float) else math.nan,
            curve=curve,
            best_epoch=int(row.get("best_epoch") or 0),
            epochs=int(row.get("epochs") or 0),
            seconds=float(row.get("seconds") or 0.0),
        )

    @cached_property
    def searched(self) -> tuple[Trial, ...]:
        """Every trial but those of the finalists' fresh seeds."""
        return tuple(trial for trial in self.all if trial.stage != FINAL)

    @cached_property
    def ranked(self) -> tuple[Trial, ...]:
        """Trials that finished with a figure, best first; of equals the earlier."""
        done = [trial for trial in self.searched if trial.has_figure]
        return tuple(sorted(done, key=lambda trial: (-self.goodness(trial.figure), trial.number)))

    @cached_property
    def chance(self) -> float | None:
        """The metric of knowing nothing but how frequent each class is; None where that cannot be told."""
        counts = [count for count in (self.header.get("data") or {}).get("class_counts") or () if count > 0]
        if len(counts) < 2 or (self.header.get("data") or {}).get("task") not in ("classification", "binary"):
            return None
        shares = [count / sum(counts) for count in counts]
        if self.metric == "accuracy":
            return max(shares)
        own = self.metric == "loss" and self.option("objective.loss") in (None, "auto", "cross_entropy")
        return -sum(share * math.log(share) for share in shares) if own else None

    def has_learned(self, trial: Trial) -> bool:
        """Whether a trial finished, with a figure better than that of knowing nothing: by a fiftieth of a loss, by two
        standard errors of an accuracy over the validation rows, but no more than a fifth of what there is to learn."""
        if not trial.has_figure or self.chance is None:
            return trial.has_figure
        p, rows = self.chance, (self.header.get("data") or {}).get("num_valid") or FEW_ROWS
        least = min(2 * math.sqrt(p * (1 - p) / rows), (1 - p) / 5) if self.metric == "accuracy" else 0.02 * p
        return self.goodness(trial.figure) > self.goodness(p) + least

    @cached_property
    def finalists(self) -> tuple[Finalist, ...]:
        """Configurations that were trained again, best mean first; those without any figure last."""
        groups: dict[str, list[Trial]] = {}
        for trial in self.all:
            if trial.stage == FINAL:
                groups.setdefault(key_of(trial.params), []).append(trial)
        found = [Finalist(trials[0].params, tuple(trials)) for trials in groups.values()]
        return tuple(sorted(found, key=lambda one: -self.goodness(one.mean) if one.figures else math.inf))

    @property
    def ended(self) -> bool:
        """Whether the search was concluded: it finished, was stopped, or failed."""
        return self.end is not None

    @property
    def best_trial(self) -> Trial | None:
        """The winner's own trial of the search; before there is a winner, the best one so far."""
        if self.winner is not None:
            wanted = key_of(self.winner.get("params") or {})
            won = next((trial for trial in self.ranked if key_of(trial.params) == wanted), None)
            if won is not None:
                return won
        return self.ranked[0] if self.ranked else None

    def goodness(self, figure: float) -> float:
        """The figure, turned so that more is better."""
        return figure if self.higher_is_better else -figure

    def option(self, path: str) -> Any:
        """An option of the configuration that all trials share; None where it is open."""
        section, _, key = path.partition(".")
        return ((self.header.get("config") or {}).get(section) or {}).get(key)

    def planned_epochs(self, trial: Trial) -> int:
        """Epochs that a trial was to be trained; 0 where nobody said."""
        for value in (trial.params.get("training.epochs"), self.header.get("epochs"), self.option("training.epochs")):
            if isinstance(value, int) and value > 0:
                return value
        return 0

    def best_so_far(self) -> list[tuple[int, float]]:
        """Trials in the order of their numbers, with the best figure until then."""
        best, course = math.nan, []
        for trial in self.searched:
            if trial.has_figure and not self.goodness(best) >= self.goodness(trial.figure):
                best = trial.figure
            course.append((trial.number, best))
        return course


def key_of(params: Row) -> str:
    """A configuration as a text that is equal for equal values, in whatever order they stand."""
    return json.dumps(params, sort_keys=True, default=str)


def active(trials: Sequence[Trial], path: str) -> list[Trial]:
    """Those of the trials that were asked for this option."""
    return [trial for trial in trials if path in trial.params]
