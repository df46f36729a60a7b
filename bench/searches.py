"""Trials and seconds that each sampler and pruner needs to reach a fixed score: `python -m bench.searches`.

Three problems: digits, the table of breast cancers, and a regression (Friedman 1). The space is the default one, with
the batch size fixed. The score to reach is what the best twentieth of trials drawn at random reaches, in draws of their
own: random search needs about 14 trials in the median by construction. Every search is repeated from several seeds,
which draw what is tried and the networks' first weights; the hold-out stays. Trials are counted in the order in which
they were asked for. Medians with distribution-free intervals; a search that does not get there within its budget counts
as longer than all others.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.summary import number
from limpid.config import Config
from limpid.config_reader import with_options
from limpid.population.executors import train_population
from limpid.population.ground import Ground
from limpid.population.host import Told
from limpid.population.member import Member, Outcome
from limpid.search.default_space import default_space
from limpid.search.plan import rises
from limpid.search.pruners import build_pruner
from limpid.search.samplers import SAMPLERS, build_sampler
from limpid.search.space import Space
from limpid.search.study import Study

# Sampler and pruner of each way; pruners are tried with the sampler that needs none of the others' answers.
WAYS = (
    *((sampler, "none") for sampler in SAMPLERS),
    *(("random", name) for name in ("median", "halving", "hyperband")),
)
POOL_SEED = 10_000  # of the trials that set the score; far from the seeds of the searches
BEST_SHARE = 0.05


@dataclass(frozen=True)
class Problem:
    """What is searched on, and by which figure."""

    name: str
    ground: Ground
    base: Config
    space: Space
    metric: str
    higher_is_better: bool
    epochs: int


@dataclass
class Race:
    """A host that asks a study until its figure is reached or the budget is spent.

    Attributes:
        target: figure to reach; None: train all.
        figures: of the trials that ended, in that order.
        reached: number, from 1, of the first trial that got there, and seconds until any did; None before.
    """

    problem: Problem
    study: Study
    budget: int
    seed: int
    target: float | None = None
    figures: list[float] = field(default_factory=list)
    reached: tuple[int, float] | None = None
    started: float = field(default_factory=time.perf_counter)

    def next(self) -> Member | None:
        most = self.study.sampler.most  # points of a grid
        limit = self.budget if most is None else min(most, self.budget)
        if self.reached or self.study.num_trials >= limit or not self.study.can_ask():
            return None
        asked = self.study.ask()
        options = {**self.problem.space.patch(asked.params), "seed": self.seed}
        return Member(asked.number, with_options(self.problem.base, options))

    def epochs(self, told: Sequence[Told]) -> list[bool]:
        return [self._goes_on(*one) for one in told]

    def _goes_on(self, member: Member, row: Mapping[str, Any], valid_row: Mapping[str, Any] | None) -> bool:
        assert valid_row is not None
        figure = valid_row[self.problem.metric]
        if self._is_enough(figure):
            seconds = self.reached[1] if self.reached else time.perf_counter() - self.started
            first = self.reached[0] if self.reached else member.number + 1
            self.reached = (min(first, member.number + 1), seconds)
        if self.reached and member.number + 1 >= self.reached[0]:
            return False  # trials that were asked for earlier go on: one of them may get there too
        return self.study.report(member.number, valid_row["epoch"], figure)

    def done(self, member: Member, outcome: Outcome) -> None:
        self.figures.append(outcome.figure)
        self.study.tell(member.number, outcome.state, outcome.figure)

    def _is_enough(self, figure: float) -> bool:
        if self.target is None:
            return False
        return figure >= self.target if self.problem.higher_is_better else figure <= self.target


def main() -> None:
    """Parse the command line, set the scores, run all ways in turn, print a table for each problem."""
    parser = argparse.ArgumentParser(prog="python -m bench.searches", description=__doc__)
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--samplers", nargs="*", choices=SAMPLERS, help="default all, and the pruners")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=60, help="trials of a search at most")
    parser.add_argument("--pool", type=int, default=200, help="trials that set the score")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--on", default="auto", help="the way to train")
    parser.add_argument("--quick", action="store_true", help="few, short trials, one seed: does everything run?")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.budget, options.pool, options.epochs = 1, 4, 5, 2
    ways = WAYS if options.samplers is None else tuple((sampler, "none") for sampler in options.samplers)
    for name in options.problems:
        problem = PROBLEMS[name](options.epochs)
        target = score_to_reach(problem, options.pool, on=options.on)
        found: dict[tuple[str, str], list[tuple[int, float] | None]] = {way: [] for way in ways}
        for seed in range(options.seeds):
            for way in ways:
                reached = run_race(problem, way, seed, options.budget, target, on=options.on).reached
                found[way].append(reached)
                said = f"{reached[0]} trials, {number(reached[1])} s" if reached else "not reached"
                print(f"{name} seed {seed} {way[0]}, pruner {way[1]}: {said}", file=sys.stderr, flush=True)
        sign = "at least" if problem.higher_is_better else "at most"
        print(f"\n### {name}: {problem.metric} {sign} {number(target)}, {options.epochs} epochs a trial\n")
        print(race_table(found, options.budget), flush=True)


def digits(epochs: int) -> Problem:
    return _problem("digits", Ground(), {"data__source": "digits", "batch_size": 64}, "log_loss", epochs)


def table(epochs: int) -> Problem:
    return _problem("table", Ground(), {"data__source": "breast-cancer", "batch_size": 32}, "log_loss", epochs)


def regression(epochs: int) -> Problem:
    from sklearn.datasets import make_friedman1

    x, y = make_friedman1(1500, noise=1.0, random_state=0)
    return _problem("regression", Ground(x, y), {"batch_size": 64}, "rmse", epochs)


PROBLEMS = {"digits": digits, "table": table, "regression": regression}


def _problem(name: str, ground: Ground, options: Mapping[str, Any], metric: str, epochs: int) -> Problem:
    fixed = {"model__name": "mlp", "epochs": epochs, "training__monitor": metric}
    base = with_options(Config(), {**options, **fixed})
    space = default_space(base, ground.dataset(base).spec)
    return Problem(name, ground, base, space, metric, rises(metric, base), epochs)


def score_to_reach(problem: Problem, trials: int, *, on: str = "auto") -> float:
    """The figure that the best `BEST_SHARE` of trials drawn at random reach."""
    race = run_race(problem, ("random", "none"), POOL_SEED, trials, None, on=on)
    known = sorted((figure for figure in race.figures if math.isfinite(figure)), reverse=problem.higher_is_better)
    return known[max(0, math.ceil(BEST_SHARE * len(race.figures)) - 1)]


def run_race(
    problem: Problem, way: tuple[str, str], seed: int, budget: int, target: float | None, *, on: str = "auto"
) -> Race:
    """One search, until it reaches the target."""
    with tempfile.TemporaryDirectory() as folder:
        sampler, pruner = build_sampler(way[0], seed, problem.space, budget), build_pruner(way[1], problem.epochs)
        path = Path(folder) / "study.log"
        study = Study(path, problem.name, sampler, pruner, higher_is_better=problem.higher_is_better)
        race = Race(problem, study, budget, seed, target)
        train_population(race, problem.ground, on=on)
        study.close()
    return race


def race_table(found: Mapping[tuple[str, str], Sequence[tuple[int, float] | None]], budget: int) -> str:
    """Median trials and seconds with intervals, and how many searches got there."""
    level = 100 * median_level(len(next(iter(found.values()))))
    interval = f"({level:.0f} % interval)" if level else "(one seed has no interval)"
    lines = [
        f"| sampler | pruner | trials, median {interval} | seconds, median {interval} | reached |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for (sampler, pruner), reached in found.items():
        trials = [one[0] if one else math.inf for one in reached]
        seconds = [one[1] if one else math.inf for one in reached]
        share = f"{sum(one is not None for one in reached)} of {len(reached)}"
        lines.append(
            f"| {sampler} | {pruner} | {median_text(trials, f'> {budget}')} | {median_text(seconds, '-')} | {share} |"
        )
    return "\n".join(lines)


def median_text(values: Sequence[float], never: str) -> str:
    """Median and interval from order statistics; `never` stands for what was not reached."""
    low, middle, high = median_interval(values)
    told = [number(value) if math.isfinite(value) else never for value in (middle, low, high)]
    return f"{told[0]} ({told[1]} to {told[2]})" if len(values) > 1 else told[0]


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Bounds of the median from the order of n values, and the median: x_(k+1) to x_(n-k).

    k is the largest with 2 P(Binomial(n, 1/2) <= k) <= 0.05, or 0; the level is `median_level`.
    """
    ordered, k = sorted(values), _left_out(len(values))
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return ordered[k], high if math.isinf(high) else (low + high) / 2, ordered[len(ordered) - 1 - k]


def median_level(n: int) -> float:
    """How surely the interval of `median_interval` holds the median of all: 1 - 2 P(Binomial(n, 1/2) <= k)."""
    return max(0.0, 1 - 2 * _tail(n, _left_out(n)))


def _left_out(n: int) -> int:
    return max((k for k in range(n // 2) if 2 * _tail(n, k) <= 0.05), default=0)


def _tail(n: int, k: int) -> float:
    return float(sum(math.comb(n, i) for i in range(k + 1)) / 2**n)


if __name__ == "__main__":
    main()
