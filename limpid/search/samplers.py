"""Which point of the space comes next. Every sampler is one of optuna's form, asked through `Space.ask`.

    grid          a regular layout, in shuffled order
    random        uniform on each knob's own scale: a learning rate log-uniformly (Bergstra & Bengio 2012)
    quasi-random  a scrambled Sobol sequence: random points without clumps and holes
    two-stage     Goodfellow: half at random, tighten around the best, the other half (search/two_stage.py)
    evolution     mutate the best of a few of the youngest (search/evolution.py)
    tpe, gp, cma-es   optuna's, after ten random trials (cma-es: after one)

A trial's values are a function of the seed, its number, and the results of the trials before it: nothing is remembered
between trials, so that a search that was stopped goes on as it would have.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import torch
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from torch.quasirandom import SobolEngine

from limpid.errors import ConfigError, nearest
from limpid.search.knob import Knob, encoded
from limpid.search.space import Params, Space, drawn_point

STARTUP = 10  # random trials before a model of the results is worth anything; optuna's own number


class Sampler(BaseSampler):
    """A sampler that knows its space.

    Attributes:
        name: by which it is asked for.
        most: trials after which it has nothing new to ask; None: never.
    """

    name = ""
    most: int | None = None

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = seed

    @abstractmethod
    def params(self, study: Study, number: int) -> Params:
        """The values of a trial."""

    def ready(self, study: Study) -> bool:
        """Whether the next trial can be asked for now, or only when the trials that run have ended."""
        return True

    def stage(self, number: int) -> str:
        """Of the search, that a trial belongs to: "search" or "tightened"."""
        return "search"

    def pattern(self, study: Study, number: int, knob: Knob) -> str:
        """The network of a trial, for a knob of kind pattern."""
        return str(self._params(study, number)[knob.path])

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return encoded(self._params(study, trial.number)[param_name])

    def _params(self, study: Study, number: int) -> Params:
        """`params`, worked out once per trial: the knobs are asked for one by one."""
        if self._last is None or self._last[0] != (study.study_name, number):
            self._last = ((study.study_name, number), self.params(whole(study), number))
        return self._last[1]

    _last: tuple[tuple[str, int], Params] | None = None


class Random(Sampler):
    """Independent uniform points."""

    name = "random"

    def params(self, study: Study, number: int) -> Params:
        return drawn(self.space, self.seed, number)


class QuasiRandom(Sampler):
    """Scrambled Sobol points (scrambled by the seed), which fill the cube evenly at any number of trials."""

    name = "quasi-random"

    def params(self, study: Study, number: int) -> Params:
        points_NK = SobolEngine(len(self.space.knobs), scramble=True, seed=self.seed).draw(
            number + 1, dtype=torch.float64
        )
        return self.space.at(points_NK[number].tolist(), pattern=pattern_maker(self.seed, number))


class Grid(Sampler):
    """Middles of equal parts of every range; shuffled, so that one that is stopped has seen all of the space."""

    name = "grid"

    def __init__(self, space: Space, seed: int, budget: int) -> None:
        super().__init__(space, seed)
        self._points = space.grid(budget)
        self.most = len(self._points)
        self._order = np.random.default_rng(seed).permutation(self.most)

    def params(self, study: Study, number: int) -> Params:
        if number >= len(self._points):
            raise ConfigError(
                f"The grid of {self.space.origin} has {self.most} points, and all were tried. "
                "Use the sampler random or quasi-random to go on."
            )
        return self._points[self._order[number]]


class Foreign(Sampler):
    """One of optuna's samplers, made anew for each trial from the seed and its number: it carries nothing over."""

    def __init__(self, name: str, space: Space, seed: int, make: Callable[[int], BaseSampler]) -> None:
        super().__init__(space, seed)
        self.name = name
        self._make = make
        self._number = -1

    def params(self, study: Study, number: int) -> Params:
        """Of what the sampler leaves to chance: conditional knobs, and patterns."""
        return drawn(self.space, self.seed, number)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._of(trial.number).before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._of(trial.number).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._of(trial.number).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._of(trial.number).sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        self._of(trial.number).after_trial(study, trial, state, values)

    def _of(self, number: int) -> BaseSampler:
        if number != self._number:
            seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0] % 2**31)
            self._number, self._inner = number, self._make(seed)
        return self._inner


def whole(study: Study) -> Study:
    """The study itself: under Hyperband, optuna shows a sampler only the trials of one bracket."""
    return getattr(study, "_study", study)


def drawn(space: Space, seed: int, number: int) -> Params:
    """Uniform values: a function of the seed and the trial's number alone."""
    return space.at(drawn_point(space, seed, number).tolist(), pattern=pattern_maker(seed, number))


def pattern_maker(seed: int, number: int) -> Callable[[Knob], str]:
    """Draws the network of a pattern knob for a trial."""

    def make(knob: Knob) -> str:
        from limpid.search.architecture import Frame

        return Frame.of(knob).drawn(np.random.default_rng([seed, number, 1]))

    return make


def _tpe(seed: int) -> BaseSampler:
    # Trials that still run count as bad ones (constant_liar), so that members trained together differ.
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP, constant_liar=True)


def _gp(seed: int) -> BaseSampler:
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP, warn_independent_sampling=False)


def _cma_es(seed: int) -> BaseSampler:
    return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)


FOREIGN: dict[str, Callable[[int], BaseSampler]] = {"tpe": _tpe, "gp": _gp, "cma-es": _cma_es}
SAMPLERS = ("grid", "random", "quasi-random", "two-stage", "evolution", *FOREIGN)


def build_sampler(name: str, seed: int, space: Space, budget: int) -> Sampler:
    """The sampler of this name.

    Args:
        name: one of SAMPLERS.
        seed: everything that it draws is a function of it.
        space: what is searched.
        budget: trials of the whole search; a grid is laid out for it, and two-stage tightens at its half. One that is
            extended keeps the budget that it began with.

    Raises ConfigError for another name, with the nearest.
    """
    plain = name.lower().replace("_", "-").replace(" ", "-")
    if plain not in SAMPLERS:
        hint = nearest(plain, SAMPLERS)
        raise ConfigError(
            f"sampler={name} is not known." + (f" Did you mean {hint}?" if hint else "") + f" {_listed(SAMPLERS)}"
        )
    if plain == "grid":
        return Grid(space, seed, budget)
    if plain == "two-stage":
        from limpid.search.two_stage import TwoStage

        return TwoStage(space, seed, budget)
    if plain == "evolution":
        from limpid.search.evolution import Evolution

        return Evolution(space, seed, budget)
    if plain in FOREIGN:
        return Foreign(plain, space, seed, FOREIGN[plain])
    return Random(space, seed) if plain == "random" else QuasiRandom(space, seed)


def _listed(names: tuple[str, ...]) -> str:
    return f"There are {', '.join(names)}."
