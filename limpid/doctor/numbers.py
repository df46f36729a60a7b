"""Values of a record as numbers: anything may be missing there, and what is there may be NaN or infinite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def is_number(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def number(value: Any) -> float:
    """The value; NaN for what is no number."""
    return float(value) if isinstance(value, int | float) else math.nan


def finite(value: Any) -> float | None:
    """The value; None for what is no finite number."""
    return float(value) if is_number(value) else None


def measured(value: Any) -> float | None:
    """The value, which may be infinite; None for NaN and for what is no number."""
    return None if math.isnan(number(value)) else number(value)


def comparable(values: Sequence[Any]) -> list[float]:
    """Losses of several runs; what broke down is worse than any."""
    return [float(value) if is_number(value) else math.inf for value in values]
