"""How sure a reported figure is: intervals from the samples of one split.

They cover the luck of which samples were in the split, not the luck of the training seed.

Shapes: B samples, K classes, R resamples.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Interval = tuple[float, float]

# Resamples of a bootstrap: 1000 settle a 95 % bound to about 2 % of the interval's width. With many samples fewer are
# drawn, down to 200, so that the cost stays below 2e7 draws (about a second).
MOST_RESAMPLES, LEAST_RESAMPLES, DRAWS = 1000, 200, 20_000_000
LEAST_BLOCKS = 5  # of samples that hang together; resamples of fewer are nearly all alike, and so promise too much


def wilson_interval(successes: float, trials: int, level: float = 0.95) -> Interval:
    """Interval of a share (Wilson 1927); sound for shares near 0 and 1 and for few trials.

    >>> tuple(round(bound, 4) for bound in wilson_interval(9, 10))
    (0.5958, 0.9821)
    """
    if trials == 0:
        return (math.nan, math.nan)
    z = NormalDist().inv_cdf((1 + level) / 2)
    p = successes / trials
    middle = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z * math.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2)) / (1 + z**2 / trials)
    return (max(middle - half, 0.0), min(middle + half, 1.0))


def mean_interval(values: Array, level: float = 0.95) -> Interval:
    """Interval of a mean by Student's t; for a handful of seeds as for the losses of a split. NaN below two values."""
    values = np.asarray(values, dtype=np.float64)
    if values.size < 2:
        return (math.nan, math.nan)
    half = _student_quantile((1 + level) / 2, values.size - 1) * values.std(ddof=1) / math.sqrt(values.size)
    return (float(values.mean() - half), float(values.mean() + half))


def interval_of(
    score: str, prediction: Any, target: Any, *, overlap: int = 1, level: float = 0.95, seed: int = 0
) -> Interval:
    """Interval of a named figure of merit of one split.

    `prediction` holds what the figure is made of: decisions for accuracy, balanced_accuracy, f1 and macro_f1; values
    for r2, rmse and mae; scores (logits or probabilities) for auc. Shapes are those of the objective's decisions.
    Shares get Wilson's interval, means Student's, everything else a seeded bootstrap.

    Args:
        overlap: how many successive samples share values, as the windows of a forecast do; 1: samples are independent.
            The errors of values are then resampled in blocks of successive samples, at least so long (Künsch 1989).

    NaN where nothing can be told: a figure that is undefined, or fewer than five such blocks.
    """
    guess, truth = np.asarray(prediction), np.asarray(target)
    rng = np.random.default_rng(seed)
    if score == "accuracy":
        truth = truth.reshape(guess.shape)
        if guess.ndim == 1:
            return wilson_interval(int((guess == truth).sum()), len(guess), level)
        low, high = mean_interval((guess == truth).mean(axis=1), level)  # samples are independent, their labels not
        return (max(low, 0.0), min(high, 1.0))
    if score in ("balanced_accuracy", "macro_f1", "f1"):
        if guess.ndim == 2 and guess.shape[1] > 1:
            return _percentiles(_bootstrap_label_f1(guess, truth, rng), level)
        return _percentiles(_bootstrap_confusion(score, guess.ravel(), truth.ravel(), rng), level)
    if score == "auc":
        return _percentiles(_bootstrap_auc(guess.ravel(), truth.ravel(), rng), level)
    if score in ("r2", "rmse", "mae"):
        columns = len(guess), -1
        block = 1 if overlap == 1 else max(overlap, round(len(guess) ** (1 / 3)))
        if overlap > 1 and len(guess) < LEAST_BLOCKS * block:
            return (math.nan, math.nan)
        return _percentiles(_bootstrap_errors(score, guess.reshape(columns), truth.reshape(columns), block, rng), level)
    raise AssertionError(f"no interval for {score}")


def _percentiles(figures_R: Array, level: float) -> Interval:
    if not np.isfinite(figures_R).any():
        return (math.nan, math.nan)
    low, high = np.nanquantile(figures_R, [(1 - level) / 2, (1 + level) / 2])
    return (float(low), float(high))


