"""Figures of a search: its course, its trials over each knob and over all of them, their learning curves, importance.

Plain plotly dictionaries, as in figures.py. Trials far below the rest would flatten every axis: what lies below a floor
is drawn at the floor as a small triangle, and its figure is told on hovering.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from limpid.record.trial_table import Range, Trial, TrialTable
from limpid.reporting.figures import Figure, layout_of
from limpid.reporting.search_lines import value_of
from limpid.reporting.search_view import View, printed
from limpid.reporting.text import label, number, squeeze

Row = dict[str, Any]

MOST_LINES = 300  # trials whose curves are drawn: the best
MOST_SLICES = 24  # knobs that get a figure of their own
BEST_SHARE = 10  # one in so many trials counts as one of the best
LONGEST_LABEL = 16  # characters of a choice on an axis
UNASKED = -0.14  # place of a knob that a trial was not asked for, below its axis
FINALIST_COLOURS = ("@valid", "@train", "@other")


def course_figure(table: TrialTable) -> Figure | None:
    """Figure of each trial in the order of the trials, and the best until then."""
    done = [trial for trial in table.searched if trial.has_figure]
    if not done:
        return None
    view = View(table)
    course = [(at, best) for at, best in table.best_so_far() if math.isfinite(best)]
    best: Row = {"type": "scatter", "mode": "lines", "name": "best so far", "x": [at for at, _ in course]}
    best |= {"y": view.values([best for _, best in course]), "line": {"color": "@valid", "width": 2, "shape": "hv"}}
    best |= {"hoverinfo": "skip"}
    return {"data": [best, *_points(view, [trial.number for trial in done], done)], "layout": view.layout("trial")}


def slice_figure(table: TrialTable, knob: Range) -> Figure | None:
    """Figure of each finished trial over the values of one knob."""
    done = [trial for trial in table.ranked if knob.path in trial.params]
    if not done:
        return None
    view = View(table)
    x: list[Any] = [trial.params[knob.path] for trial in done]
    if not knob.is_number:
        x = [printed(squeeze(value_of(value), LONGEST_LABEL)) for value in x]
    layout = view.layout("") | {"showlegend": False, "height": 240}
    layout["margin"] |= {"t": 12, "b": 30}
    if knob.on_log:
        layout["xaxis"] |= {"type": "log", "dtick": 1 if knob.decades > 2 else "D2", "exponentformat": "e"}
    if not knob.is_number:
        order = [printed(squeeze(value_of(value), LONGEST_LABEL)) for value in knob.choices]
        layout["xaxis"] |= {"type": "category", "categoryorder": "array", "categoryarray": order}
    broken = [trial for trial in table.searched if trial.state == "failed" and knob.path in trial.params]
    data = _points(view, x, done)
    if broken and knob.is_number:
        data.append(_crosses(view, [trial.params[knob.path] for trial in broken], broken))
    return {"data": data, "layout": layout}


def parallel_figure(table: TrialTable) -> Figure | None:
    """Every finished trial as a line through its values, from knob to knob and to its figure: the best stand out."""
    knobs = [knob for knob in table.knobs if knob.kind != "pattern"]
    if len(knobs) < 2 or len(table.ranked) < 3:
        return None
    view = View(table)
    best = max(1, round(len(table.ranked) / BEST_SHARE))
    third = max(best + 1, len(table.ranked) // 3)
    groups = [
        ("the rest", "@step", 1.0, 0.55, table.ranked[third:]),
        ("best third", "@train", 1.3, 0.75, table.ranked[best:third]),
        ("best tenth", "@valid", 2.6, 1.0, table.ranked[:best]),
    ]
    data = []
    for name, colour, width, opacity, trials in groups:
        x: list[Any] = []
        y: list[Any] = []
        text: list[str] = []
        for trial in trials[:MOST_LINES]:
            x += [*range(len(knobs) + 1), None]
            y += [*(_height(knob, trial) for knob in knobs), view.height(trial.figure), None]
            text += [view.told(trial)] * (len(knobs) + 2)
        trace: Row = {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "text": text}
        trace |= {"line": {"color": colour, "width": width}, "opacity": opacity, "connectgaps": False}
        data.append(trace | {"hovertemplate": "%{text}<extra></extra>"})
    layout = layout_of("", "") | {"height": 400, "shapes": [], "annotations": []}
    names = [printed(squeeze(knob.path.partition(".")[2] or knob.path, 20)) for knob in knobs]
    ticks = {"tickvals": list(range(len(names) + 1)), "ticktext": [*names, f"<b>{printed(label(table.metric))}</b>"]}
    layout["xaxis"] |= ticks | {"side": "top", "showgrid": False, "zeroline": False, "range": [-0.3, len(names) + 0.45]}
    layout["yaxis"] |= {"showticklabels": False, "showgrid": False, "zeroline": False, "range": [-0.2, 1.06]}
    layout["xaxis"] |= {"showline": False}
    layout["yaxis"] |= {"showline": False}
    layout["legend"] |= {"y": -0.02, "yanchor": "top"}
    layout["margin"] |= {"l": 20, "r": 20, "t": 40, "b": 20}
    ends = [_ends(knob) for knob in knobs] + [view.ends()]
    for i, marks in enumerate(ends):
        line = {"color": "@grid", "width": 1.5}
        layout["shapes"].append({"type": "line", "x0": i, "x1": i, "y0": 0, "y1": 1, "line": line, "layer": "below"})
        for place, said in marks:
            mark = {"x": i, "y": place, "text": printed(said), "showarrow": False, "xanchor": "left", "xshift": 4}
            layout["annotations"].append(mark | {"font": {"size": 10, "color": "@faint"}})
    return {"data": [trace for trace in data if trace["x"]], "layout": layout}


def curves_figure(table: TrialTable) -> Figure | None:
    """The metric of every trial after each epoch: thin lines, those of the finalists bold."""
    drawn = [trial for trial in table.searched if len(trial.curve) > 1]
    if not drawn:
        return None
    view = View(table)
    order = {trial.number: i for i, trial in enumerate(table.ranked)}
    drawn = sorted(drawn, key=lambda trial: order.get(trial.number, len(order)))[:MOST_LINES]
    top = _own_trials(table)
    data = []
    for name, state, dash in (("trials", "finished", "solid"), ("let go or failed", "", "dot")):
        x: list[Any] = []
        y: list[Any] = []
        text: list[str] = []
        for trial in drawn:
            if (trial.state == "finished") == (state == "finished") and trial not in top:
                x += [*(epoch for epoch, _ in trial.curve), None]
                y += [*view.values([value for _, value in trial.curve]), None]
                text += [f"trial {trial.number}"] * (len(trial.curve) + 1)
        trace: Row = {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "text": text, "opacity": 0.7}
        trace |= {"line": {"color": "@step", "width": 1, "dash": dash}, "hovertemplate": "%{text}: %{y}<extra></extra>"}
        data.append(trace)
    for trial, colour in zip(top, FINALIST_COLOURS, strict=False):
        line: Row = {"type": "scatter", "mode": "lines", "name": f"trial {trial.number}"}
        line |= {"x": [epoch for epoch, _ in trial.curve], "y": view.values([value for _, value in trial.curve])}
        data.append(line | {"line": {"color": colour, "width": 2.5}})
    layout = view.layout("epoch")
    layout["yaxis"]["range"] = view.around(
        [value for trial in drawn for _, value in trial.curve[len(trial.curve) // 3 :]]
    )
    return {"data": [trace for trace in data if trace["x"]], "layout": layout}


def importance_figure(table: TrialTable) -> Figure | None:
    """What each knob explains of the differences between trials, with its interval."""
    rows = [row for row in table.importance.values() if isinstance(row.get("share"), int | float)]
    if not rows:
        return None
    rows.sort(key=lambda row: float(row["share"]))
    shares = [min(max(float(row["share"]), 0.0), 1.0) for row in rows]
    over = [100 * max(min(float(row["high"]), 1.0) - share, 0.0) for row, share in zip(rows, shares, strict=True)]
    under = [100 * (share - max(float(row["low"]), 0.0)) for row, share in zip(rows, shares, strict=True)]
    trace: Row = {"type": "bar", "orientation": "h", "x": [100 * share for share in shares]}
    trace |= {"y": [printed(squeeze(str(row["knob"]), 28)) for row in rows], "marker": {"color": "@train"}}
    error = {"type": "data", "symmetric": False, "array": over, "arrayminus": [max(one, 0.0) for one in under]}
    trace |= {"error_x": error | {"color": "@mark", "thickness": 1.5, "width": 4}}
    trace |= {"customdata": [int(row.get("trials", 0)) for row in rows]}
    trace |= {"hovertemplate": "%{y}: %{x:.0f} % of the differences, in %{customdata} trials<extra></extra>"}
    layout = layout_of("% of the differences between trials, at least", "") | {"showlegend": False, "bargap": 0.45}
    layout |= {"height": max(200, 110 + 34 * len(rows))}
    layout["xaxis"] |= {"range": [0, 100]}
    layout["margin"] |= {"t": 12}
    return {"data": [trace], "layout": layout}


def _points(view: View, x: Sequence[Any], trials: Sequence[Trial]) -> list[Row]:
    """Finished trials as points; the winner, or the best so far, is marked."""
    best = view.table.best_trial
    symbols = ["triangle-down" if view.is_below(trial) else "circle" for trial in trials]
    trace: Row = {"type": "scatter", "mode": "markers", "name": "trials", "x": list(x)}
    trace |= {"y": [view.value(trial.figure) for trial in trials], "text": [view.told(trial) for trial in trials]}
    trace |= {"marker": {"color": "@train", "size": 7, "opacity": 0.65, "symbol": symbols}}
    data = [trace | {"hovertemplate": "%{text}<extra></extra>"}]
    for at, trial in zip(x, trials, strict=True):
        if best is not None and trial.number == best.number:
            name = "winner" if view.table.winner else "best"
            star: Row = {"type": "scatter", "mode": "markers", "name": name, "x": [at], "y": [view.value(trial.figure)]}
            star |= {"marker": {"color": "@valid", "size": 13, "symbol": "star"}, "text": [view.told(trial)]}
            data.append(star | {"hovertemplate": "%{text}<extra></extra>"})
    return data


def _crosses(view: View, x: Sequence[Any], trials: Sequence[Trial]) -> Row:
    """Failed trials, at the foot of the figure."""
    worst = view.values([view.figure_at(view.low)])
    trace: Row = {"type": "scatter", "mode": "markers", "name": "failed", "x": list(x), "y": worst * len(x)}
    trace |= {"marker": {"color": "@mark", "size": 8, "symbol": "x-thin-open", "line": {"color": "@mark"}}}
    text = [f"<b>trial {trial.number}</b> failed<br>{printed(trial.reason[:120])}" for trial in trials]
    return trace | {"text": text, "hovertemplate": "%{text}<extra></extra>"}


def _own_trials(table: TrialTable) -> list[Trial]:
    """The trials that the finalists come from, the winner's first; the best three before there are any."""
    entries = (table.winner or {}).get("finalists") or ()
    by_number = {trial.number: trial for trial in table.searched}
    named = [by_number[entry["trial"]] for entry in entries if entry.get("trial") in by_number]
    return (named or list(table.ranked))[: len(FINALIST_COLOURS)]


def _height(knob: Range, trial: Trial) -> float:
    """Place of a trial on a knob's axis."""
    if knob.path not in trial.params:
        return UNASKED
    place = knob.place(trial.params[knob.path])
    if place is not None:
        return round(place, 4)
    values = list(knob.choices)
    value = trial.params[knob.path]
    return values.index(value) / max(len(values) - 1, 1) if value in values else 0.5


def _ends(knob: Range) -> list[tuple[float, str]]:
    """What stands beside a knob's axis."""
    if knob.is_number:
        marks = [(0.0, number(knob.low, 3)), (1.0, number(knob.high, 3))]
    else:
        names = [squeeze(value_of(choice), LONGEST_LABEL) for choice in knob.choices]
        marks = [(i / max(len(names) - 1, 1), name) for i, name in enumerate(names)]
    return [*marks, (UNASKED, "not asked")] if knob.when else marks
