"""How far a figure may be off: intervals of one share and of paired differences. 95 % unless told otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Interval = tuple[float, float]


def wilson(hits: int, trials: int, doubt: float = 0.05) -> Interval:
    """Wilson's score interval of a share (1927): (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n).

    Nothing was tried: (0, 1).

    >>> [round(bound, 4) for bound in wilson(9, 10)]
    [0.5958, 0.9821]
    """
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(1 - doubt / 2)
    p, n = hits / trials, trials
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def f1_interval(true_positives: int, wrong: int, doubt: float = 0.05) -> Interval:
    """Interval of F1 = 2TP / (2TP + FP + FN), with `wrong` = FP + FN.

    F1 = 2J / (1 + J) rises with the share J = TP / (TP + FP + FN), so Wilson's bounds of J carry over.
    """
    low, high = wilson(true_positives, true_positives + wrong, doubt)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value that two networks err equally often, from the rows that just one of them gets right.

    Under that hypothesis each such row is a fair coin: p = min(1, 2 P[Binomial(b + c, 1/2) <= min(b, c)]).
    """
    rows, fewer = only_first + only_second, min(only_first, only_second)
    if rows == 0:
        return 1.0
    logs = [math.lgamma(rows + 1) - math.lgamma(k + 1) - math.lgamma(rows - k + 1) for k in range(fewer + 1)]
    tail = sum(math.exp(entry - rows * math.log(2)) for entry in logs)
    return min(1.0, 2 * tail)


def paired_share_difference(only_first: int, only_second: int, rows: int, doubt: float = 0.05) -> Interval:
    """Interval of share(first right) - share(second right) over the same rows (Bonett and Price, 2012).

    Adjusted Wald: with p = (b + 1)/(n + 2) and q = (c + 1)/(n + 2), p - q ± z √((p + q - (p - q)²)/(n + 2)).
    """
    z = NormalDist().inv_cdf(1 - doubt / 2)
    p, q = (only_first + 1) / (rows + 2), (only_second + 1) / (rows + 2)
    half = z * math.sqrt((p + q - (p - q) ** 2) / (rows + 2))
    return max(-1.0, p - q - half), min(1.0, p - q + half)


# Resamples and blocks: the bounds of a 95 % interval then vary by about a twentieth of its width from seed to seed.
RESAMPLES = 2000
BLOCKS = 2000


def paired_bootstrap(
    sums_NC: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], doubt: float = 0.05, seed: int = 0
) -> Interval:
    """Percentile interval of a statistic of the mean of rows, resampling rows (paired: all columns together).

    `statistic` maps means of shape (resamples, C) to (resamples,). Rows beyond `BLOCKS` are first averaged in random
    blocks of equal size, which keeps the distribution of the mean and bounds the work.
    """
    import numpy as np

    draw = np.random.default_rng(seed)
    rows = sums_NC
    if len(rows) > BLOCKS:
        size = len(rows) // BLOCKS
        rows = rows[draw.permutation(len(rows))[: size * BLOCKS]].reshape(BLOCKS, size, -1).mean(axis=1)
    means = np.empty((RESAMPLES, rows.shape[1]))
    for i in range(RESAMPLES):
        means[i] = rows[draw.integers(0, len(rows), len(rows))].mean(axis=0)
    low, high = np.quantile(statistic(means), [doubt / 2, 1 - doubt / 2])
    return float(low), float(high)


def mean_interval(values_N: np.ndarray, doubt: float = 0.05, *, step: float = 0.0, overlap: float = 0.0) -> Interval:
    """Interval of the mean of n >= 2 values: mean ± t s √(1/n + overlap), n - 1 degrees of freedom (Student, 1908).

    Args:
        step: of values that are known in steps only, such as shares of few rows. They may agree by chance, and s would
            be 0; their variance is taken for no less than that of rounding, step²/6 of a difference of two. Without
            that, one verdict in nine over two seeds of the same recipe was wrong on 10 rows; with it, none of the cases
            tried was above 6 %.
        overlap: rows tested over rows trained on, for folds of the same rows: their training rows overlap, so that
            the mean varies more than s says (Nadeau and Bengio, 2003). Of two equally good nearest-neighbour rules,
            5 to 10 folds without it found one better 14 times in 100, with it 5 times. 0: independent values.
    """
    variance = max(float(values_N.var(ddof=1)), step**2 / 6)
    half = _student(1 - doubt / 2, len(values_N) - 1) * math.sqrt(variance * (1 / len(values_N) + overlap))
    return float(values_N.mean()) - half, float(values_N.mean()) + half


def unpaired_difference(
    first_N: np.ndarray, second_M: np.ndarray, doubt: float = 0.05, *, step: float = 0.0
) -> Interval:
    """Interval of mean(second) - mean(first) of independent values (Welch, 1947); at least two of each.

    Degrees of freedom are Satterthwaite's: (a + b)² / (a²/(n - 1) + b²/(m - 1)) with the variances a, b of both means.
    """
    sizes = len(first_N), len(second_M)
    a, b = (max(float(v.var(ddof=1)), step**2 / 12) / len(v) for v in (first_N, second_M))
    difference = float(second_M.mean() - first_N.mean())
    if a + b == 0:
        return difference, difference
    freedom = (a + b) ** 2 / (a**2 / (sizes[0] - 1) + b**2 / (sizes[1] - 1))
    half = _student(1 - doubt / 2, freedom) * math.sqrt(a + b)
    return difference - half, difference + half


MOST_TRIALS = 10_000  # nobody trains more of a recipe to tell two apart


def trials_to_tell(
    difference: float, spread: float, doubt: float = 0.05, power: float = 0.8, *, groups: int = 1
) -> int:
    """Fewest trials of each recipe that show a true difference of this size with probability `power`, by a t test.

    Args:
        difference: of the means.
        spread: standard deviation of the paired differences; of unpaired trials √(s₁² + s₂²), with `groups` = 2.

    With n trials t has groups (n - 1) degrees of freedom and, if the difference is real, the non-centrality
    |difference| √n / spread. `MOST_TRIALS` stands for that number or more.
    """
    from scipy.special import nctdtr

    if difference == 0:
        return MOST_TRIALS
    if spread == 0:
        return 2

    def shown(n: int) -> bool:
        freedom, centre = groups * (n - 1), abs(difference) * math.sqrt(n) / spread
        bound = _student(1 - doubt / 2, freedom)
        return bool(1 - nctdtr(freedom, centre, bound) + nctdtr(freedom, centre, -bound) >= power)

    low, high = 1, 2
    while not shown(high):
        low, high = high, 2 * high
        if high >= MOST_TRIALS:
            return MOST_TRIALS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high


def _student(probability: float, freedom: float) -> float:
    """Quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))
