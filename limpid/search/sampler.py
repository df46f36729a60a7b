"""What every sampler of Limpid is: optuna's interface, asked through `Space.ask`, with a space of its own.

A trial's values are a function of the seed, its number, and the results of certain trials before it. Nothing is
remembered between trials, so that a search that was stopped goes on as it would have. Samplers that learn ask in waves:
the trials of a wave know the results of all earlier waves and of none of their own, so that the same trials are asked
whether members are trained one by one or several at a time, in whatever order they end.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from limpid.search.architecture import Frame
from limpid.search.knob import Knob, encoded
from limpid.search.space import Params, Space, drawn_point

WAVE = 4  # trials that learn from the same results, and can be trained together; a compromise, not tuned


class Sampler(BaseSampler):
    """A sampler that knows its space.

    Attributes:
        name: by which it is asked for.
        most: trials after which it has nothing new to ask; None: never.
        startup: trials that are asked before results are looked at; None: they never are.
        wave: how many are asked on the same results then.
    """

    name = ""
    most: int | None = None
    startup: int | None = None
    wave = WAVE

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = seed

    @abstractmethod
    def params(self, study: Study, number: int) -> Params:
        """The values of a trial."""

    def known(self, number: int) -> int:
        """How many trials, from the first, the values of a trial depend on."""
        if self.startup is None or number < self.startup:
            return 0
        return self.startup + (number - self.startup) // self.wave * self.wave

    def seen(self, study: Study, number: int) -> list[FrozenTrial]:
        """The trials that the values of a trial depend on."""
        return study.get_trials(deepcopy=False)[: self.known(number)]

    def ready(self, study: Study) -> bool:
        """Whether the next trial can be asked for now, or only when trials that it depends on have ended."""
        number = len(study.get_trials(deepcopy=False))
        return all(trial.state.is_finished() for trial in self.seen(study, number))

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


def whole(study: Study) -> Study:
    """The study itself: under Hyperband, optuna shows a sampler only the trials of one bracket."""
    return getattr(study, "_study", study)


def drawn(space: Space, seed: int, number: int) -> Params:
    """Uniform values: a function of the seed and the trial's number alone."""
    return space.at(drawn_point(space, seed, number).tolist(), pattern=pattern_maker(seed, number))


def pattern_maker(seed: int, number: int) -> Callable[[Knob], str]:
    """Draws the network of a pattern knob for a trial; the first trials take those that the knob begins with."""

    def make(knob: Knob) -> str:
        if number < len(knob.choices):
            return str(knob.choices[number])
        return Frame.of(knob).drawn(np.random.default_rng([seed, number, 1]))

    return make
