"""What came out of the run, as plain values for the template. Everything foreign is printable, not yet HTML."""

from __future__ import annotations

import math

from limpid.reporting.data_need import data_need
from limpid.reporting.intervals import wilson
from limpid.reporting.outcomes import ClassOutcome, WrongRow, class_outcomes, most_wrong, targets_and_predictions
from limpid.reporting.png import data_uri, stretch
from limpid.reporting.reading import NOT_A_METRIC, Reading, Row, score_title
from limpid.reporting.text import doubts, figure, interval, label, number, percent, plain, rate, seconds, shorten
from limpid.reporting.token_outcomes import surprising_rows

MOST_CLASS_ROWS = 100  # of the per-class table; the weakest are kept


def headline(reading: Reading) -> list[Row]:
    """Cards of the head: {"name", "value", "detail"}; the score first."""
    cards = []
    if reading.result and reading.score and reading.score in reading.result:
        name = reading.score
        value = figure(name, reading.result[name])
        cards.append({"name": score_title(reading), "value": value, "detail": _score_detail(reading), "main": True})
        cards += [{"name": "knowing nothing", "value": text, "detail": why} for text, why in _chance(reading)]
    best = reading.best_epoch
    members = reading.header.get("members") or ()
    if members:
        cards.append(
            {"name": "members", "value": number(len(members)), "detail": "networks whose answers are averaged"}
        )
    elif best is not None:
        planned = _planned_epochs(reading)
        detail = f"of {reading.last_epoch} run" + (f", {planned} planned" if planned else "")
        cards.append({"name": "best epoch", "value": str(best), "detail": detail})
    cards += _gap(reading)
    duration = _duration(reading)
    if duration is not None:
        cards.append({"name": "duration", "value": seconds(duration), "detail": _speed_detail(reading)})
    model = reading.header.get("model") or {}
    if isinstance(model.get("parameters"), int):
        detail = f"{number(model['macs'])} multiply-adds per sample" if isinstance(model.get("macs"), int) else ""
        rows = (reading.header.get("data") or {}).get("num_train")
        if isinstance(rows, int) and rows:
            detail = "; ".join(filter(None, (detail, data_need(model["parameters"], rows))))
        cards.append({"name": "parameters", "value": number(model["parameters"]), "detail": detail})
    return cards


def subtitle(reading: Reading) -> str:
    """When the run began, and its folder."""
    began = plain(reading.header.get("created", ""))[:19].replace("T", " ")
    return f"{began} UTC · {plain(reading.run.path.name)}" if began else plain(reading.run.path.name)


def status(reading: Reading) -> str | None:
    """One plain sentence when the run did not finish by itself."""
    planned = _planned_epochs(reading)
    where = f"at epoch {reading.last_epoch}" + (f" of {planned}" if planned else "") + f", step {reading.last_step}"
    reason = plain((reading.end or {}).get("reason") or "").rstrip(".")
    if reading.status == "stopped":
        said = f"Stopped {where}." + (f" {reason}." if reason else "")
        return f"{said} The figures cover what was trained until then; training can be resumed."
    if reading.status == "failed":
        said = f"Failed {where}" + (f": {reason}" if reason else "")
        return f"{said}. The figures cover what was trained until then."
    if reading.status == "running":
        return f"Not finished: the record ends {where}. The run is still going, or was ended from outside."
    return None


def _score_detail(reading: Reading) -> str:
    assert reading.result is not None
    parts = doubts(reading.score or "", reading.result)
    if reading.result.get("n") is not None:
        parts.append(f"n = {number(reading.result['n'])}")
    return ", ".join(parts)


def _chance(reading: Reading) -> list[tuple[str, str]]:
    """The score of the best constant answer learned from the training split, where it can be told."""
    import numpy as np

    loss = (reading.result or {}).get("chance_loss")
    if reading.task == "tokens" and isinstance(loss, int | float) and math.isfinite(loss):
        return [(figure("perplexity", math.exp(min(loss, 700.0))), "the training split's token frequencies everywhere")]
    pair = targets_and_predictions(reading)
    counts = list(reading.data.get("class_counts") or ())
    if pair is None or reading.predictions_split != (reading.result or {}).get("split"):
        return []
    if reading.score == "accuracy" and counts and reading.task in ("classification", "binary"):
        usual = int(np.argmax(counts))
        hits, rows = int((pair[0] == usual).sum()), len(pair[0])
        name = plain(reading.classes[usual]) if usual < len(reading.classes) else f"class {usual}"
        detail = f"always “{shorten(name, 24)}”: 95 % interval {interval('accuracy', *wilson(hits, rows))}"
        return [(percent(hits / rows), detail)]
    mean = reading.data.get("target_mean") or ()
    if reading.task == "regression" and len(mean) == pair[0].shape[1] and reading.score in ("rmse", "mae", "mse", "r2"):
        wrong = pair[0] - np.asarray(mean, dtype=np.float64)
        value = {"mae": np.abs(wrong).mean(), "mse": (wrong**2).mean(), "rmse": math.sqrt((wrong**2).mean())}
        if reading.score == "r2":
            spread = ((pair[0] - pair[0].mean(0)) ** 2).sum(0)
            value["r2"] = float(np.mean(1 - (wrong**2).sum(0) / spread)) if (spread > 0).all() else math.nan
        return [(figure(reading.score, float(value[reading.score])), "always the training mean")]
    return []


