"""The members of a run in its report: every curve, the learning curve over training rows, and the table.

Shapes: M members, E evaluations.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from limpid.reporting.figures import Figure, layout_of, plot_values
from limpid.reporting.population import Population, Spread
from limpid.reporting.population_lines import differs, judged, spread_lines
from limpid.reporting.reading import Reading, Row, score_title
from limpid.reporting.text import SHARES, figure, label, number, seconds

MOST_CURVES = 100  # drawn; a picture with more is a grey area
MOST_MEMBER_ROWS = 200  # of the table


def curves_figure(reading: Reading, population: Population) -> Figure | None:
    """The monitored figure of every member against the epoch, thin, with their mean and one standard deviation."""
    shown = [row for row in population.rows if row["number"] in population.answering and row.get("figures")]
    if not shown:
        return None
    training = (reading.header.get("config") or {}).get("training") or {}
    first, every = int(training.get("evaluate_from") or 1), int(training.get("evaluate_every") or 1)
    name = str(shown[0].get("monitor", "loss"))
    factor = 100.0 if name in SHARES else 1.0
    curves = [[factor * value for value in row["figures"]] for row in shown]
    epochs = [first + every * i for i in range(max(map(len, curves)))]
    thin: list[Row] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": differs(row),
            "showlegend": False,
            "x": epochs[: len(curve)],
            "y": plot_values(curve),
            "line": {"color": "@step", "width": 1},
            "hovertemplate": f"{differs(row)}: %{{y:.4g}}<extra>epoch %{{x}}</extra>",
        }
        for row, curve in list(zip(shown, curves, strict=True))[:MOST_CURVES]
    ]
    split = "validation" if reading.data.get("num_valid") or population.how == "folds" else "training"
    unit = " (%)" if name in SHARES else ""
    layout = layout_of("epoch", f"{split} {label(name)}{unit}")
    return {"data": [*thin, *_mean_and_band(curves, epochs)], "layout": layout}


def _mean_and_band(curves: Sequence[Sequence[float]], epochs: Sequence[int]) -> list[Row]:
    """Mean of the curves that go so far, and one standard deviation around it."""
    mean, half = [], []
    for i in range(len(epochs)):
        values = [curve[i] for curve in curves if i < len(curve) and math.isfinite(curve[i])]
        spread = Spread.of(values) if values else None
        mean.append(math.nan if spread is None else spread.mean)
        half.append(0.0 if spread is None or spread.n < 2 else spread.deviation)
    edges = [[m + sign * h for m, h in zip(mean, half, strict=True)] for sign in (1, -1)]
    line: Row = {"type": "scatter", "mode": "lines", "x": list(epochs), "hoverinfo": "skip", "line": {"width": 0}}
    shade = {"fill": "tonexty", "fillcolor": "rgba(128,128,128,0.25)", "name": "one standard deviation"}
    middle = {"name": "mean", "y": plot_values(mean), "line": {"color": "@valid", "width": 3}}
    return [
        line | {"y": plot_values(edges[0]), "showlegend": False},
        line | {"y": plot_values(edges[1])} | shade,
        {"type": "scatter", "mode": "lines", "x": list(epochs)} | middle,
    ]


def sizes_figure(population: Population) -> Figure | None:
    """The validation figure against the number of training rows: each network a point, the mean with its interval."""
    sizes = population.sizes()
    if population.how != "sizes" or len(sizes) < 2:
        return None
    factor = 100.0 if population.figure in SHARES else 1.0
    spreads = [spread for _, spread in population.size_spreads()]
    points = [(size, factor * value) for size, values in sizes for value in values]
    above = [0.0 if spread.n < 2 else factor * (spread.high - spread.mean) for spread in spreads]
    below = [0.0 if spread.n < 2 else factor * (spread.mean - spread.low) for spread in spreads]
    mean: Row = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "mean, 95 % interval",
        "x": [size for size, _ in sizes],
        "y": plot_values([factor * spread.mean for spread in spreads]),
        "error_y": {"type": "data", "symmetric": False, "array": plot_values(above), "arrayminus": plot_values(below)},
        "line": {"color": "@valid", "width": 2},
    }
    each: Row = {
        "type": "scatter",
        "mode": "markers",
        "name": "one network",
        "x": [size for size, _ in points],
        "y": plot_values([value for _, value in points]),
        "marker": {"color": "@train", "size": 6, "opacity": 0.6},
    }
    unit = " (%)" if population.figure in SHARES else ""
    layout = layout_of("training rows, logarithmic", f"validation {label(population.figure)}{unit}")
    layout["xaxis"] |= {"type": "log"}
    return {"data": [each, mean], "layout": layout}


def members_block(reading: Reading, population: Population) -> dict[str, Any]:
    """What the report says of the members: {"lines", "head", "rows", "left_out"}, printable."""
    lines = [", ".join(re.split(" {2,}", line)) for line in spread_lines(reading, population)]
    lines += [judged(reading, population)] if population.how == "sizes" else []
    score = reading.score or ""
    head = ["member", "", "training rows", "best epoch", f"validation {label(population.figure)}"]
    head += [score_title(reading)] if population.results else []
    rows = []
    for row in [*population.rows, *population.failed][:MOST_MEMBER_ROWS]:
        value, result = population.value(row), population.results.get(row["number"], {})
        cells = [number(row["number"]), differs(row), number(row.get("rows")), number(row.get("best_epoch"))]
        cells.append(str(row.get("state")) if value is None else figure(population.figure, value))
        if population.results:
            cells.append(figure(score, result[score]) if score in result else "")
        rows.append([*cells, seconds(float(row.get("seconds") or 0.0))])
    left_out = len(population.rows) + len(population.failed) - len(rows)
    return {"lines": lines, "head": [*head, "time"], "rows": rows, "left_out": left_out}
