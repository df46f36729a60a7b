"""Records of invented searches: a surface over the knobs, noise from seed to seed, courses over epochs, breakdowns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from limpid.doctor.evidence import Evidence
from limpid.record.run import Run

Params = dict[str, Any]
LR = {"path": "optim.lr", "kind": "log", "low": 1e-4, "high": 1.0}
DECAY = {"path": "optim.weight_decay", "kind": "log", "low": 1e-6, "high": 1e-2}
DROPOUT = {"path": "model.dropout", "kind": "linear", "low": 0.0, "high": 0.5}
HIDDEN = {"path": "model.hidden", "kind": "choice", "choices": [[32], [64], [64, 64], [128, 64]]}
BATCH = {"path": "training.batch_size", "kind": "choice", "choices": [16, 32, 64, 128]}
KNOBS = (LR, DECAY, DROPOUT, HIDDEN, BATCH)


def hill(params: Params, best: float = -1.7, bend: float = 0.05) -> float:
    """An accuracy: .97 at a rate of 10^best, less on either side; a little of dropout and of the other knobs."""
    rate = math.log10(params.get("optim.lr", 10**best))
    figure = 0.97 - bend * (rate - best) ** 2 - 0.04 * (params.get("model.dropout", 0.2) - 0.2) ** 2
    figure += {1: -0.004, 2: 0.0}.get(len(params.get("model.hidden", (1, 1))), 0.0)
    return max(figure, 0.1)


@dataclass
class Sweep:
    """How a search is invented; `evidence` draws it.

    Attributes:
        surface: accuracy at the end of a trial, without noise.
        noise: deviation of an accuracy from seed to seed.
        breaks: whether a trial diverges.
        speed: share of the epochs after which a trial has come 63 % of its way.
        best_at: share of the epochs at which the best one lies, 1 is the last.
        prune_at: epoch after which trials below the median of their fellows are let go; None: nothing is pruned.
        early: figure of a trial at that epoch, where it is not that of its course.
        finals: finalists and seeds of each.
    """

    knobs: tuple[Mapping[str, Any], ...] = KNOBS
    budget: int = 25
    epochs: int = 20
    surface: Callable[[Params], float] = hill
    noise: float = 0.004
    breaks: Callable[[Params, np.random.Generator], bool] = lambda params, draw: False
    reason: str = "The loss became NaN or infinite after step 40. It is that of a batch. The first weights are kept."
    speed: float = 0.15
    best_at: float = 0.95
    prune_at: int | None = None
    early: Callable[[Params, np.random.Generator], float] | None = None
    finals: tuple[int, int] = (3, 3)
    config: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: bool = True
    header: dict[str, Any] = field(default_factory=dict)

    def drawn(self, draw: np.random.Generator) -> Params:
        """Uniform values on each knob's own scale; a conditional knob only where it is asked."""
        params: Params = {}
        for knob in self.knobs:
            if any(params.get(path) not in values for path, values in knob.get("when", {}).items()):
                continue
            u = float(draw.random())
            if knob["kind"] == "choice":
                params[knob["path"]] = knob["choices"][int(u * len(knob["choices"]))]
            elif knob["kind"] == "log":
                params[knob["path"]] = knob["low"] * (knob["high"] / knob["low"]) ** u
            else:
                value = knob["low"] + u * (knob["high"] - knob["low"])
                params[knob["path"]] = round(value) if knob["kind"] == "whole" else value
        return params

    def rows(self, seed: int) -> list[dict[str, Any]]:
        """Rows of the record."""
        draw = np.random.default_rng(seed)
        rows: list[dict[str, Any]] = []
        early: list[float] = []
        for number in range(self.budget):
            row = self._trial(number, "search", self.drawn(draw), 0, draw, early)
            rows.append({**row, "seconds": 1.0 + float(draw.random())})
        done = sorted((row for row in rows if row["state"] == "finished"), key=lambda row: -row["figure"])
        finalists, seeds = self.finals
        for f, trial in enumerate(done[:finalists]):
            for s in range(1, seeds + 1):
                again = self._trial(1_000_000 + f * seeds + s, "final", trial["params"], s, draw, [])
                rows.append({**again, "trial": trial["number"], "seconds": 1.5})
        if self.ended and done:
            groups: dict[int, list[dict[str, Any]]] = {}
            for row in rows:
                if row["stage"] == "final" and row["state"] == "finished":
                    groups.setdefault(row["trial"], []).append(row)
            rows.append({"kind": "winner", "best": "best", **self._winner(groups or {done[0]["number"]: []}, done)})
        return rows + ([{"kind": "end", "status": "finished"}] if self.ended else [])

    def _trial(
        self, number: int, stage: str, params: Params, seed: int, draw: np.random.Generator, early: list[float]
    ) -> dict[str, Any]:
        row = {
            "kind": "member",
            "number": number,
            "stage": stage,
            "params": params,
            "seed": seed,
            "monitor": "accuracy",
        }
        if self.breaks(params, draw):
            return {**row, "state": "failed", "reason": self.reason, "figure": math.nan, "epochs": 1}
        end = self.surface(params) + self.noise * float(draw.normal())
        peak = max(1, round(self.best_at * self.epochs))
        course = []
        for epoch in range(1, self.epochs + 1):
            risen = (1 - math.exp(-epoch / (self.speed * self.epochs))) / (
                1 - math.exp(-peak / (self.speed * self.epochs))
            )
            value = 0.1 + (end - 0.1) * min(risen, 1.0) - 0.002 * max(0, epoch - peak)
            course.append(value + 0.3 * self.noise * float(draw.normal()) * (epoch != peak))
        if self.prune_at is not None and stage != "final":
            if self.early is not None:
                course[self.prune_at - 1] = self.early(params, draw)
            early.append(course[self.prune_at - 1])
            if len(early) > 5 and early[-1] < float(np.median(early[:-1])):
                course = course[: self.prune_at]
                reason = f"let go after epoch {self.prune_at}: by median"
                return {**row, "state": "pruned", "reason": reason, **self._figures(course)}
        return {**row, "state": "finished", "reason": "all epochs done", **self._figures(course)}

    def _winner(self, groups: dict[int, list[dict[str, Any]]], done: list[dict[str, Any]]) -> dict[str, Any]:
        """Who has the best mean over fresh seeds, and by how much."""
        own = {row["number"]: row for row in done}
        figures = {number: [row["figure"] for row in group] for number, group in groups.items()}
        means = {number: float(np.mean(each)) if each else own[number]["figure"] for number, each in figures.items()}
        first, *rest = sorted(means, key=lambda number: -means[number])
        row = {"trial": first, "params": own[first]["params"], "numbers": [one["number"] for one in groups[first]]}
        row |= {"metric": "accuracy", "figure": means[first], "figures": figures[first], "interval": [math.nan] * 2}
        row |= {"finalists": [{"trial": n, "figure": means[n], "figures": figures[n]} for n in (first, *rest)]}
        if rest and len(figures[first]) > 1 and len(figures[first]) == len(figures[rest[0]]):
            differences = np.subtract(figures[first], figures[rest[0]])
            lead, half = float(differences.mean()), float(4.30 * differences.std(ddof=1) / math.sqrt(len(differences)))
            row |= {"interval": [means[first] - half, means[first] + half], "second": rest[0], "lead": lead}
            row |= {"lead_interval": [lead - half, lead + half], "tied": lead - half <= 0 <= lead + half}
        return row

    def _figures(self, course: list[float]) -> dict[str, Any]:
        best = int(np.argmax(course))
        figures = {
            "figure": course[best],
            "figures": course,
            "valid": {"accuracy": course[best], "loss": 1 - course[best]},
        }
        return {**figures, "best_epoch": best + 1, "epochs": len(course)}

    def head(self) -> dict[str, Any]:
        """Content of run.json."""
        basic = {"id": "8f3a", "kind": "search", "created": "2026-01-02T03:04:05+00:00", "limpid": "0.1.0", "seed": 0}
        basic |= {"space": {"origin": "a space", "knobs": [dict(knob) for knob in self.knobs]}, "budget": self.budget}
        basic |= {"sampler": "random", "pruner": "median" if self.prune_at else "none", "seeds": self.finals[1]}
        basic |= {"metric": "accuracy", "higher_is_better": True, "epochs": self.epochs, "config": self.config}
        return basic | {"data": {"name": "digits", "task": "classification"}, **self.header}

    def write(self, seed: int, path: Path) -> None:
        """The same as a run folder."""
        run = Run.create(path, self.head())
        for row in self.rows(seed):
            run.add(**row)
        run.close()

    def evidence(self, seed: int = 0) -> Evidence:
        """The record as rules see it."""
        return Evidence(self.head(), self.rows(seed))
