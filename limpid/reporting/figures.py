"""Figures of the outcome, and what all figures share: plain plotly dictionaries {"data": [...], "layout": {...}}.

Colours are roles ("@train", "@valid", ...) that the page replaces by those of its light or dark scheme. Foreign text is
escaped here, because plotly reads a little markup in labels.
"""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

from limpid.reporting.outcomes import class_names, targets_and_predictions
from limpid.reporting.reading import Reading, Row
from limpid.reporting.text import plain, squeeze

if TYPE_CHECKING:
    import numpy as np

Figure = dict[str, Any]

LONGEST_LABEL = 18  # characters of a class name on an axis; the full name shows on hovering
# Classes up to which a confusion matrix is drawn, and up to which its cells, then wide enough, carry numbers.
MOST_CLASSES_DRAWN = 100
MOST_CLASSES_NUMBERED = 20
MOST_POINTS = 2000  # of a scatter plot: more only makes the page heavy


def confusion_figure(counts_KK: np.ndarray, reading: Reading) -> Figure | None:
    """True class against predicted class: colour is the share of the true class's rows, numbers are rows."""
    num_classes = len(counts_KK)
    if num_classes > MOST_CLASSES_DRAWN:
        return None
    names = [_label(name) for name in class_names(reading, num_classes)]
    shares = [[100.0 * int(cell) / max(1, int(row.sum())) for cell in row] for row in counts_KK]
    short = [_label(squeeze(name, LONGEST_LABEL)) for name in class_names(reading, num_classes)]
    cells = [[f"{html_true} → {guess}" for guess in names] for html_true in names]
    trace: Row = {
        "type": "heatmap",
        "z": shares,
        "customdata": [[[int(n), cells[k][j]] for j, n in enumerate(row)] for k, row in enumerate(counts_KK)],
        "colorscale": [[0.0, "@low"], [0.5, "@middle"], [1.0, "@high"]],
        "zmin": 0,
        "zmax": 100,
        "xgap": 1,
        "ygap": 1,
        "colorbar": {"title": {"text": "% of the true class", "side": "right"}, "thickness": 10, "outlinewidth": 0},
        "hovertemplate": "%{customdata[1]}: %{customdata[0]} rows, %{z:.1f} %<extra></extra>",
    }
    if num_classes <= MOST_CLASSES_NUMBERED:
        trace |= {"text": [[str(int(n)) if n else "" for n in row] for row in counts_KK], "texttemplate": "%{text}"}
    layout = layout_of("predicted class", "true class")
    ticks = {"tickvals": list(range(num_classes)), "ticktext": short, "showgrid": False, "zeroline": False}
    if num_classes > 40:
        ticks |= {"showticklabels": False}
    layout["xaxis"] |= ticks | {"tickangle": -45 if max(map(len, short)) > 3 else 0}
    layout["yaxis"] |= ticks | {"autorange": "reversed"}
    return {"data": [trace], "layout": layout | {"height": min(760, max(340, 170 + 30 * num_classes))}}


def regression_figures(reading: Reading, most_targets: int = 4) -> list[tuple[str, Figure, Figure]]:
    """For each target: its name, predicted against actual, and the histogram of the residuals (actual - predicted)."""
    import numpy as np

    pair = targets_and_predictions(reading)
    if pair is None or reading.task != "regression":
        return []
    names = [plain(name) for name in reading.data.get("target_names") or ()]
    figures = []
    for t in range(min(pair[0].shape[1], most_targets)):
        actual, predicted = pair[0][:, t], pair[1][:, t]
        kept = np.isfinite(actual) & np.isfinite(predicted)
        if not kept.any():
            continue
        name = names[t] if t < len(names) else "target"
        figures.append(
            (name, _scatter(actual[kept], predicted[kept], name), _residuals((actual - predicted)[kept], name))
        )
    return figures


def _scatter(actual: np.ndarray, predicted: np.ndarray, name: str) -> Figure:
    import numpy as np

    shown = np.arange(len(actual))
    if len(shown) > MOST_POINTS:
        shown = np.sort(np.random.default_rng(0).choice(len(actual), MOST_POINTS, replace=False))
    low, high = float(min(actual.min(), predicted.min())), float(max(actual.max(), predicted.max()))
    points: Row = {
        "type": "scatter",
        "mode": "markers",
        "name": "rows",
        "x": plot_values(actual[shown].tolist()),
        "y": plot_values(predicted[shown].tolist()),
        "marker": {"color": "@train", "size": 5, "opacity": 0.6},
        "hovertemplate": "actual %{x:.4g}, predicted %{y:.4g}<extra></extra>",
    }
    ideal: Row = {"type": "scatter", "mode": "lines", "name": "predicted = actual", "x": [low, high], "y": [low, high]}
    ideal |= {"line": {"color": "@valid", "dash": "dash", "width": 2}, "hoverinfo": "skip"}
    unit = _label(squeeze(name, LONGEST_LABEL))
    return {"data": [points, ideal], "layout": layout_of(f"actual {unit}", f"predicted {unit}")}


def _residuals(residual_N: np.ndarray, name: str) -> Figure:
    import numpy as np

    rows, edges = np.histogram(residual_N, bins=max(5, min(60, round(math.sqrt(len(residual_N))))))
    trace: Row = {
        "type": "bar",
        "name": "rows",
        "x": ((edges[:-1] + edges[1:]) / 2).tolist(),
        "y": rows.tolist(),
        "width": np.diff(edges).tolist(),
        "marker": {"color": "@train", "line": {"color": "@surface", "width": 1}},
        "hovertemplate": "%{y} rows near %{x:.4g}<extra></extra>",
    }
    unit = _label(squeeze(name, LONGEST_LABEL))
    layout = layout_of(f"residual: actual − predicted {unit}", "rows") | {"showlegend": False, "bargap": 0}
    layout["shapes"] = [vertical_line(0.0, "@valid")]
    return {"data": [trace], "layout": layout}


def vertical_line(x: float, colour: str) -> Row:
    line = {"color": colour, "width": 1.5, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def plot_values(values: list[float]) -> list[float | None]:
    """Five significant digits; JSON knows no NaN: a gap in the line."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]


def axis_of(title: str) -> Row:
    return {
        "title": {"text": title, "standoff": 10},
        "gridcolor": "@grid",
        "linecolor": "@grid",
        "zerolinecolor": "@grid",
    } | {"automargin": True}


def layout_of(x: str, y: str) -> Row:
    return {
        "xaxis": axis_of(x),
        "yaxis": axis_of(y),
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@text", "size": 12, "family": "system-ui, sans-serif"},
        "margin": {"l": 56, "r": 16, "t": 48, "b": 48},
        "height": 340,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 11}},
        "hoverlabel": {"align": "left"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "@faint", "activecolor": "@text"},
    }


def _label(text: str) -> str:
    """Foreign text as plotly prints it literally."""
    return html.escape(text, quote=False)
