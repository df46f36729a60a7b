"""The trials of a search as optuna knows them: what was asked, what was heard, what came of it."""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.trial import Trial, TrialState

from limpid.population.member import State
from limpid.search.journal import Journal
from limpid.search.sampler import Sampler
from limpid.search.space import Params

STATES = {"finished": TrialState.COMPLETE, "failed": TrialState.FAIL, "pruned": TrialState.PRUNED}
LET_GO = "let go after epoch"  # attribute of a trial that the pruner wants trained no further


@dataclass(frozen=True)
class Asked:
    """A trial: its number, its values, and the stage of the search that it belongs to."""

    trial: Trial
    number: int
    params: Params
    stage: str


class Study:
    """optuna's study in the file study.log, with a sampler of ours.

    Args:
        path: of the file.
        name: of the study, as optuna's dashboard shows it.
        sampler: says what is tried next.
        pruner: says which trials are let go.
        higher_is_better: of the figure.
    """

    def __init__(self, path: Path, name: str, sampler: Sampler, pruner: BasePruner, *, higher_is_better: bool) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.sampler, self._prunes = sampler, not isinstance(pruner, NopPruner)
        self._journal = Journal(path)
        self._study = optuna.create_study(
            storage=optuna.storages.JournalStorage(self._journal),
            sampler=sampler,
            pruner=pruner,
            study_name=name,
            direction="maximize" if higher_is_better else "minimize",
            load_if_exists=True,
        )
        self._running: dict[int, Trial] = {}

    @property
    def num_trials(self) -> int:
        """That were asked so far."""
        return len(self._study.get_trials(deepcopy=False))

    def left_over(self, recorded: Container[int]) -> list[Asked]:
        """Trials that an earlier process asked for and either told nothing of or did not record, in order."""
        trials = self._study.get_trials(deepcopy=False)
        open_ones = [one for one in trials if one.state == TrialState.RUNNING or one.number not in recorded]
        return [self._asked(Trial(self._study, one._trial_id), ended=one.state.is_finished()) for one in open_ones]

    def can_ask(self) -> bool:
        """Whether the next trial can be asked for now, or only when some that run have ended."""
        return self.sampler.ready(self._study)

    def ask(self) -> Asked:
        """The next trial, with all its values or not at all."""
        with self._journal.at_once():
            return self._asked(self._study.ask())

    def _asked(self, trial: Trial, *, ended: bool = False) -> Asked:
        if not ended:
            self._running[trial.number] = trial
        return Asked(trial, trial.number, self.sampler.space.ask(trial), self.sampler.stage(trial.number))

    def report(self, number: int, epoch: int, figure: float) -> bool:
        """Hear of a trial's figure after an epoch. False: the pruner wants it trained no further.

        Of a trial that is run again, the pruner is not asked again about epochs that it has judged: by now it would
        compare with more trials, and halving thinks that whoever has been judged at a rung has passed it.
        """
        trial = self._running.get(number)
        if not self._prunes or trial is None:
            return True
        heard = trial.storage.get_trial(trial._trial_id)
        if epoch in heard.intermediate_values:
            return bool(heard.user_attrs.get(LET_GO) != epoch)
        with self._journal.at_once():  # the figure and what the pruner says of it, or neither
            trial.report(figure, epoch)
            goes_on = not trial.should_prune()
            if not goes_on:
                trial.set_user_attr(LET_GO, epoch)
        return goes_on

    def tell(self, number: int, state: State, figure: float) -> None:
        """What came of a trial; its values are learned from if it finished with a finite figure."""
        trial = self._running.pop(number, None)
        if trial is None:  # told by an earlier process, whose record of it was lost
            return
        complete = state == "finished" and math.isfinite(figure)
        told = STATES[state] if complete or state != "finished" else TrialState.FAIL
        self._study.tell(trial, figure if complete else None, state=told)

    def close(self) -> None:
        self._journal.close()