def _num_resamples(num_samples: int) -> int:
    return min(max(DRAWS // max(num_samples, 1), LEAST_RESAMPLES), MOST_RESAMPLES)


def _resampled_sums(columns_BC: Array, rng: np.random.Generator, block: int = 1) -> Array:
    """(R, C) sums of the columns over R resamples with replacement of the B rows, by blocks of successive rows."""
    size = len(columns_BC)
    sums = []
    for _ in range(_num_resamples(size)):
        rows = rng.integers(0, size - block + 1, -(-size // block))
        rows = rows if block == 1 else (rows[:, None] + np.arange(block)).ravel()[:size]
        sums.append(np.bincount(rows, minlength=size) @ columns_BC)
    return np.stack(sums)


def _bootstrap_errors(score: str, guess_BT: Array, truth_BT: Array, block: int, rng: np.random.Generator) -> Array:
    """The figure of each resample.

    The spread that R2 divides by is taken around the mean of the sample, not of the resample, which repeats samples
    and so would hold less of it: with few samples R2 would come out lower in nearly all resamples than in the sample.
    """
    size = len(guess_BT)
    truth_BT = truth_BT.astype(np.float64)
    error_BT = guess_BT - truth_BT
    spread_BT = (truth_BT - truth_BT.mean(axis=0)) ** 2
    sums_RC = _resampled_sums(np.concatenate((np.abs(error_BT), error_BT**2, spread_BT), axis=1), rng, block)
    away_RT, error_RT, spread_RT = np.split(sums_RC, 3, axis=1)
    if score == "mae":
        return np.asarray((away_RT / size).mean(axis=1))
    if score == "rmse":
        return np.asarray(np.sqrt(error_RT / size).mean(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(spread_RT > 0, 1 - error_RT / spread_RT, np.nan).mean(axis=1))


def _bootstrap_confusion(score: str, guess_B: Array, truth_B: Array, rng: np.random.Generator) -> Array:
    """Resampling rows with replacement is a multinomial draw of the confusion matrix's cells."""
    classes, indices = np.unique(np.concatenate((truth_B, guess_B)), return_inverse=True)
    size, num_classes = len(truth_B), len(classes)
    cells = np.bincount(indices[:size] * num_classes + indices[size:], minlength=num_classes**2)
    draws = rng.multinomial(size, cells / size, size=_num_resamples(num_classes**2))
    confusion_RKK = draws.reshape(-1, num_classes, num_classes)
    hits_RK = np.diagonal(confusion_RKK, axis1=1, axis2=2)
    truth_RK, guess_RK = confusion_RKK.sum(axis=2), confusion_RKK.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        if score == "balanced_accuracy":
            return np.asarray(np.nanmean(hits_RK / truth_RK, axis=1))
        f1_RK = 2 * hits_RK / (truth_RK + guess_RK)
    if score == "f1":  # of the positive class
        return np.nan_to_num(f1_RK[:, -1]) if classes[-1] == 1 else np.zeros(len(f1_RK))
    return np.asarray(np.nanmean(f1_RK, axis=1))


def _bootstrap_label_f1(guess_BK: Array, truth_BK: Array, rng: np.random.Generator) -> Array:
    columns = np.concatenate((guess_BK * truth_BK, guess_BK + truth_BK), axis=1).astype(np.float64)
    hits_RK, claims_RK = np.split(_resampled_sums(columns, rng), 2, axis=1)
    return np.asarray((2 * hits_RK / np.maximum(claims_RK, 1)).mean(axis=1))


def _bootstrap_auc(score_B: Array, truth_B: Array, rng: np.random.Generator) -> Array:
    """Sorted once; a resample only changes how often each sample counts."""
    order = np.argsort(score_B, kind="stable")
    positive_B = truth_B[order].astype(np.float64)
    size = len(order)
    starts = np.flatnonzero(np.diff(score_B[order], prepend=score_B[order[0]] - 1))
    figures = np.empty(_num_resamples(size))
    for i in range(len(figures)):
        times_B = np.bincount(rng.integers(0, size, size), minlength=size)
        positive_G = np.add.reduceat(times_B * positive_B, starts)
        negative_G = np.add.reduceat(times_B * (1 - positive_B), starts)
        below_G = np.cumsum(negative_G) - negative_G / 2  # ties count half
        pairs = positive_G.sum() * negative_G.sum()
        figures[i] = positive_G @ below_G / pairs if pairs else np.nan
    return figures


def _student_quantile(p: float, freedom: int) -> float:
    """Quantile of Student's t: exact for 1 and 2 degrees, else Hill's expansion (1970), good to 1e-3 from 3 on."""
    if freedom == 1:
        return math.tan(math.pi * (p - 0.5))
    if freedom == 2:
        return (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
    z = NormalDist().inv_cdf(p)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom ** (i + 1) for i, term in enumerate(terms))
