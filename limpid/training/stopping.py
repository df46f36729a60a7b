"""Early stopping, and the memory of which weights were best."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class EarlyStopping:
    """Watches one figure per epoch; knows the best epoch, and when to give up.

    An epoch improves when its figure beats the best so far by more than `min_delta`. Training should stop once
    `patience` epochs in a row did not improve; patience 0 never stops. A figure that is NaN never improves.
    The first finite figure always does, whatever its value.

    Prechelt, "Early stopping - but when?", 1998.
    """

    higher_is_better: bool
    patience: int = 0
    min_delta: float = 0.0
    best: float = math.nan
    best_epoch: int = 0
    best_step: int = 0
    waited: int = 0

    def improves(self, value: float) -> bool:
        """Whether this figure would be the new best."""
        if math.isnan(value):
            return False
        if math.isnan(self.best):
            return True
        gain = value - self.best if self.higher_is_better else self.best - value
        return gain > self.min_delta

    def observe(self, value: float, *, epoch: int, step: int) -> bool:
        """Take note of an epoch's figure; True when it is the new best."""
        if self.improves(value):
            self.best, self.best_epoch, self.best_step, self.waited = value, epoch, step, 0
            return True
        self.waited += 1
        return False

    @property
    def exhausted(self) -> bool:
        """True once `patience` epochs in a row brought no improvement."""
        return 0 < self.patience <= self.waited

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
