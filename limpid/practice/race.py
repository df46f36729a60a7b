"""The race: optimisers from the same start on surfaces that are hard in one way each, ranked by how low they end.

Shapes: C competitors, R rates, S surfaces, T steps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limpid.catalogue.adaptive import ADAPTIVE
from limpid.catalogue.call import Call, read_call
from limpid.catalogue.optimizer_part import OptimizerPart
from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.catalogue.surfaces import SURFACES
from limpid.optim.surface import Surface, build_surface
from limpid.practice.finish import Finish, judge
from limpid.practice.lanes import run_lanes
from limpid.practice.standings import Standing, conclusions, stand

Row = dict[str, Any]

PLAIN = "sgd(momentum=0)"  # gradient descent as it is, beside the optimisers of the catalogue
# Eleven tries for everybody, half a decade apart. The best rates of most optimisers on most surfaces lie well inside.
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
NUM_STEPS = 200


@dataclass(frozen=True)
class Race:
    """What a race has shown.

    Attributes:
        competitors: optimisers with their options.
        surfaces: what they descended.
        num_steps: T.
        seed: of the samples that stochastic surfaces drew.
        path_TCRS2: iterates of every optimiser at every rate on every surface.
        finishes: by surface, one per optimiser in the order of the line-up.
    """

    competitors: tuple[Call[OptimizerPart], ...]
    surfaces: tuple[Surface, ...]
    num_steps: int
    seed: int
    path_TCRS2: Tensor
    finishes: dict[str, list[Finish]]

    @property
    def standings(self) -> list[Standing]:
        """Every optimiser over all surfaces, best mean rank first."""
        adaptive = [call.part in ADAPTIVE for call in self.competitors]
        return stand([call.text for call in self.competitors], adaptive, self.finishes)

    @property
    def conclusions(self) -> list[str]:
        """What can be said of them, a sentence each."""
        return conclusions(self.standings, list(self.finishes))

    @property
    def terms(self) -> str:
        """How the race was run, in one sentence."""
        return (
            f"{self.num_steps} steps from the same start at a constant rate, without weight decay. Each optimiser has "
            f"the best of the same {len(RATES)} rates from {RATES[0]:g} to {RATES[-1]:g}, by the loss that it descends "
            "at the end. Ranked by the wanted loss over its minimum, mean of the last tenth of the steps; who gets "
            "below 1e-9 of the start's excess has arrived, and is ranked by the step."
        )

    def trace(self, surface: str, competitor: int, rate_place: int | None = None) -> tuple[Tensor, Tensor]:
        """Iterates (T + 1, 2) of an optimiser on a surface, and their wanted losses; at its chosen rate or another."""
        s = list(self.finishes).index(surface)
        r = self.finishes[surface][competitor].rate_place if rate_place is None else rate_place
        path_T2 = self.path_TCRS2[:, competitor, r, s]
        return path_T2, self.surfaces[s].loss(path_T2)

    def ranking(self) -> list[Row]:
        """A row for each surface and optimiser, best first."""
        return [
            {
                "surface": surface,
                "rank": finish.rank,
                "optimizer": self.competitors[finish.competitor].text,
                "lr": RATES[finish.rate_place],
                "excess": finish.excess,
                "near": finish.near,
                "arrived": finish.arrived,
                "diverged": finish.diverged,
            }
            for surface, finishes in self.finishes.items()
            for finish in sorted(finishes, key=lambda finish: finish.rank)
        ]


def race(
    surfaces: Sequence[str] = (), optimizers: Sequence[str] = (), *, num_steps: int = NUM_STEPS, seed: int = 0
) -> Race:
    """Let optimisers descend surfaces: `limpid.race(["ravine"], ["adam", "sgd(momentum=0)"]).ranking()`.

    Args:
        surfaces: by name; none: all of the catalogue.
        optimizers: by name, with options or without, such as "sgd(momentum=0.5)"; none: plain descent and all of the
            catalogue.
        num_steps: updates of each.
        seed: of the samples that stochastic surfaces draw; everybody gets the same ones.

    Raises ConfigError for a surface, optimiser or option that there is not.
    """
    names = dict.fromkeys(SURFACES.find(name).name for name in surfaces) or SURFACES
    texts = optimizers or (PLAIN, *(name for name in OPTIMIZERS if name != "none"))
    calls = tuple({call.text: call for call in (read_call(OPTIMIZERS, text) for text in texts)}.values())
    built = tuple(build_surface(SURFACES[name]) for name in names)
    path_TCRS2 = run_lanes(calls, built, RATES, num_steps=num_steps, seed=seed)
    finishes = {surface.part.name: judge(surface, path_TCRS2[:, :, :, s]) for s, surface in enumerate(built)}
    return Race(calls, built, num_steps, seed, path_TCRS2, finishes)


def split_calls(text: str) -> list[str]:
    """Optimisers separated by commas, those in brackets left alone.

    >>> split_calls("adam, sgd(momentum=0, nesterov=false)")
    ['adam', 'sgd(momentum=0, nesterov=false)']
    """
    return [one.strip() for one in re.split(r",(?![^(]*\))", text) if one.strip()]
