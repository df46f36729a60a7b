"""Trainings that differ in one thing, from the same seed: what each of them ends with on the validation rows.

A twin is a whole training without a run folder. It starts from the first weights, batch order and split that its
sibling has, and is judged on validation rows alone; no test split is made or read here.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.data.dataset import Dataset
from limpid.errors import ConfigError, NonFiniteLoss
from limpid.models.registry import build_model
from limpid.opening import read_data
from limpid.practice.examination import Examiner, subject_of
from limpid.practice.yardstick import Judgement, judge_network
from limpid.probes.probe import measure
from limpid.probes.registry import PROBES
from limpid.start import load_start
from limpid.training.checkpoint import TrainingState
from limpid.training.history import Silence
from limpid.training.loop import fit
from limpid.training.randomness import own_randomness
from limpid.wiring import Wiring, wire

DRAWN_ANEW = ("init", "bias_init", "embedding_init", "activation", "start")


class OutOfBudget(Exception):
    """The budget of trials is used up; what was finished before stands."""


@dataclass(frozen=True)
class Budget:
    """What trials may take, together: seconds of the clock, or steps of training, which are the same everywhere."""

    seconds: float = math.inf
    steps: float = math.inf

    @classmethod
    def parse(cls, text: str | float) -> Budget:
        """`90`, `90s`, `5m`, `1.5h`, `20000 steps`. Raises ConfigError for anything else.

        >>> Budget.parse("5m").seconds
        300.0
        """
        form = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|steps)?\s*", str(text))
        if form is None or not float(form[1]) > 0:
            raise ConfigError(
                f"budget={text}: expected a time such as 90s, 5m or 1h, or a number of steps: 20000 steps."
            )
        if form[2] == "steps":
            return cls(steps=float(form[1]))
        return cls(seconds=float(form[1]) * {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600}[form[2]])


@dataclass(frozen=True)
class Outcome:
    """What one twin ends with.

    Attributes:
        judgement: of its best weights on the validation rows.
        steps: updates that were taken.
        failed: the loss became NaN or infinite; the best weights before that are judged.
        rows: what the twin's record would hold, if it was examined.
        header: of that record.
        asked: names of the probes that were asked for.
    """

    judgement: Judgement
    steps: int
    seconds: float
    failed: bool
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    header: Mapping[str, Any] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()


class Nursery:
    """Trains twins of one run, each once, on data that are read once.

    Args:
        config: of the run, resolved.
        source, y: the data, where they were handed over in Python.
        budget: of all trainings together.
        clock: seconds.
    """

    def __init__(
        self,
        config: Config,
        source: Any = None,
        y: Any = None,
        *,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self.y, self.budget, self._clock = config, y, budget or Budget(), clock
        self.source = config.data.source if source is None else source
        self.trainings = self.steps = 0  # so far
        self._started = clock()
        self._datasets: dict[str, Dataset] = {}
        self._outcomes: dict[str, Outcome] = {}

    @property
    def seconds(self) -> float:
        """Since the nursery was opened."""
        return self._clock() - self._started

    def can_afford(self, seconds: float, steps: float = 0.0) -> bool:
        """Whether so much more is within the budget."""
        return self.seconds + seconds <= self.budget.seconds and self.steps + steps <= self.budget.steps

    def dataset(self, config: Config) -> Dataset:
        """The data as this configuration reads them, split as the run's were."""
        key = json.dumps(config.data.model_dump(mode="json"), sort_keys=True)
        if key not in self._datasets:
            seeded = with_options(config, {"seed": self.config.training.seed})
            dataset = read_data(self.source, seeded, self.y, None)
            self._datasets[key] = replace(dataset, make_test=lambda: None)  # no trial reads it, whatever it does
        return self._datasets[key]

    def raise_twin(
        self,
        config: Config,
        seed: int,
        figure: str,
        *,
        share: float = 1.0,
        like: Config | None = None,
        examined: Sequence[str] | None = None,
    ) -> Outcome:
        """Train with this configuration from this seed, and judge the result on the validation rows.

        Args:
            config: resolved, with a treatment or without.
            seed: of first weights, batch order and augmentation; the split stays the run's.
            figure: name of the figure; see `figure_for`.
            share: of the steps that are taken, the course of the rate squeezed into them.
            like: the untreated configuration whose first weights are taken over where shapes allow.
            examined: also write down what the doctor's checks read: monitors, and these probes besides the cheap ones.

        Raises OutOfBudget when the time is over.
        """
        key = json.dumps([config.model_dump(mode="json"), seed, share, figure], sort_keys=True)
        if key not in self._outcomes or (examined is not None and not set(examined) <= self._outcomes[key].asked):
            self._outcomes[key] = self._train(config, seed, figure, share, like, examined)
        return self._outcomes[key]

    def wiring(self, config: Config, seed: int, share: float = 1.0, like: Config | None = None) -> Wiring:
        """The parts of a twin."""
        dataset, start = self.dataset(config), load_start(config.model.start) if config.model.start else None
        seeded = with_options(config, {"seed": seed})
        wiring = wire(seeded, dataset, start=start)
        if share < 1.0:
            short = {"training__steps": max(1, int(share * wiring.plan.num_steps)), "training__evaluate_every": 1}
            wiring = wire(with_options(seeded, {**short, "training__evaluate_from": 1}), dataset, start=start)
        if like is not None and like.model != config.model and not _draws_anew(like, config):
            fresh = build_model(like.model, self.dataset(like).spec, seed=seed)
            copy_where_equal(fresh, wiring.network)
        return wiring

    def _train(
        self, config: Config, seed: int, figure: str, share: float, like: Config | None, examined: Sequence[str] | None
    ) -> Outcome:
        if not self.can_afford(0.0, 1.0):
            raise OutOfBudget
        started = time.perf_counter()
        self.trainings += 1
        wiring = self.wiring(config, seed, share, like)
        plan = replace(wiring.plan, checkpoint_seconds=math.inf, checkpoint_steps=None)
        book = Notebook({} if examined is None else wiring.header(config))
        watch = _Watch(self)
        examiner = None if examined is None else Examiner(book, watch)  # type: ignore[arg-type]
        saved: list[TrainingState] = []
        failed = False
        with own_randomness(seed), wiring.fast_roads():
            monitors = None
            if examiner is not None:
                examiner.examine(wiring)
                monitors = examiner.monitors(wiring)
            watching = (book, watch) if examiner is None else (examiner, examiner)
            try:
                fit(wiring.parts, plan, *watching, save=saved.append, monitors=monitors)
            except NonFiniteLoss:
                failed = True
                if saved and saved[-1].best:
                    wiring.network.load_state_dict(saved[-1].best)
        judgement = judge_network(wiring, figure)
        steps = max((row["step"] for row in book.rows if row.get("split") == "train"), default=0)
        self.steps += steps
        outcome = Outcome(judgement, steps, time.perf_counter() - started, failed)
        if examined is None:
            return outcome
        for row in measure(
            subject_of(wiring), (one for one in PROBES if one.name in examined and one.when != "before")
        ):
            book.add("probe", **row)
        book.add("result", split="valid", step=steps, n=len(judgement.losses_N), **judgement.figures)
        book.add("end", status="failed" if failed else "finished", reason="", step=steps)
        return replace(outcome, rows=book.rows, header=book.header, asked=frozenset(("", *examined)))


