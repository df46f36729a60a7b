"""Is a gain real? The mean difference of paired trainings, its interval, and when to stop adding pairs.

Each of P pairs is a training with and one without a treatment, from the same seed; both are asked about the same N
validation rows, so that d[p, r] = loss without - loss with, of row r. Two things vary by chance: which seed it was, and
which rows happened to be kept for validation. The standard error holds both,

    SE^2 = var_p(mean_r d) / P  +  var_r(mean_p d) / N                    (seeds and rows crossed)

and the interval is mean +- t SE, with Satterthwaite's degrees of freedom. What varies from row to row within one pair
counts in both terms, so that the interval is a little too wide rather than too narrow.

Almost every change has some effect: a rate that is 3 % higher gains 1 % of the loss, surely and to no avail. So a gain
is real where the interval lies above RELEVANT times the untreated loss, not merely above 0.

Pairs are added until that is decided, or the last look is over. Each look gets an equal part of the error level
(Bonferroni), so that all looks together keep it. Stopping early because no gain is in sight, less than a standard error
above what matters, costs no error of this kind.

Shapes: P pairs, N rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Chance that a treatment whose true gain does not matter is taken for one, or for a harm, all looks of one trial
# together. It is accepted for a gain only, so that a wrong acceptance has half of it.
LEVEL = 0.05
# Least gain that matters, as a share of the untreated loss. Ours: changes of no use (a rate 3 % higher, batches of 33
# for 32, ...) gained up to 2 %; what cures a sick run gains 30 % and more.
RELEVANT = 0.05
LOOKS = (3, 5, 8)  # pairs at which the interval is looked at; three are what a spread can be had from


@dataclass(frozen=True)
class Gain:
    """What a treatment does to the validation figure, as a loss: positive is better."""

    pairs: int
    rows: int
    mean: float
    error: float  # standard error of the mean
    low: float
    high: float
    doubt: float  # chance that the interval misses the true mean
    least: float = 0.0  # gain that matters

    @property
    def real(self) -> bool:
        """The interval lies above what matters."""
        return self.low > self.least

    @property
    def harm(self) -> bool:
        """The interval lies below 0."""
        return self.high < 0

    def to_row(self) -> dict[str, Any]:
        """Plain values for the record."""
        return {
            "mean": self.mean,
            "error": self.error,
            "interval": [self.low, self.high],
            "doubt": self.doubt,
            "least": self.least,
            "pairs": self.pairs,
            "rows": self.rows,
        }


def measure_gain(differences_PN: NDArray[np.float64], *, least: float = 0.0, doubt: float = LEVEL / len(LOOKS)) -> Gain:
    """Mean and interval of the differences of at least two pairs; see the top of this file.

    Args:
        differences_PN: loss without the treatment less loss with it; finite.
        least: gain that matters, in the unit of the losses.
        doubt: chance that the interval misses the true mean, both sides together.
    """
    num_pairs, num_rows = differences_PN.shape
    assert num_pairs >= 2, "one pair has no spread"
    mean = float(differences_PN.mean())
    of_seeds = float(differences_PN.mean(axis=1).var(ddof=1)) / num_pairs
    of_rows = float(differences_PN.mean(axis=0).var(ddof=1)) / num_rows if num_rows > 1 else 0.0
    error = math.sqrt(of_seeds + of_rows)
    half = error * _quantile(1 - doubt / 2, _freedom((of_seeds, num_pairs), (of_rows, num_rows))) if error else 0.0
    return Gain(num_pairs, num_rows, mean, error, mean - half, mean + half, doubt, least)


def is_decided(gain: Gain) -> bool:
    """Whether more pairs are not worth their time: the gain is real, it is a harm, none is in sight, or it was the
    last look."""
    return gain.real or gain.harm or gain.mean - gain.least <= gain.error or gain.pairs >= LOOKS[-1]


def _freedom(*parts: tuple[float, int]) -> float:
    """Satterthwaite 1946: (sum v)^2 / sum(v^2 / (n - 1)) for variances v of means of n values each."""
    total = sum(variance for variance, _ in parts)
    return total**2 / sum(variance**2 / max(number - 1, 1) for variance, number in parts if variance)


def _quantile(probability: float, freedom: float) -> float:
    """Of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))
