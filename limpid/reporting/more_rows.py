"""Whether more training rows would help: a power law through the errors that growing parts of them led to.

    E(n) = a n^-b        ln E = ln a - b ln n

a straight line by least squares through the logarithms. It is fitted to the largest sizes only, as small ones do not
follow it yet (Hestness et al. 2017, arXiv 1712.00409: small data, power law, irreducible error). The intervals are
those of the line (Student's t); that the law goes on beyond the last size is an assumption.

Shapes: P points, one for each size and draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from limpid.reporting.text import LOWER_IS_BETTER, figure, interval, label, number

SIZES_FITTED = 3  # the largest: two make no line with a doubt, and more reach back to where the law does not hold
FACTOR = 2  # of rows, whose worth is told


@dataclass(frozen=True)
class PowerLaw:
    """Errors as a power of the number of rows.

    Attributes:
        exponent: b, and the bounds of its 95 % interval.
        rows: of the largest size.
        error: of the line there.
        more: error with `FACTOR` times the rows, and the bounds of its interval.
    """

    exponent: tuple[float, float, float]
    rows: int
    error: float
    more: tuple[float, float, float]


def fit_power_law(sizes: Sequence[tuple[int, Sequence[float]]]) -> PowerLaw | None:
    """The line through the largest sizes; None for fewer than two sizes or three points, or an error of 0 or less.

    Args:
        sizes: number of rows, rising, and the errors with so many.
    """
    import numpy as np
    from scipy.special import stdtrit

    points = [(rows, error) for rows, errors in sizes[-SIZES_FITTED:] for error in errors]
    if len({rows for rows, _ in points}) < 2 or len(points) < 3 or min(error for _, error in points) <= 0:
        return None
    x_P, y_P = (np.log([point[i] for point in points]) for i in (0, 1))
    centred_P = x_P - x_P.mean()
    slope = float(centred_P @ y_P / (centred_P @ centred_P))
    freedom = len(points) - 2
    left_P = y_P - y_P.mean() - slope * centred_P
    noise = math.sqrt(float(left_P @ left_P) / freedom)
    quantile = float(stdtrit(freedom, 0.975))
    half_slope = quantile * noise / math.sqrt(float(centred_P @ centred_P))

    def line(rows: float) -> tuple[float, float]:
        away = math.log(rows) - float(x_P.mean())
        doubt = noise * math.sqrt(1 / len(points) + away**2 / float(centred_P @ centred_P))
        return float(y_P.mean()) + slope * away, quantile * doubt

    most = points[-1][0]
    (now, _), (more, half) = line(most), line(FACTOR * most)
    bounds = math.exp(more), math.exp(more - half), math.exp(more + half)
    return PowerLaw((-slope, -slope - half_slope, -slope + half_slope), most, math.exp(now), bounds)


def more_rows_sentence(name: str, sizes: Sequence[tuple[int, Sequence[float]]], num_judged: int) -> str:
    """Whether twice the rows would help, in one or two sentences.

    Args:
        name: of the validation figure.
        sizes: its values by number of training rows.
        num_judged: validation rows; an error of 0 counts as half a row of them.
    """
    falls = name in LOWER_IS_BETTER
    least = 0.5 / max(num_judged, 1)
    law = fit_power_law([(rows, [max(v if falls else 1 - v, least) for v in values]) for rows, values in sizes])
    if law is None:
        return "Too few sizes and seeds to tell whether more rows would help."
    b, low, high = law.exponent
    first = sizes[-SIZES_FITTED:][0][0]
    span = f"from {number(first)} to {number(law.rows)} rows"
    how = f"{span} the error falls as rows^-{b:.2f}, interval {low:.2f} to {high:.2f}"
    if low <= 0 < high:
        return (
            f"Cannot tell whether more rows would help ({how}): the fall does not stand out from the noise of seeds "
            "and draws. More seeds would tell."
        )
    if high <= 0:
        return f"More rows would not help as things stand: from {number(first)} rows on the error does not fall."
    value, best, worst = (error if falls else 1 - error for error in law.more)
    now = law.error if falls else 1 - law.error
    bounds = interval(name, *sorted((best, worst)))
    return (
        f"{number(FACTOR * law.rows)} rows, twice as many, would take validation {label(name)} from "
        f"{figure(name, now)} to about {figure(name, value)} (95 % interval {bounds}), if the law goes on: {how}."
    )
