"""Errors of one run on its splits, each with an interval: what every check of the fit and the error budget start from.

An error is a number that is 0 for a perfect network: the share of wrong answers (classification), 1 - R2 (regression),
or the mean loss per place in nats (tokens).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from limpid.doctor.evidence import Epoch, Evidence
from limpid.doctor.numbers import finite

Z = 1.96  # a 95 % interval is so many standard errors to either side
# Var(e^2) / E(e^2)^2 of a normal error is 2; residuals of real regressions have heavier tails (guess by experience).
SQUARES = 3.0
MOST_FIXED = 1000  # fixed training rows that a run looks at, at most; as many as it has for validation
ALIKE, SMALL = 0.25, 0.02  # running losses that differ by so little, of themselves or of the first, are of one network
KNOWN = 0.05  # bound on an error below which it says enough by itself
SHARES = ("accuracy", "token_accuracy", "balanced_accuracy", "exact_match", "macro_f1", "f1")


@dataclass(frozen=True)
class Estimate:
    """A measured number with its 95 % interval and the samples behind it."""

    value: float
    low: float
    high: float
    n: int

    @property
    def se(self) -> float:
        """Standard error, from the width of the interval."""
        return (self.high - self.low) / (2 * Z)

    def minus(self, other: Estimate) -> Estimate:
        """The difference of two independent estimates."""
        difference, half = self.value - other.value, Z * math.hypot(self.se, other.se)
        return Estimate(difference, difference - half, difference + half, min(self.n, other.n))

    def to_row(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def share_estimate(share: float, n: int) -> Estimate:
    """A share with Wilson's interval (1927).

    >>> share_estimate(0.9, 10).low
    0.5958499732047615
    """
    if n < 1:
        return Estimate(share, 0.0, 1.0, 0)
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    low, high = (max(middle - half, 0.0) if share > 0 else 0.0), (min(middle + half, 1.0) if share < 1 else 1.0)
    return Estimate(share, low, high, n)


class FitFigures:
    """Errors of the run's best network (that of the epoch whose weights are kept)."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.result = evidence.result or {}

    @cached_property
    def score(self) -> str:
        """Name of the figure whose error is meant; "" where there is none."""
        if self.evidence.task == "tokens":
            return "loss"
        valid = [epoch.valid for epoch in self.evidence.epochs if epoch.valid]
        known = self.result or (valid[-1] if valid else {})
        named = known.get("score")
        if named in (*SHARES, "r2") and named in known:
            return str(named)
        return next((name for name in ("accuracy", "r2", "loss") if finite(known.get(name)) is not None), "")

    @property
    def unit(self) -> str:
        """What the error is, for people."""
        return {"r2": "1 - R2", "loss": "nats per place" if self.evidence.task == "tokens" else "loss"}.get(
            self.score, "share of wrong answers"
        )

    @cached_property
    def evaluated(self) -> list[Epoch]:
        """Epochs with a finite validation loss."""
        return [e for e in self.evidence.epochs if e.valid and finite(e.valid.get("loss")) is not None]

    @cached_property
    def best(self) -> Epoch | None:
        """The epoch whose weights the run ended with; without a result that of the least validation loss."""
        kept = self.result.get("epoch")
        for epoch in self.evaluated:
            if epoch.epoch == kept:
                return epoch
        return min(self.evaluated, key=lambda e: float((e.valid or {})["loss"]), default=None)

    def error(self, row: Mapping[str, Any] | None, n: int) -> Estimate | None:
        """The error of one row of figures over n samples; None where it holds none."""
        value = finite((row or {}).get(self.score))
        if row is None or value is None or n < 1:
            return None
        if self.score in SHARES:
            return share_estimate(min(max(1 - value, 0.0), 1.0), n)
        if self.score == "r2":
            half = Z * (1 - value) * math.sqrt(SQUARES / n)
            return Estimate(1 - value, 1 - value - half, 1 - value + half, n)
        half = Z * self._loss_deviation / math.sqrt(n)
        return Estimate(value, value - half, value + half, n)

    @cached_property
    def train(self) -> Estimate | None:
        """Of training rows in evaluation mode, by the kept weights or those of an epoch near theirs."""
        measured = self.evidence.probe("train_error")
        estimate = self.error(measured, int(finite((measured or {}).get("n")) or 0))
        if estimate is not None:
            return estimate
        return None if self.best is None else self.train_at(self.best)

    @cached_property
    def train_loss(self) -> float | None:
        """Loss of the same rows by the same weights."""
        nearest = None if self.best is None else self.fixed_near(self.best)
        measured = finite((self.evidence.probe("train_error") or {}).get("loss"))
        return finite(((nearest.fixed if nearest else None) or {}).get("loss")) if measured is None else measured

    def train_at(self, epoch: Epoch) -> Estimate | None:
        """The same around any epoch.

        A wrong answer costs at least ln 2 of cross-entropy, so that a running mean over all rows bounds their error.
        """
        nearest = self.fixed_near(epoch)
        sizes = [int(finite(self.evidence.spec.get(key)) or 0) for key in ("num_train", "num_valid")]
        like_valid = min((MOST_FIXED, *(size for size in sizes if size)))
        fixed = None if nearest is None else self.error(nearest.fixed, like_valid)
        bound = epoch.loss / math.log(2)
        plain = self.score == "accuracy" and self.evidence.option("objective.loss") in ("cross_entropy", "bce")
        if fixed is None:
            return Estimate(bound, 0.0, bound, sizes[0]) if plain and bound < KNOWN else None
        if not plain or not bound < fixed.high:
            return fixed
        return Estimate(min(fixed.value, bound), min(fixed.low, bound), bound, sizes[0])

    def fixed_near(self, epoch: Epoch) -> Epoch | None:
        """The epoch nearest to this one after which fixed training rows were looked at, which is not done after all;
        None where the network was another by then, as its running loss tells."""
        epochs = self.evidence.epochs
        known = [e for e in epochs if e.fixed and finite(e.fixed.get("loss")) is not None]
        nearest = min(known, key=lambda e: (abs(e.epoch - epoch.epoch), e.epoch), default=None)
        if nearest is None or nearest.epoch == epoch.epoch:
            return nearest
        moved, least = abs(nearest.loss - epoch.loss), ALIKE * max(nearest.loss, epoch.loss)
        return nearest if moved <= max(least, SMALL * epochs[0].loss) else None

    def fixed_loss(self, epoch: Epoch) -> float:
        """Loss of training rows around this epoch in evaluation mode, or its running mean if that was not measured."""
        nearest = self.fixed_near(epoch)
        return epoch.loss if nearest is None else float((nearest.fixed or {})["loss"])

    @cached_property
    def valid(self) -> Estimate | None:
        """Of the validation split by the kept weights; it chose them, so it is a little too good."""
        n = int(finite(self.evidence.spec.get("num_valid")) or 0)
        return None if self.best is None else self.error(self.best.valid, n)

    @cached_property
    def test(self) -> Estimate | None:
        """Of the test split, with the interval that was measured there; None where there is no test split."""
        if self.result.get("split") != "test":
            return None
        estimate = self.error(self.result, int(finite(self.result.get("n")) or 0))
        bounds = (self.result.get("interval") or {}).get(self.score)
        if estimate is None or not bounds or any(finite(bound) is None for bound in bounds):
            return estimate
        return Estimate(estimate.value, 1 - bounds[1], 1 - bounds[0], estimate.n)

    @cached_property
    def own_test(self) -> bool:
        """Whether the test rows come from another source, or time, than those that validation was drawn from."""
        split = str(self.evidence.option("data.split") or "random")
        how = str(((self.evidence.header.get("summary") or {}).get("split") or {}).get("how", ""))
        return bool(self.evidence.option("data.test")) or split != "random" or ("random" not in how and bool(how))

    @cached_property
    def fresh(self) -> Estimate | None:
        """Of rows that were not learned from: validation and test together, where both were drawn at random."""
        if self.valid is None or self.test is None or self.own_test:
            return self.valid
        if self.score not in SHARES:
            return max(self.valid, self.test, key=lambda estimate: estimate.n)
        n = self.valid.n + self.test.n
        return share_estimate((self.valid.value * self.valid.n + self.test.value * self.test.n) / n, n)

    @cached_property
    def chance(self) -> float | None:
        """Error of the best constant answer, where it is known."""
        if self.score == "r2":
            return 1.0
        if self.score == "loss":
            return finite(self.result.get("chance_loss"))
        counts = [finite(count) or 0.0 for count in self.evidence.spec.get("class_counts") or ()]
        if self.score == "accuracy" and self.evidence.task in ("classification", "binary") and sum(counts) > 0:
            return 1 - max(counts) / sum(counts)
        return None

    @cached_property
    def _loss_deviation(self) -> float:
        """Standard deviation of single samples' losses; where it was not kept, the mean loss itself (a guess)."""
        losses = (self.evidence.predictions or {}).get("losses")
        if losses is None or len(losses) < 2:
            return abs(finite(self.result.get("loss")) or 1.0)
        import numpy as np

        per_sample = np.asarray(losses, dtype=np.float64).reshape(len(losses), -1).mean(axis=1)
        deviation = float(np.nanstd(per_sample[np.isfinite(per_sample)])) if np.isfinite(per_sample).any() else 1.0
        return max(deviation, 1e-12)

    @property
    def knows_losses(self) -> bool:
        """Whether the losses of single samples were kept."""
        return (self.evidence.predictions or {}).get("losses") is not None

    def loss_se(self, loss: float, n: int) -> float:
        """Standard error of a mean loss over n rows, whose losses spread about their mean as those of the kept rows."""
        scale = abs(finite(self.result.get("loss")) or 0.0)
        return self._loss_deviation * (abs(loss) / scale if scale > 0 else 1.0) / math.sqrt(max(n, 1))

    def text(self, error: float) -> str:
        """An error for people: `3.2 %`, or three digits with the unit."""
        return f"{100 * error:.3g} %" if self.score in SHARES else f"{error:.3g}"
