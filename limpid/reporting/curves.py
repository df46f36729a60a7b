"""Figures of the course of training: loss, score, learning rate, and the gap between training and validation."""

from __future__ import annotations

import math

from limpid.reporting.figures import Figure, axis_of, layout_of, plot_values, vertical_line
from limpid.reporting.reading import Reading, Row
from limpid.reporting.text import SHARES, label, number

LOG_FROM = 30.0  # a loss that falls by more than this factor is drawn on a logarithmic axis


def loss_figure(reading: Reading) -> Figure | None:
    """Loss of the training steps, of the training epochs and of the validation split against the step."""
    if not (reading.train or reading.valid or reading.steps):
        return None
    data = []
    if reading.steps:
        data.append(_line(reading.steps, "loss", "train steps", "@step", width=1))
    data.append(_line(reading.train, "loss", "train epochs", "@train", markers=True))
    data.append(_line(reading.valid, "loss", "validation", "@valid", markers=True, dash="dash"))
    data = [trace for trace in data if trace["x"]]
    values = [y for trace in data for y in trace["y"] if y is not None]
    logarithmic = bool(values) and min(values) > 0 and max(values) / min(values) > LOG_FROM
    layout = layout_of("step (updates of the weights)", _loss_axis(reading) + (", logarithmic" if logarithmic else ""))
    layout["yaxis"] |= {"type": "log", "dtick": 1} if logarithmic else {"rangemode": "tozero"}
    _mark_best(layout, reading)
    return {"data": data, "layout": layout}


def score_figure(reading: Reading) -> Figure | None:
    """The headline metric of the validation split, with the learning rate below on the same steps."""
    name = reading.score
    scores = [row for row in reading.valid if name in row]
    rates = [row for row in (reading.steps or reading.train) if "lr" in row]
    if name is None or not scores:
        return None
    factor = 100.0 if name in SHARES else 1.0
    trace = _line(scores, name, f"validation {label(name)}", "@valid", markers=True, factor=factor)
    layout = layout_of("step (updates of the weights)", label(name) + (" (%)" if name in SHARES else ""))
    data = [trace]
    if rates:
        learning_rate = _line(rates, "lr", "learning rate", "@other", width=1.5) | {"yaxis": "y2", "xaxis": "x"}
        data.append(learning_rate)
        layout["yaxis"]["domain"] = [0.36, 1.0]
        layout["yaxis2"] = axis_of("rate") | {"domain": [0.0, 0.24], "rangemode": "tozero", "nticks": 4}
        layout["xaxis"]["anchor"] = "y2"
    _mark_best(layout, reading)
    return {"data": data, "layout": layout}


def gaps(reading: Reading) -> list[tuple[int, float]]:
    """(epoch, validation loss - training loss) of every epoch that has both."""
    train = {row["epoch"]: row["loss"] for row in reading.train if "epoch" in row and "loss" in row}
    pairs = [(row["epoch"], row["loss"] - train[row["epoch"]]) for row in reading.valid if row.get("epoch") in train]
    return [(epoch, gap) for epoch, gap in pairs if math.isfinite(gap)]


def gap_figure(reading: Reading) -> Figure | None:
    """Validation loss minus training loss, epoch by epoch: what the network knows by heart."""
    pairs = gaps(reading)
    if not pairs:
        return None
    trace = {
        "type": "bar",
        "name": "gap",
        "x": [epoch for epoch, _ in pairs],
        "y": [gap for _, gap in pairs],
        "marker": {"color": "@other"},
        "hovertemplate": "epoch %{x}: %{y:.4g}<extra></extra>",
    }
    layout = layout_of("epoch", "gap in " + _loss_axis(reading))
    return {"data": [trace], "layout": layout | {"showlegend": False, "bargap": 0.3}}


def loss_caption(reading: Reading) -> str:
    """The loss figure in one sentence, for those who do not see it."""
    finite = [row for row in reading.valid if isinstance(row.get("loss"), int | float) and math.isfinite(row["loss"])]
    if finite:
        best = min(finite, key=lambda row: float(row["loss"]))
        return (
            f"Lowest validation loss {number(best['loss'])} at epoch {best.get('epoch')}; "
            f"last {number(finite[-1]['loss'])} at epoch {finite[-1].get('epoch')}."
        )
    if reading.train:
        first, last = number(reading.train[0]["loss"]), number(reading.train[-1]["loss"])
        return f"Training loss {first} in the first epoch, {last} in the last."
    return "Loss of single training steps; no epoch was completed."


def gap_caption(reading: Reading) -> str:
    """The gap in one sentence. Training losses are taken while the weights move, with augmentation and dropout."""
    pairs = gaps(reading)
    epoch, last = pairs[-1]
    return (
        f"Gap {number(last)} at epoch {epoch}. The training loss is the mean over the epoch, with augmentation and "
        "dropout where they are used, so a gap below zero is no error."
    )


def _loss_axis(reading: Reading) -> str:
    loss = ((reading.header.get("config") or {}).get("objective") or {}).get("loss")
    if loss in ("cross_entropy", "bce") or (loss in (None, "auto") and reading.task not in ("regression", "")):
        return "loss (nats per sample)"
    return f"loss ({label(loss)})" if loss in ("mse", "mae", "huber") else "loss"


def _mark_best(layout: Row, reading: Reading) -> None:
    step = reading.result.get("step") if reading.result else None
    if isinstance(step, int):
        layout["shapes"] = [vertical_line(step, "@mark")]
        text = {"text": f"best: epoch {reading.best_epoch}", "showarrow": False, "yref": "paper", "y": 1.0, "x": step}
        layout["annotations"] = [text | {"xanchor": "right", "yanchor": "top", "font": {"color": "@mark", "size": 11}}]


def _line(
    rows: list[Row], key: str, name: str, colour: str, *, width: float = 2.0, markers: bool = False,
    dash: str = "solid", factor: float = 1.0,
) -> Row:  # fmt: skip
    rows = [row for row in rows if isinstance(row.get(key), int | float) and isinstance(row.get("step"), int)]
    return {
        "type": "scatter",
        "mode": "lines+markers" if markers and len(rows) <= 60 else "lines",
        "name": name,
        "x": [row["step"] for row in rows],
        "y": plot_values([row[key] * factor for row in rows]),
        "line": {"color": colour, "width": width, "dash": dash},
        "marker": {"size": 5},
        "hovertemplate": f"{name}: %{{y:.4g}}<extra>step %{{x}}</extra>",
    }
