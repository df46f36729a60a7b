"""Early stopping, and the memory of which weights were best."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class EarlyStopping:
    """Watches one figure per evaluation; knows the best epoch, and when to give up.

    An epoch improves when its figure beats the best so far by more than `min_delta`. Training should stop once
    `patience` evaluations in a row did not improve; patience 0 never stops. A figure that is NaN never improves.
    The first finite figure always does, whatever its value.

    With a `baseline`, the waiting goes on until a figure beats that too by more than `min_delta`: a run that does not
    come so far within its patience ends. Its best weights are remembered all the same.

    Prechelt, "Early stopping - but when?", 1998. The options are those of Keras, whose patience 0 and 1 both stop at
    the first epoch without improvement.
    """

    higher_is_better: bool
    patience: int = 0
    min_delta: float = 0.0
    baseline: float | None = None
    best: float = math.nan
    best_epoch: int = 0
    best_step: int = 0
    waited: int = 0

    def improves(self, value: float) -> bool:
        """Whether this figure would be the new best."""
        return self._beats(value, self.best)

    def observe(self, value: float, *, epoch: int, step: int) -> bool:
        """Take note of an epoch's figure; True when it is the new best."""
        improved = self.improves(value)
        if improved:
            self.best, self.best_epoch, self.best_step = value, epoch, step
        if improved and (self.baseline is None or self._beats(value, self.baseline)):
            self.waited = 0
        else:
            self.waited += 1
        return improved

    @property
    def exhausted(self) -> bool:
        """True once `patience` evaluations in a row brought no improvement."""
        return 0 < self.patience <= self.waited

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def _beats(self, value: float, other: float) -> bool:
        """Whether the figure is better by more than `min_delta`; every number beats NaN, which beats nothing."""
        if math.isnan(value) or math.isnan(other):
            return not math.isnan(value)
        return (value - other if self.higher_is_better else other - value) > self.min_delta
