"""Where a run stands: everything that a checkpoint holds beside tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from limpid.training.stopping import EarlyStopping


@dataclass
class Position:
    """Where a run stands: everything that a checkpoint holds beside tensors."""

    stopping: EarlyStopping
    epoch: int = 0  # completed epochs
    batch: int = 0  # batches taken of the current epoch
    step: int = 0  # updates of the weights
    losses: list[float] = field(default_factory=list)  # of these batches, each the mean of its samples
    sizes: list[int] = field(default_factory=list)  # samples of these batches
    samples: int = 0  # taken in completed epochs
    figures: list[float] = field(default_factory=list)  # the monitored one of each completed epoch
    epoch_seconds: float = 0.0  # spent in them
    seconds: float = 0.0  # spent in all training steps of the run
    finished: bool = False
    restore_best: bool = True  # whether the run ends with the weights of its best epoch, or with the last

    @property
    def kept_step(self) -> int:
        """Updates that made the weights that the run ends with."""
        return self.stopping.best_step if self.restore_best and self.stopping.best_step else self.step

    @property
    def kept_epoch(self) -> int:
        """Epoch after which the run had the weights that it ends with."""
        return self.stopping.best_epoch if self.restore_best and self.stopping.best_epoch else self.epoch

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "stopping": self.stopping.to_dict()}

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Position:
        return Position(**{**values, "stopping": EarlyStopping(**values["stopping"])})

    def add_seconds(self, seconds: float) -> None:
        self.epoch_seconds += seconds
        self.seconds += seconds
