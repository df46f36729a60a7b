"""How the metric of a search is drawn: its unit, its scale, the floor of its axis, and what is told of a trial."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from limpid.record.trial_table import Trial, TrialTable
from limpid.reporting.curves import LOG_FROM
from limpid.reporting.figures import layout_of
from limpid.reporting.search_lines import value_of
from limpid.reporting.text import SHARES, figure, label, plain, squeeze

Row = dict[str, Any]


class View:
    """How the metric of a search is drawn: its unit, its floor, and what is told of a trial."""

    def __init__(self, table: TrialTable) -> None:
        self.table = table
        self.scale = 100.0 if table.metric in SHARES else 1.0
        figures = [trial.figure for trial in table.ranked]
        positive = [value for value in figures if value > 0]
        self.least = min(positive, default=1.0)
        falls = not table.higher_is_better and bool(positive) and min(figures) >= 0
        self.logarithmic = falls and max(positive) / self.least > LOG_FROM
        order = sorted(map(self.goodness, figures))
        self.floor = -math.inf
        if len(order) >= 8:
            low, high = order[len(order) // 4], order[3 * len(order) // 4]
            self.floor = low - 1.5 * max(high - low, 1e-12)
            inside = [one for one in order if one >= self.floor]
            self.floor = -math.inf if len(inside) == len(order) else inside[0]
        shown = [one for one in order if one >= self.floor] or [0.0]
        self.low, self.high = shown[0], shown[-1]

    def goodness(self, value: float) -> float:
        """Height of a figure on the scale of the axis, the more the better."""
        return self.table.goodness(math.log10(max(value, self.least)) if self.logarithmic else value)

    def figure_at(self, goodness: float) -> float:
        """The figure of a height."""
        value = self.table.goodness(goodness)
        return 10**value if self.logarithmic else value

    def value(self, value: float) -> float | None:
        """A figure in the unit of the axis; at the floor, where it lies below it."""
        if not math.isfinite(value):
            return None
        kept = self.figure_at(self.floor) if self.goodness(value) < self.floor else value
        return self.values([kept])[0]

    def values(self, values: Sequence[float]) -> list[float | None]:
        """Figures in the unit of the axis, wherever they lie."""
        least = self.least if self.logarithmic else -math.inf
        return [float(f"{self.scale * max(value, least):.6g}") if math.isfinite(value) else None for value in values]

    def is_below(self, trial: Trial) -> bool:
        return self.goodness(trial.figure) < self.floor

    def height(self, value: float) -> float:
        """Place of a figure from 0, the worst that is drawn, to 1, the best."""
        span = self.high - self.low
        return min(max((self.goodness(value) - self.low) / span, 0.0), 1.0) if span > 0 else 0.5

    def ends(self) -> list[tuple[float, str]]:
        worst, best = self.figure_at(self.low), self.figure_at(self.high)
        return [(0.0, figure(self.table.metric, worst)), (1.0, figure(self.table.metric, best))]

    def layout(self, x: str) -> Row:
        unit = " (%)" if self.scale > 1 else ""
        layout = layout_of(x, printed(label(self.table.metric)) + unit)
        if self.logarithmic:
            layout["yaxis"] |= {"type": "log", "exponentformat": "e", "nticks": 6}
        return layout

    def around(self, values: Sequence[float]) -> list[float] | None:
        """Range of an axis that shows the better nine tenths of the values, with a margin."""
        ordered = sorted(self.goodness(value) for value in values if math.isfinite(value))
        if not ordered:
            return None
        low, high = ordered[len(ordered) // 10], ordered[-1]
        margin = 0.06 * (high - low) or 0.01 * abs(high) or 1.0
        bounds = [self.table.goodness(low - margin), self.table.goodness(high + margin)]
        return sorted(bounds if self.logarithmic else [self.scale * bound for bound in bounds])

    def told(self, trial: Trial) -> str:
        """A trial in the words of a hover label."""
        lines = [f"<b>trial {trial.number}</b>: {figure(self.table.metric, trial.figure)}"]
        return "<br>".join([*lines, *told_params(trial.params)])


def told_params(params: Mapping[str, Any], most: int = 12) -> list[str]:
    """Values of a trial, one per line, as plotly prints them literally."""
    return [f"{printed(path)} = {printed(squeeze(value_of(value), 40))}" for path, value in list(params.items())[:most]]


def printed(text: str) -> str:
    """Foreign text as plotly prints it literally."""
    return html.escape(plain(text), quote=False)
