"""What the command line prints. Plain text only: foreign text cannot colour, move or hide anything on the screen."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from limpid.record.run import Run
from limpid.reporting.finding_lines import finding_line
from limpid.reporting.population import read_population
from limpid.reporting.population_lines import member_line, population_lines
from limpid.reporting.progress import Progress, encodable, is_terminal, json_line
from limpid.reporting.reading import Row, read_run, score_title
from limpid.reporting.text import columns_of, doubts, figure, number, percent, plain, seconds, shorten, value_text

WIDEST_CELL = 60  # columns of a table's cell, and of a value
LEAST_SHARE = 1e-3  # of the machine's arithmetic: below, a network has hardly any, and reading is the work
MOST_COLUMNS_NAMED = 8  # columns of the data listed by name
# What a reader wants to know was chosen, in the order of the flow; the report has every option.
TOLD_CHOICES = (
    "model.name", "model.hidden", "objective.loss", "optim.name", "optim.lr", "optim.schedule", "optim.weight_decay",
    "training.epochs", "training.batch_size", "training.precision", "training.device", "augment.flip", "augment.crop",
)  # fmt: skip


class Screen:
    """Watches one run for the command line: what was read and chosen, the epochs, the result."""

    def __init__(self, *, quiet: bool = False, json: bool = False, stream: TextIO | None = None) -> None:
        self.progress = Progress(quiet=quiet, json=json, stream=stream)
        self._quiet, self._json, self._stream = quiet, json, stream
        self._steps: dict[int, int] = {}  # taken so far, by member

    def wired(self, wiring: Any, run: Run) -> None:
        """Everything is put together and training is about to begin; `wiring` knows how many steps it will take."""
        header, epochs = run.header, wiring.plan.num_epochs
        members = header.get("members") or ()
        if not self._quiet and not self._json:
            print_data_summary(header.get("summary") or {}, header.get("data") or {}, stream=self._stream)
            print_resolved(
                header.get("config") or {}, header.get("given") or {}, header.get("reasons"), stream=self._stream
            )
            print_start(header.get("model") or {}, stream=self._stream)
            training = (header.get("config") or {}).get("training") or {}
            if members and (training.get("ensemble") == "folds" or training.get("sizes")):
                _print(["Each network chooses what is open by the number of its own training rows."], self._stream)
        total = epochs * -(-wiring.parts.train.num_batches // wiring.plan.accumulate)
        self.progress.emit("run", path=str(run.path), data=header.get("data"), config=header.get("config"))
        self.progress.start(*((total, epochs) if not members else (total * len(members), 0)))

    def way(self, text: str) -> None:
        """How the members of a population are trained, and why."""
        self.progress.emit("way", text=text)
        self.progress.line(plain(text))

    def member(self, row: Row, ended: int, count: int) -> None:
        """A member of a population has ended."""
        self.progress.emit("member", ended=ended, count=count, **{key: row[key] for key in row if key != "figures"})
        self.progress.line(member_line(row, ended, count))

    def step(self, step: int, loss: float | None = None) -> None:
        self.progress.step(step, loss)

    def epoch(self, row: Row, valid_row: Row | None) -> None:
        if "member" not in row or self._json:
            self.progress.epoch(row, valid_row)
            return
        self._steps[row["member"]] = row["step"]  # members may be trained side by side: the bar shows all their steps
        self.progress.step(sum(self._steps.values()), row["loss"])

    def finding(self, finding: Any) -> None:
        """The doctor has established something; notes, and what follows from something told, wait for the report."""
        self.progress.emit("finding", **finding.to_row())
        if finding.level != "note" and not finding.because:
            self.progress.line(finding_line(finding.to_row()))

    def close(self) -> None:
        self.progress.close()

    def result(self, run: Run) -> None:
        """The run is over."""
        if not self._quiet:
            print_result(run, json=self._json, stream=self._stream)


def print_data_summary(summary: Mapping[str, Any], spec: Any, *, stream: TextIO | None = None) -> None:
    """What was read: rows of each split, columns by type, classes, and remarks. `spec` is a DataSpec or its dict."""
    data = _as_mapping(spec)
    sizes = [f"{number(data[f'num_{name}'])} {name}" for name in ("train", "valid", "test") if data.get(f"num_{name}")]
    name, task, kind = (plain(data.get(key, "")) for key in ("name", "task", "kind"))
    lines = [f"{name}: {task} of {kind} data, {', '.join(sizes)}"]
    target = value_text(data.get("target_names") or "")
    if target and target != "none":
        reason = summary.get("task_reason")
        lines.append(f"target: {shorten(target, WIDEST_CELL)}" + (f" ({plain(reason)})" if reason else ""))
    classes = [plain(name) for name in data.get("classes") or ()]
    if classes:
        lines.append(f"{len(classes)} {'labels' if data.get('task') == 'multilabel' else 'classes'}: {_some(classes)}")
    columns = summary.get("columns")
    if isinstance(columns, Sequence) and columns and all(isinstance(column, Mapping) for column in columns):
        lines += _column_lines(columns)
    for key in ("notes", "dropped", "ignored"):
        entries = summary.get(key) or ()
        word = "" if key == "notes" else f"{key}: "
        lines += [f"note: {word}{shorten(value_text(entry), 200)}" for entry in list(entries)[:5]]
        if len(entries) > 5:
            names = [plain(entry[0]) for entry in entries[5:]] if key == "dropped" else []
            listed = f": {shorten(', '.join(names), 120)}" if names else ""
            lines.append(f"note: {word}and {len(entries) - 5} more, in the report{listed}")
    _print(lines, stream)


def print_resolved(
    config: Any, given: Any, reasons: Mapping[str, str] | None = None, *, stream: TextIO | None = None
) -> None:
    """What was chosen, with the reason where one is known. Options that the user gave are not repeated."""
    options, given_options = _as_mapping(config), _as_mapping(given)
    rows = []
    for path in TOLD_CHOICES:
        section, _, key = path.partition(".")
        value = _as_mapping(options.get(section) or {}).get(key)
        if value in (None, "auto", False, 0, [], ()) or key in _as_mapping(given_options.get(section) or {}):
            continue
        why = (reasons or {}).get(path, "")
        if reasons is None or why:
            rows.append((path, shorten(value_text(value), WIDEST_CELL), plain(why)))
    if not rows:
        return
    name_width, value_width = (max(columns_of(row[i]) for row in rows) for i in (0, 1))
    lines = [f"  {_pad(name, name_width)}  {_pad(value, value_width)}  {why}".rstrip() for name, value, why in rows]
    _print(["chosen:", *lines], stream)


def print_start(model: Mapping[str, Any], *, stream: TextIO | None = None) -> None:
    """The weights that the network started from, and how many of its parameters learn, where that is not all."""
    total, learning = model.get("parameters"), model.get("trainable")
    lines = [plain(model["start"]["text"])] if model.get("start") else []
    if isinstance(total, int) and isinstance(learning, int) and learning < total:
        lines.append(f"frozen: {number(total - learning)} of {number(total)} parameters")
    if lines:
        _print(lines, stream)


def print_result(run: Run, *, json: bool = False, stream: TextIO | None = None) -> None:
    """The score with its interval, how long it took, and where the report lies."""
    reading = read_run(run)
    population = read_population(reading)
    report = run.path / "report.html"
    if json:
        facts: Row = {"event": "result", "run": str(run.path), "report": str(report) if report.exists() else None}
        facts |= {} if population is None else {"population": population.to_row(reading.score)}
        outcome = {key: value for key, value in (reading.result or {}).items() if key not in ("kind", "time")}
        _print([json_line(facts | {"status": reading.status} | outcome)], stream)
        return
    lines = [] if population is None else population_lines(reading, population)
    if reading.result is not None and reading.score in reading.result:
        name, result = reading.score or "", reading.result
        several = f" of the mean of {len(reading.header['members'])} networks" if reading.header.get("members") else ""
        within = ", ".join([*doubts(name, result), f"n = {number(result.get('n', 0))}"])
        lines.append(f"{score_title(reading)}{several} {figure(name, result[name])} ({within})")
    else:
        lines.append(f"{reading.status} after step {number(reading.last_step)}, no score")
    trained = reading.best_epoch is not None and reading.last_epoch > 0  # by itself, not through members
    parts = [f"best epoch {reading.best_epoch} of {reading.last_epoch}"] if trained else []
    speed = reading.throughput or {}
    if isinstance(speed.get("seconds_total"), int | float):
        parts.append(f"{seconds(speed['seconds_total'])} in all")
    if (speed.get("share_of_floor") or 0.0) >= LEAST_SHARE:
        parts.append(f"{percent(speed['share_of_floor'])} of what the machine's arithmetic allows")
    lines += [", ".join(parts)] if parts else []
    lines.append(f"run    {plain(run.path)}")
    lines += [f"report {plain(report)}"] if report.exists() else []
    _print(lines, stream)


def print_table(rows: Sequence[Mapping[str, Any]], *, json: bool = False, stream: TextIO | None = None) -> None:
    """Rows of the same keys under one heading, columns aligned; the last one is cut to the screen on a terminal."""
    if json:
        _print([json_line(dict(row)) for row in rows], stream)
    else:
        _print(table_lines(rows, _screen_width(stream or sys.stdout)), stream)


def table_lines(rows: Sequence[Mapping[str, Any]], width: int | None = None) -> list[str]:
    """The lines of a table: numbers to the right, texts to the left."""
    if not rows:
        return []
    names = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    right = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in names]
    widths = [max(columns_of(row[i]) for row in [[plain(n) for n in names], *cells]) for i in range(len(names))]
    lines = []
    for row in [[plain(name) for name in names], *cells]:
        text = "  ".join(_pad(cell, widths[i], right=right[i]) for i, cell in enumerate(row)).rstrip()
        lines.append(shorten(text, width) if width else text)
    return lines


def print_error(message: str, *, stream: TextIO | None = None) -> None:
    """One error on standard error; every line of it made harmless."""
    lines = [plain(line) for line in str(message).splitlines()] or [""]
    _print(["Error: " + lines[0], *lines[1:]], stream or sys.stderr)


def _print(lines: Sequence[str], stream: TextIO | None) -> None:
    stream = stream or sys.stdout
    stream.write("".join(encodable(line, stream) + "\n" for line in lines))
    stream.flush()


def _column_lines(columns: Sequence[Mapping[str, Any]]) -> list[str]:
    """Inputs by type: `3 number: weight, year, power (2 with missing values)`, and what groups or orders the rows."""
    by_type: dict[str, list[Mapping[str, Any]]] = {}
    for column in columns:
        role = column.get("role", "feature")
        if role in ("group", "time"):
            by_type.setdefault(f"{role} of the rows", []).append(column)
        if role != "feature":
            continue
        kind = column.get("type") or column.get("kind") or "column"
        by_type.setdefault(plain(kind), []).append(column)
    lines = []
    for kind, members in by_type.items():
        names = [plain(column.get("name") or column.get("column") or "?") for column in members]
        missing = sum(bool(column.get("missing")) for column in members)
        remark = f" ({missing} with missing values)" if missing else ""
        lines.append(f"{len(members)} {kind}: {_some(names)}{remark}")
    return lines


def _some(names: Sequence[str]) -> str:
    shown = [shorten(name, 24) for name in names[:MOST_COLUMNS_NAMED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _cell(value: Any) -> str:
    return "" if value is None else value_text(value)


def _pad(text: str, width: int, *, right: bool = False) -> str:
    space = " " * max(0, width - columns_of(text))
    return space + text if right else text + space


def _screen_width(stream: TextIO) -> int | None:
    import shutil

    return shutil.get_terminal_size().columns if is_terminal(stream) else None


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else value.model_dump(exclude_unset=False)