class Notebook:
    """What stands in for a run folder: the rows that a record would hold, in memory."""

    def __init__(self, header: Mapping[str, Any]) -> None:
        self.header = header
        self.rows: list[Mapping[str, Any]] = []

    def add(self, kind: str, **fields: Any) -> None:
        self.rows.append({"kind": kind, **fields})

    def events(self, kind: str | None = None) -> list[Mapping[str, Any]]:
        return [row for row in self.rows if kind is None or row["kind"] == kind]


class _Watch(Silence):
    """Ends a training when the time is over."""

    def __init__(self, nursery: Nursery) -> None:
        self.nursery = nursery

    def step(self, step: int, loss: float) -> None:
        if not self.nursery.can_afford(0.0, step):
            raise OutOfBudget

    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None:
        self.step(row["step"], row["loss"])


def patched(config: Config, patch: Mapping[str, Any]) -> Config:
    """The configuration with some options changed, `{"optim.lr": 0.01}`."""
    return with_options(config, {path.replace(".", "__"): value for path, value in patch.items()})


def copy_where_equal(source: nn.Module, target: nn.Module) -> None:
    """Give layers of `target` the weights that layers of `source` have, in order, where their shapes are the same."""
    pairs = zip(_weighted(source), _weighted(target), strict=False)
    with torch.no_grad():
        for one, other in pairs:
            if one.weight.shape == other.weight.shape and type(one) is type(other):
                other.weight.copy_(one.weight)
                if one.bias is not None and other.bias is not None:
                    other.bias.copy_(one.bias)


def _weighted(network: nn.Module) -> list[Any]:
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return [module for module in network.modules() if isinstance(module, kinds)]


def _draws_anew(before: Config, after: Config) -> bool:
    """Whether the change is one of the first weights themselves."""
    return any(getattr(before.model, key) != getattr(after.model, key) for key in DRAWN_ANEW)
