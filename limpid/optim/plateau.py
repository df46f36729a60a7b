"""A learning rate that falls when training stalls."""

from __future__ import annotations

import math

from limpid.optim.schedules import with_warmup


def build_plateau(
    *,
    num_steps: int,
    steps_per_epoch: int,
    warmup: float,
    factor: float,
    plateau_patience: int,
    threshold: float,
    threshold_mode: str,
    cooldown: int,
    least_lr: float,
) -> Plateau:
    return Plateau(
        factor=factor,
        patience=plateau_patience,
        threshold=threshold,
        relative=threshold_mode == "relative",
        cooldown=cooldown,
        least=least_lr,
        warmup_steps=round(warmup * num_steps),
    )


class Plateau:
    """Multiply the rate by `factor` after more than `patience` epochs in a row without improvement.

    The meaning of every number is that of torch's ReduceLROnPlateau, but that every reduction counts, however small
    (torch's `eps`), and that the relative threshold is a share of the best figure's size, also where that is negative.
    The multiplier is a function of the figures alone, so that a resumed run has the rates that it
    would have had.

    Args:
        factor: of a reduction, below 1.
        patience: epochs without improvement that are borne.
        threshold: least gain that counts, as a share of the best figure (`relative`) or in its own unit.
        relative: how `threshold` is meant.
        cooldown: epochs after a reduction in which none is counted.
        least: smallest multiplier.
        warmup_steps: steps that lead up to the peak.
    """

    def __init__(
        self,
        *,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        relative: bool = True,
        cooldown: int = 0,
        least: float = 0.0,
        warmup_steps: int = 0,
    ) -> None:
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.relative = relative
        self.cooldown = cooldown
        self.least = least
        self._warm = with_warmup(lambda step: self.multiplier, warmup_steps)
        self._figures: list[float] = []
        self._sign = 1.0
        self._restart()

    def follow(self, figures: list[float], *, higher_is_better: bool) -> None:
        """Answer to this list of one figure per epoch, which grows as training goes on."""
        self._figures, self._sign = figures, -1.0 if higher_is_better else 1.0
        self._restart()

    def __call__(self, step: int) -> float:
        while self._seen < len(self._figures):
            self._observe(self._sign * self._figures[self._seen])
            self._seen += 1
        return self._warm(step)

    def _restart(self) -> None:
        self.multiplier = 1.0
        self._best, self._bad, self._resting, self._seen = math.inf, 0, 0, 0

    def _observe(self, loss: float) -> None:
        """One epoch's figure, lower being better."""
        margin = self.threshold * (abs(self._best) if self.relative else 1.0)
        if loss < self._best - (margin if math.isfinite(self._best) else 0.0):
            self._best, self._bad = loss, 0
        else:
            self._bad += 1
        if self._resting > 0:
            self._resting, self._bad = self._resting - 1, 0
        if self._bad > self.patience:
            self.multiplier = max(self.multiplier * self.factor, self.least)
            self._resting, self._bad = self.cooldown, 0
