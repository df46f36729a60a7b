"""One network of a population: what is trained, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from limpid.config import Config

State = Literal["finished", "failed", "pruned"]


@dataclass(frozen=True)
class Member:
    """What is trained.

    Attributes:
        number: of this member in its population, from 0.
        config: as given; what is open in it is chosen from the data. Its `training.seed` draws first weights, order of
            the rows, augmentation and dropout; the split is the population's.
        bootstrap: seed of the resample of the training rows that it sees; None: the rows themselves.
        like: a configuration that this one is to be compared with. The member takes over the first weights that its
            own seed would draw there, layer by layer, where shapes allow: what the two differ in is the change then,
            and not the luck of the draw. Not where first weights are the change, or data are read in another way.
    """

    number: int
    config: Config
    bootstrap: int | None = None
    like: Config | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a member.

    Attributes:
        state: finished; failed, where it could not be built or its loss became NaN or infinite; or pruned, where the
            host let it go on no further.
        reason: why it ended, for people.
        monitor: name of the validation figure that picked its best epoch (of the training loss without validation).
        figure: the best of them; NaN where there is none.
        figures: that figure after each evaluation, in order.
        valid: every validation figure of the best epoch.
        best_epoch, best_step: of the weights that are kept.
        epochs, steps: that were trained.
        seconds: of its training; its share, where members were trained together.
        rows: what its record would hold: metric rows of epochs and evaluations.
        weights: of the best epoch, on the CPU; None for members that did not finish.
    """

    number: int
    state: State
    reason: str = ""
    monitor: str = "loss"
    figure: float = math.nan
    figures: tuple[float, ...] = ()
    valid: Mapping[str, float] = field(default_factory=dict)
    best_epoch: int = 0
    best_step: int = 0
    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0
    rows: tuple[Mapping[str, Any], ...] = ()
    weights: Mapping[str, Tensor] | None = None

    def to_row(self) -> dict[str, Any]:
        """Plain values for the record: everything but weights and rows."""
        return {key: value for key, value in vars(self).items() if key not in ("rows", "weights")}
