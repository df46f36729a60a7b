"""Samplers of optuna behind our interface: tree-structured Parzen estimator, Gaussian process, CMA-ES.

Each trial gets a sampler made anew from the seed and its number, and sees the results of earlier waves alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Container
from typing import Any

import numpy as np
import optuna
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from limpid.search.sampler import Sampler, drawn
from limpid.search.space import Params, Space

STARTUP = 10  # random trials before a model of the results is worth anything; optuna's own number


class Foreign(Sampler):
    """One of optuna's samplers, made anew for each trial from the seed and its number: it carries nothing over."""

    startup = STARTUP

    def __init__(self, name: str, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self.name = name
        self._make = FOREIGN[name]
        self._number = -1

    def params(self, study: Study, number: int) -> Params:
        """Of the networks, which optuna's samplers know nothing of: they are drawn at random."""
        return drawn(self.space, self.seed, number)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._of(trial.number).infer_relative_search_space(self._past(study, trial.number), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._of(trial.number).sample_relative(self._past(study, trial.number), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        past = self._past(study, trial.number)
        return self._of(trial.number).sample_independent(past, trial, param_name, param_distribution)

    def _of(self, number: int) -> BaseSampler:
        if number != self._number:
            seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0] % 2**31)
            self._number, self._inner = number, self._make(seed)
        return self._inner

    def _past(self, study: Study, number: int) -> Study:
        return Past(study, self.known(number))


class Past(Study):
    """A study as a trial is to see it: those that it must not know the result of are in training still.

    Args:
        study: the whole, or what optuna shows of it under Hyperband.
        known: number of the first trial whose result is not known.
    """

    def __init__(self, study: Study, known: int) -> None:
        super().__init__(study.study_name, study._storage, sampler=study.sampler, pruner=study.pruner)
        self._shown = study
        self._known = known

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = [self._as_known(trial) for trial in self._shown.get_trials(deepcopy=deepcopy)]
        return [trial for trial in trials if states is None or trial.state in states]

    def _as_known(self, trial: FrozenTrial) -> FrozenTrial:
        if trial.number < self._known:
            return trial
        hidden = copy.copy(trial)
        hidden.state, hidden.values = TrialState.RUNNING, None
        return hidden


def _tpe(seed: int) -> BaseSampler:
    # Trials that still run count as bad ones (constant_liar), so that members trained together differ.
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP, constant_liar=True)


def _gp(seed: int) -> BaseSampler:
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP, warn_independent_sampling=False)


def _cma_es(seed: int) -> BaseSampler:
    return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)


FOREIGN: dict[str, Callable[[int], BaseSampler]] = {"tpe": _tpe, "gp": _gp, "cma-es": _cma_es}
