"""The best few trials once more, from fresh seeds, and which of them wins.

The best of many trials owes some of its figure to luck: its seed suited it. So the finalists are trained again from
seeds that had no part in choosing them, the same seeds for all, and their means over these decide. Differences are
paired by seed, which takes the luck that seeds share out of them (Student's interval of the mean difference).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.population.host import Told
from limpid.population.member import Member, Outcome
from limpid.reporting.intervals import mean_interval
from limpid.reporting.population import Spread
from limpid.reporting.text import SHARES
from limpid.search.folder import FINAL, Row, SearchFolder, repeat
from limpid.search.trials import Audience

FIRST_FINAL = 1_000_000  # number of the first of these members; smaller ones are those of trials


@dataclass(frozen=True)
class Finalist:
    """A configuration that was among the best, and its figures from fresh seeds.

    Attributes:
        trial: its row among the trials.
        rows: of the same configuration from fresh seeds, in the order of the seeds.
        metric: that they are judged by.
        judged: validation rows that each figure comes from; 0: unknown.
    """

    trial: Row
    rows: tuple[Row, ...] = ()
    metric: str = "loss"
    judged: int = 0

    @property
    def figures(self) -> tuple[float, ...]:
        """Of the fresh seeds; NaN for one that did not finish."""
        return tuple(row["figure"] if row["state"] == "finished" else math.nan for row in self.rows)

    @property
    def figure(self) -> float:
        """What it is judged by: the mean over fresh seeds, or the trial's own where there are none."""
        return fmean(self.figures) if self.rows else self.trial["figure"]

    @property
    def interval(self) -> tuple[float, float]:
        """Of that mean, 95 %; NaN with fewer than two seeds, and where one did not finish."""
        if not self.rows:
            return math.nan, math.nan
        spread = Spread.of(self.figures, self.metric, judged=self.judged)
        return spread.low, spread.high

    def lead(self, other: Finalist) -> tuple[float, tuple[float, float]]:
        """Mean difference to another over the same seeds, and its 95 % interval; NaN with fewer than two seeds."""
        step = 1 / self.judged if self.metric in SHARES and self.judged else 0.0
        differences = np.subtract(self.figures, other.figures)
        bounds = mean_interval(differences, step=step) if len(differences) > 1 else (math.nan, math.nan)
        return self.figure - other.figure, bounds


class Finals:
    """The host of the finalists' members: those that no earlier process has trained.

    Args:
        folder: gets a row for each.
        base: configuration that every trial changes.
        audience: is told of each.
    """

    def __init__(self, folder: SearchFolder, base: Config, audience: Audience) -> None:
        self._folder, self._base, self._audience = folder, base, audience
        self._seeds = [(folder.plan.seed + i) % 2**31 for i in range(1, folder.plan.seeds + 1)]
        self._trials = folder.best_trials()
        first = max([FIRST_FINAL - 1, *(row["number"] for row in folder.finals.values())]) + 1
        wanted = [(trial, seed) for trial in self._trials for seed in self._seeds]
        missing = [(trial, seed) for trial, seed in wanted if repeat(trial["params"], seed) not in folder.finals]
        self._waiting = list(enumerate(missing, first))
        self._training: dict[int, tuple[Row, int]] = {}
        audience.finals(len(missing))

    def next(self) -> Member | None:
        if not self._waiting:
            return None
        number, (trial, seed) = self._waiting.pop(0)
        self._training[number] = (trial, seed)
        patch = self._folder.space.patch(trial["params"])
        return Member(number, with_options(self._base, {**patch, "seed": seed}))

    def epochs(self, told: Sequence[Told]) -> list[bool]:
        for _ in told:
            self._audience.epoch()
        return [True] * len(told)

    def done(self, member: Member, outcome: Outcome) -> None:
        trial, seed = self._training.pop(member.number)
        self._audience.final(self._folder.add(FINAL, trial["params"], seed, outcome, trial=trial["number"]))

    def ranked(self) -> list[Finalist]:
        """The finalists, best first; one of whose seeds some did not finish is behind those whose all did."""
        judged = int(self._folder.run.header["data"].get("num_valid") or 0)
        found = []
        for trial in self._trials:
            rows = tuple(self._folder.finals[repeat(trial["params"], seed)] for seed in self._seeds)
            found.append(Finalist(trial, rows, self._folder.plan.metric, judged))
        sign = -1.0 if self._folder.plan.higher_is_better else 1.0
        return sorted(found, key=lambda one: (math.isnan(one.figure), sign * one.figure, one.trial["number"]))
