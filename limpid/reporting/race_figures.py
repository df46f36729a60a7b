"""Figures of a race: paths over the contours of a surface, the loss at each step, and one optimiser at every rate.

Plain plotly dictionaries, as in figures.py. An optimiser has the same colour and dash on every surface. A few lines are
drawn at first; a click in the legend adds another, its path and its loss together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from limpid.reporting.figures import Figure, axis_of, layout_of, plot_values
from limpid.reporting.text import number

Row = dict[str, Any]

COLOURS = tuple(f"@line{letter}" for letter in "abcdefgh")  # of race_page.css
DASHES = ("solid", "dash", "dot")
NUM_FIRST = 3  # best optimisers that are drawn at first, beside the first of the line-up
LEAST = 1e-14  # excess where the axis ends: below, rounding decides
FURTHEST = 20.0  # windows away that a path is followed
HALVES = ([0.0, 0.44], [0.53, 1.0])  # the surface, and the loss
HEIGHT = 500


def race_figure(surface: Mapping[str, Any]) -> Figure:
    """Paths over the contours at the left, the excess of the wanted loss at each step at the right."""
    data = _ground(surface)
    for line in surface["lines"]:
        colour, dash = COLOURS[line["place"] % len(COLOURS)], DASHES[line["place"] // len(COLOURS) % len(DASHES)]
        shown = line["rank"] <= NUM_FIRST or line["place"] == 0
        name = f"{number(line['rank'], 3)}  {line['optimizer']}"
        data += _pair(line, name, colour, dash, shown, surface["window"])
    return {"data": data, "layout": _layout(surface, surface["lines"])}


def rates_figure(surface: Mapping[str, Any]) -> Figure:
    """The first optimiser of the line-up at every rate; along x alone, where it never leaves its y."""
    rates = surface["rates"]
    chosen = next(i for i, line in enumerate(rates["lines"]) if line["chosen"])
    shown = {max(0, chosen - 2), chosen, chosen + 1, chosen + 2}
    along = rates["slice"]
    data = _ground(surface) if along is None else _profile(surface, along)
    for i, line in enumerate(rates["lines"]):
        name = f"{line['lr']:g}{' (chosen)' if line['chosen'] else ''}"
        colour, dash = COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS)]
        drawn = line if along is None else line | {"y": line["excess_at"]}
        reach = surface["window"] if along is None else (surface["window"][0], (0.0, max(along["excess"])))
        data += _pair(drawn, name, colour, dash, i in shown, reach)
    layout = _layout(surface, rates["lines"])
    if along is not None:
        high = max(along["excess"])
        layout["yaxis"] |= {"range": [-0.06 * high, 1.06 * high], "title": {"text": "loss over its minimum"}}
    return {"data": data, "layout": layout}


def _ground(surface: Mapping[str, Any]) -> list[Row]:
    """Contours of the wanted loss on a scale of powers of ten, of what is descended, and the places that are known."""
    contour = surface["contour"]
    levels = [[_log(value) for value in row] for row in contour["excess"]]
    filled: Row = {"type": "contour", "x": plot_values(contour["x"]), "y": plot_values(contour["y"])}
    filled |= {"z": [plot_values(row) for row in levels], "showscale": False, "showlegend": False, "opacity": 0.75}
    filled |= {"colorscale": [[0.0, "@middle"], [1.0, "@low"]], "ncontours": 18, "line": {"width": 0.6}}
    filled |= {"contours": {"coloring": "heatmap"}, "hoverinfo": "skip"}
    data = [filled]
    if contour["descended"] is not None:
        other = [plot_values([_log(value) for value in row]) for row in contour["descended"]]
        lines: Row = {"type": "contour", "x": filled["x"], "y": filled["y"], "z": other, "showscale": False}
        lines |= {"contours": {"coloring": "none"}, "ncontours": 14, "name": "descended", "showlegend": True}
        data.append(lines | {"line": {"width": 1, "dash": "dot", "color": "@mark"}, "hoverinfo": "skip"})
    for key, symbol, name in (
        ("minima", "star", "minimum"), ("local_minima", "star-open", "local minimum"), ("saddles", "x", "saddle"),
    ):  # fmt: skip
        if surface[key]:
            data.append(_places(surface[key], symbol, name))
    return [*data, _places([surface["start"]], "circle", "start")]


def _profile(surface: Mapping[str, Any], along: Mapping[str, Any]) -> list[Row]:
    curve: Row = {"type": "scatter", "mode": "lines", "name": f"loss at y = {number(surface['start'][1])}"}
    curve |= {"x": plot_values(along["x"]), "y": plot_values(along["excess"])}
    return [curve | {"line": {"color": "@mark", "width": 2}, "hoverinfo": "skip", "showlegend": False}]


def _places(points: Sequence[Sequence[float]], symbol: str, name: str) -> Row:
    marks: Row = {"type": "scatter", "mode": "markers", "name": name, "showlegend": False}
    marks |= {"x": plot_values([x for x, _ in points]), "y": plot_values([y for _, y in points])}
    marks |= {"marker": {"symbol": symbol, "size": 11, "color": "@text", "line": {"width": 1, "color": "@surface"}}}
    return marks | {"hovertemplate": f"{name} (%{{x}}, %{{y}})<extra></extra>"}


def _pair(
    line: Mapping[str, Any], name: str, colour: str, dash: str, shown: bool, window: Sequence[Sequence[float]]
) -> list[Row]:
    """A path and its losses, which one entry of the legend switches together."""
    same: Row = {"type": "scatter", "name": name, "legendgroup": name, "visible": True if shown else "legendonly"}
    same |= {"line": {"color": colour, "dash": dash, "width": 1.8}}
    x, y = (_within(line[axis], ends) for axis, ends in zip("xy", window, strict=True))
    path = same | {"mode": "lines+markers", "x": x, "y": y, "marker": {"color": colour, "size": 3.5}}
    path |= {"hovertemplate": "(%{x}, %{y})", "showlegend": True}
    losses = same | {"mode": "lines", "x0": 0, "y": plot_values([_positive(value) for value in line["excess_at"]])}
    losses |= {"xaxis": "x2", "yaxis": "y2", "showlegend": False, "hovertemplate": "step %{x}: %{y:.3g}"}
    return [path, losses]


def _layout(surface: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Row:
    layout = layout_of("x", "y")
    layout["xaxis"] |= {"domain": HALVES[0], "range": list(surface["window"][0]), "zeroline": False}
    layout["yaxis"] |= {"range": list(surface["window"][1]), "zeroline": False}
    layout["xaxis2"] = axis_of("step") | {"domain": HALVES[1], "anchor": "y2"}
    layout["yaxis2"] = axis_of("wanted loss over its minimum") | {"type": "log", "anchor": "x2", "exponentformat": "e"}
    last = [_positive(_finite(line["excess_at"][-1])) for line in lines]
    start = _positive(lines[0]["excess_at"][0])
    low, high = math.log10(min([start, *last])) - 0.5, math.log10(start) + 1.5
    layout["yaxis2"] |= {"range": [low, high], "dtick": 1 if high - low < 8 else 2}
    layout["legend"] = {"x": 1.02, "y": 0.97, "font": {"size": 11}, "tracegroupgap": 0, "itemwidth": 30}
    layout["margin"] |= {"t": 28}
    return layout | {"height": HEIGHT}


def _within(values: Sequence[float], ends: Sequence[float]) -> list[float | None]:
    """Coordinates up to where a path is followed."""
    reach = FURTHEST * (ends[1] - ends[0])
    return [value if value is not None and abs(value) < reach else None for value in plot_values(list(values))]


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _positive(value: float) -> float:
    """What a logarithmic axis can show; NaN stays."""
    return LEAST if value < LEAST else value


def _log(value: float) -> float:
    return math.log10(max(value, 1e-4))
