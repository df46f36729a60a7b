"""The season of a series: the number of steps after which it resembles itself.

Shapes: S steps, L lags.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Autocorrelation from which a repetition counts as a season: noise stays below 2 / sqrt(S), that is 0.2 for a hundred
# steps; the solar cycle reaches 0.5, airline passengers 0.8.
LEAST_CORRELATION = 0.3
LEAST_REPEATS = 3  # seasons that the training steps must hold


def find_season(value_S: Floats, suggested: Sequence[int] = ()) -> int | None:
    """Steps of the season of these training values (NaN where missing), or None.

    A season that the calendar suggests is taken if the series repeats with it; otherwise the lag of the largest
    autocorrelation behind its first fall below zero.
    """
    most = len(value_S) // LEAST_REPEATS
    if most < 2:
        return None
    correlation_L = autocorrelation(_without_trend(value_S), most)
    for lag in suggested:
        if 2 <= lag <= most and correlation_L[lag] >= LEAST_CORRELATION:
            around_L = correlation_L[max(1, lag - lag // 3) : lag + lag // 3 + 1]
            if correlation_L[lag] >= around_L.max() - 0.05:  # a peak, not the slope of a slow series
                return int(lag)
    below = np.flatnonzero(correlation_L < 0)
    if len(below) == 0:
        return None
    lag = int(below[0] + np.argmax(correlation_L[below[0] :]))
    return lag if correlation_L[lag] >= LEAST_CORRELATION and lag >= 2 else None


def autocorrelation(value_S: Floats, most: int) -> Floats:
    """r_l = sum_s (x_s - m) (x_(s+l) - m) / sum_s (x_s - m)^2 for l = 0 ... most; 0 beyond l = 0 for a constant."""
    centred_S = value_S - value_S.mean()
    power = np.abs(np.fft.rfft(centred_S, 2 * len(centred_S))) ** 2
    product_L = np.fft.irfft(power)[: most + 1]
    return product_L / product_L[0] if product_L[0] > 0 else np.eye(1, most + 1)[0]


def _without_trend(value_S: Floats) -> Floats:
    """Missing values interpolated, and a straight line taken off."""
    step_S = np.arange(len(value_S), dtype=np.float64)
    known = ~np.isnan(value_S)
    if known.sum() < 2:
        return np.zeros(len(value_S))
    filled_S = np.interp(step_S, step_S[known], value_S[known])
    slope, start = np.polyfit(step_S, filled_S, 1)
    return filled_S - (start + slope * step_S)