def _gap(reading: Reading) -> list[Row]:
    """Training and validation loss of the best epoch, and what lies between: what the network knows by heart."""
    epoch = reading.best_epoch
    train = next((row["loss"] for row in reading.train if row.get("epoch") == epoch and "loss" in row), None)
    valid = next((row["loss"] for row in reading.valid if row.get("epoch") == epoch and "loss" in row), None)
    if not (isinstance(train, int | float) and isinstance(valid, int | float)):
        return []
    detail = f"training loss {number(train)}, validation loss {number(valid)} at epoch {epoch}"
    return [{"name": "gap", "value": number(valid - train), "detail": detail}]


def _planned_epochs(reading: Reading) -> int | None:
    return ((reading.header.get("config") or {}).get("training") or {}).get("epochs")


def _duration(reading: Reading) -> float | None:
    for row, key in ((reading.throughput, "seconds_total"), (reading.end, "seconds")):
        if row and isinstance(row.get(key), int | float):
            return float(row[key])
    spent = [row["seconds"] for row in reading.train if isinstance(row.get("seconds"), int | float)]
    return sum(spent) if spent else None


def _speed_detail(reading: Reading) -> str:
    speed = (reading.throughput or {}).get("samples_per_second")
    return rate(speed) if isinstance(speed, int | float) and math.isfinite(speed) else ""


def result_metrics(reading: Reading) -> list[Row]:
    """Every figure of the result row: {"name", "value", "interval"}."""
    if not reading.result:
        return []
    bounds, rows = reading.result.get("interval") or {}, []
    for name, value in reading.result.items():
        if isinstance(value, int | float) and (name == "loss" or name not in NOT_A_METRIC):
            within = interval(name, *bounds[name]) if name in bounds else ""
            rows.append({"name": label(name), "value": figure(name, value), "interval": within})
    return rows


def class_rows(reading: Reading) -> tuple[list[Row], str]:
    """The per-class table and what was left out of it."""
    outcomes = class_outcomes(reading)
    remark = ""
    if len(outcomes) > MOST_CLASS_ROWS:
        weakest = sorted(range(len(outcomes)), key=lambda k: _f1_or_more(outcomes[k]))
        remark = f"The {MOST_CLASS_ROWS} of {len(outcomes)} with the lowest F1."
        outcomes = [outcomes[k] for k in weakest[:MOST_CLASS_ROWS]]
    return [_class_row(outcome) for outcome in outcomes], remark


def _f1_or_more(outcome: ClassOutcome) -> float:
    """For sorting: classes without rows and predictions come last."""
    return 2.0 if outcome.f1 is None else outcome.f1


def _class_row(outcome: ClassOutcome) -> Row:
    shares = {"precision": outcome.precision_interval, "recall": outcome.recall_interval, "f1": outcome.f1_interval}
    row: Row = {"name": outcome.name, "support": outcome.support}
    for name, (low, high) in shares.items():
        value = getattr(outcome, name)
        row[name] = None
        if value is not None:
            bar = {"left": f"{100 * low:.1f}", "width": f"{100 * (high - low):.1f}", "at": f"{100 * value:.1f}"}
            row[name] = bar | {"value": percent(value), "interval": interval("accuracy", low, high)}
    return row


def wrong_rows(reading: Reading) -> list[Row]:
    """The samples it is most wrong about: printable figures, and the picture where the run kept one."""
    pictures = _pictures(reading)
    rows = surprising_rows(reading) if reading.task == "tokens" else most_wrong(reading)
    if pictures:
        rows = [row for row in rows if row.position in pictures] or rows
    return [_wrong_row(row, pictures.get(row.position)) for row in rows]


def _wrong_row(row: WrongRow, picture: str | None) -> Row:
    shown = {"name": row.name, "true": row.true, "predicted": row.predicted, "wrong": row.wrong, "picture": picture}
    return shown | {
        "probability": None if row.probability is None else percent(row.probability),
        "probability_true": None if row.probability_true is None else percent(row.probability_true),
        "loss": None if row.loss is None else number(row.loss),
    }


def _pictures(reading: Reading) -> dict[int, str]:
    """Position in the predictions -> data URI. Pictures without positions are those of the largest losses, in order."""
    images = reading.samples.get("images")
    if images is None or images.ndim not in (3, 4):
        return {}
    if "position" in reading.samples:
        positions = [int(i) for i in reading.samples["position"]]
    elif "index" in reading.samples and "index" in reading.predictions:
        place = {int(source): i for i, source in enumerate(reading.predictions["index"])}
        positions = [place.get(int(source), -1) for source in reading.samples["index"]]
    else:
        positions = [row.position for row in most_wrong(reading, most=len(images))]
    return {i: data_uri(image) for i, image in zip(positions, stretch(images), strict=False) if i >= 0}
