"""Goodfellow's procedure: random trials, the best two or three of them, tighter ranges around those, random trials.

Ian Goodfellow's answer on Quora (2017): run 25 random jobs in parallel, pick the best two or three, tighten the
distributions around them, run 25 more. With another budget the first stage takes the larger half.
"""

from __future__ import annotations

from collections.abc import Sequence

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from limpid.search.sampler import Sampler, drawn
from limpid.search.space import SHRINK, Params, Space

KEPT = 3  # of the first stage; 2 where it has fewer than ten trials
FEW = 10


class TwoStage(Sampler):
    """Random points of the space, then random points of the space around the best of them.

    Where a pruner left fewer than two to three to finish, those count too that it let go last.
    """

    name = "two-stage"

    def __init__(self, space: Space, seed: int, budget: int, *, shrink: float = SHRINK) -> None:
        super().__init__(space, seed)
        self.startup = self.first = first_stage(budget)
        self.wave = max(budget, 1)  # the second stage learns from the first alone
        self.shrink = shrink

    def stage(self, number: int) -> str:
        return "search" if number < self.first else "tightened"

    def params(self, study: Study, number: int) -> Params:
        space = self.space if number < self.first else self.tightened(study)
        return drawn(space, self.seed, number)

    def tightened(self, study: Study) -> Space:
        """The space of the second stage; that of the first where no trial of it finished."""
        trials, count = self.seen(study, self.first), kept(self.first)
        best = best_trials(trials, study.direction, count)
        best += nearly_best(trials, study.direction)[: count - len(best)]
        if not best:
            return self.space
        return self.space.tightened([self.space.params_of(trial) for trial in best], self.shrink)


def first_stage(budget: int) -> int:
    """Trials of the first stage: the larger half of the budget."""
    return max(1, (budget + 1) // 2)


def kept(num_trials: int) -> int:
    """How many of the best the second stage is tightened around."""
    return KEPT if num_trials >= FEW else KEPT - 1


def nearly_best(trials: Sequence[FrozenTrial], direction: StudyDirection) -> list[FrozenTrial]:
    """Trials that a pruner let go, those that it kept longest first; by their last figure."""
    sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
    let_go = [trial for trial in trials if trial.state == TrialState.PRUNED and trial.intermediate_values]
    last = {trial.number: max(trial.intermediate_values) for trial in let_go}
    return sorted(let_go, key=lambda t: (-last[t.number], sign * t.intermediate_values[last[t.number]], t.number))


def best_trials(trials: Sequence[FrozenTrial], direction: StudyDirection, count: int) -> list[FrozenTrial]:
    """The best trials that finished with a figure, best first; of equals the earlier."""
    done = [t for t in trials if t.state == TrialState.COMPLETE and t.value is not None and t.value == t.value]
    sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
    return sorted(done, key=lambda trial: (sign * float(trial.value or 0.0), trial.number))[:count]
