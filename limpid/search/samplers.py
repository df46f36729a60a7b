"""Which point of the space comes next, by name.

grid          a regular layout, in shuffled order
random        uniform on each knob's own scale: a learning rate log-uniformly (Bergstra & Bengio 2012)
quasi-random  a scrambled Sobol sequence: random points without clumps and holes
two-stage     Goodfellow: half at random, tighten around the best, the other half (search/two_stage.py)
evolution     change the best of a few of the youngest (search/evolution.py)
tpe, gp, cma-es   optuna's, after ten random trials (search/foreign.py)
"""

from __future__ import annotations

import numpy as np
import torch
from optuna import Study
from torch.quasirandom import SobolEngine

from limpid.errors import ConfigError, nearest
from limpid.search.evolution import Evolution
from limpid.search.foreign import FOREIGN, Foreign
from limpid.search.sampler import Sampler, drawn, pattern_maker
from limpid.search.space import Params, Space
from limpid.search.two_stage import TwoStage


class Random(Sampler):
    """Independent uniform points."""

    name = "random"

    def params(self, study: Study, number: int) -> Params:
        return drawn(self.space, self.seed, number)


class QuasiRandom(Sampler):
    """Sobol points, scrambled by the seed, which fill the cube evenly at any number of trials."""

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
        known = f"There are {', '.join(SAMPLERS)}."
        raise ConfigError(f"sampler={name} is not known. " + (f"Did you mean {hint}? " if hint else "") + known)
    if plain == "grid":
        return Grid(space, seed, budget)
    if plain == "two-stage":
        return TwoStage(space, seed, budget)
    if plain == "evolution":
        return Evolution(space, seed, budget)
    if plain in FOREIGN:
        return Foreign(plain, space, seed)
    return Random(space, seed) if plain == "random" else QuasiRandom(space, seed)
