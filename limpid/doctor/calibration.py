"""Is the network as sure as it is right? Calibration error, and the temperature that would mend it.

    ECE = sum_b (n_b / N) |accuracy_b - confidence_b|   over bins of equal mass   (Naeini et al. 2015; Guo et al. 2017)
    T minimises the mean of -log softmax(log p / T)_y; above 1 the network is too sure
    z = (sum_i B_i - E B_i) / sqrt(sum_i Var B_i)   with B_i = |p_i - onehot(y_i)|^2, and y_i drawn from p_i: near a
        standard normal where the probabilities are right, whatever they are, above 0 for a network that is too sure

    E B = 1 - |p|^2,  Var B = 4 (sum_k p_k^3 - |p|^4)   (Spiegelhalter 1986, here for K classes)

Shapes: N samples, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BINS = 15
LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Calibration:
    """Figures of one split.

    Attributes:
        error: ECE, 0 to 1, of the one half of the rows; `noise` is what a calibrated network of as many would show.
        temperature: fitted on each half of the rows; their geometric mean.
        z: excess of the Brier score over what the probabilities themselves lead one to expect, in its deviations.
        gain, gain_se: mean fall of the log loss of each half by the other's temperature, nats, and its standard error.
        brier: mean squared distance between probabilities and the truth.
        bins: (mean confidence, share right) of each bin.
    """

    error: float
    noise: float
    temperature: float
    z: float
    gain: float
    gain_se: float
    brier: float
    bins: tuple[tuple[float, float], ...]
    n: int


def calibration_of(probabilities: Any, target: Any) -> Calibration | None:
    """Calibration of (N, K) probabilities of N whole-number targets; None below 30 rows or for other shapes."""
    p_NK = np.asarray(probabilities, dtype=np.float64)
    truth_N = np.asarray(target).reshape(-1)
    if p_NK.ndim != 2 or len(p_NK) != len(truth_N) or len(truth_N) < 30 or not np.isfinite(p_NK).all():
        return None
    truth_N = truth_N.astype(np.int64)
    if truth_N.min() < 0 or truth_N.max() >= p_NK.shape[1]:
        return None
    confidence_N, right_N = p_NK.max(axis=1), p_NK.argmax(axis=1) == truth_N
    error, bins = expected_error(confidence_N, right_N)
    logs_NK = np.log(np.clip(p_NK, LEAST_PROBABILITY, 1.0))
    order = np.random.default_rng(0).permutation(len(truth_N))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    temperatures = [fit_temperature(logs_NK[half], truth_N[half]) for half in halves]
    gains = np.concatenate(
        [
            log_losses(logs_NK[other], truth_N[other]) - log_losses(logs_NK[other] / temperature, truth_N[other])
            for temperature, other in zip(temperatures, reversed(halves), strict=True)
        ]
    )
    temperature = math.sqrt(temperatures[0] * temperatures[1])
    return Calibration(
        error,
        _expected_noise(confidence_N),
        temperature,
        excess_of_brier(p_NK, truth_N),
        float(gains.mean()),
        float(gains.std(ddof=1) / math.sqrt(len(gains))),
        float(((p_NK - np.eye(p_NK.shape[1])[truth_N]) ** 2).sum(axis=1).mean()),
        bins,
        len(truth_N),
    )


def expected_error(confidence_N: Floats, right_N: NDArray[np.bool_]) -> tuple[float, tuple[tuple[float, float], ...]]:
    """ECE over bins of equal mass, and what each bin holds."""
    order = np.argsort(confidence_N, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    bins = tuple((float(confidence_N[part].mean()), float(right_N[part].mean())) for part in parts)
    distances = [len(part) * abs(sure - right) for part, (sure, right) in zip(parts, bins, strict=True)]
    return sum(distances) / len(order), bins


def excess_of_brier(p_NK: Floats, truth_N: NDArray[np.int64]) -> float:
    """z at the head of this file; 0 where every probability is 0 or 1 and right, infinite where one is wrong."""
    square_N, cube_N = (p_NK**2).sum(axis=1), (p_NK**3).sum(axis=1)
    excess = float((2 * square_N - 2 * p_NK[np.arange(len(truth_N)), truth_N]).sum())  # B - E B
    variance = 4 * float((cube_N - square_N**2).clip(min=0).sum())
    if variance <= LEAST_PROBABILITY:
        return 0.0 if abs(excess) < math.sqrt(LEAST_PROBABILITY) else math.copysign(math.inf, excess)
    return excess / math.sqrt(variance)


def fit_temperature(logs_NK: Floats, truth_N: NDArray[np.int64]) -> float:
    """The temperature of the least log loss, between 1/20 and 20, by golden section on its logarithm."""
    low, high, ratio = -3.0, 3.0, (math.sqrt(5) - 1) / 2

    def loss(log_temperature: float) -> float:
        return float(log_losses(logs_NK / math.exp(log_temperature), truth_N).mean())

    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(40):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return math.exp((low + high) / 2)


def log_losses(logits_NK: Floats, truth_N: NDArray[np.int64]) -> Floats:
    """(N,) -log softmax at the truth."""
    shifted = logits_NK - logits_NK.max(axis=1, keepdims=True)
    losses: Floats = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(truth_N)), truth_N]
    return losses


def _expected_noise(confidence_N: Floats) -> float:
    """Mean ECE of a network that is right exactly as often as it says: E|normal| of each bin's share."""
    parts = [part for part in np.array_split(np.sort(confidence_N), BINS) if len(part)]
    spread = [math.sqrt(2 / math.pi * float((part * (1 - part)).sum())) for part in parts]
    return sum(spread) / len(confidence_N)
