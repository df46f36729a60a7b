"""A search in lines of text: a table of trials that can grow, the finalists, and the winner with its doubt."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limpid.record.run import Run
from limpid.record.trial_table import Range, Trial, TrialTable
from limpid.reporting.finding_lines import finding_line
from limpid.reporting.reading import read_run, score_title
from limpid.reporting.text import (
    columns_of,
    doubts,
    figure,
    interval,
    label,
    number,
    plain,
    seconds,
    shorten,
    value_text,
)

WIDEST_VALUE = 18  # columns of a knob's value
WIDEST_REASON = 60  # columns of why a trial failed


class TrialLines:
    """The table of trials, line by line, so that it can grow while the search runs."""

    def __init__(self, table: TrialTable) -> None:
        self.table = table
        self._knobs = sorted(table.knobs, key=lambda knob: knob.kind == "pattern")  # networks last: they are not cut
        names = _short_names([knob.path for knob in self._knobs])
        self._widths = [max(columns_of(name), _widest(knob)) for name, knob in zip(names, self._knobs, strict=True)]
        metric = label(table.metric)
        self._metric_width = max(columns_of(metric), 10)
        cells = [f"{'trial':>5}", f"{metric:>{self._metric_width}}", f"{'epochs':>6}", f"{'time':>8}"]
        cells += [f"{name:>{width}}" for name, width in zip(names, self._widths, strict=True)]
        self.heading = "  ".join(cells)

    def trial_of(self, row: Mapping[str, Any]) -> Trial:
        """A member's row as a trial."""
        return TrialTable(self.table.header, [{"kind": "member", **row}]).all[0]

    def lines(self, trials: Sequence[Trial]) -> list[str]:
        """A line for each of the trials, in order; the best so far are marked."""
        best, lines = math.nan, []
        for trial in trials:
            better = trial.has_figure and not self.table.goodness(best) >= self.table.goodness(trial.figure)
            best = trial.figure if better else best
            lines.append(self.line(trial, best=better))
        return lines

    def line(self, trial: Trial, *, best: bool = False) -> str:
        """One trial."""
        shown = figure(self.table.metric, trial.figure) if math.isfinite(trial.figure) else "-"
        cells = [f"{trial.number:>5}", f"{shown:>{self._metric_width}}", f"{trial.epochs:>6}"]
        cells.append(f"{seconds(trial.seconds):>8}")
        for knob, width in zip(self._knobs, self._widths, strict=True):
            text = value_of(trial.params[knob.path]) if knob.path in trial.params else ""
            cells.append(text if knob.kind == "pattern" else f"{shorten(text, WIDEST_VALUE):>{width}}")
        if trial.state != "finished":
            cells.append(f"{trial.state}: {shorten(plain(trial.reason), WIDEST_REASON)}")
        return "  ".join([*cells, *(["best"] if best else [])]).rstrip()


def heading_lines(header: Mapping[str, Any], budget: int) -> list[str]:
    """What is about to be searched, and how."""
    metric, way = label(str(header.get("metric"))), "higher" if header.get("higher_is_better") else "lower"
    pruner = header.get("pruner")
    lines = [
        f"search: {number(budget)} trials, sampler {header.get('sampler')}"
        + (f", pruner {pruner}" if pruner != "none" else "")
        + f", judged by {metric} on the validation rows ({way} is better)"
    ]
    knobs = [Range.of(knob) for knob in (header.get("space") or {}).get("knobs") or ()]
    width = max((columns_of(knob.path) for knob in knobs), default=0)
    return [*lines, *(f"  {knob.path:<{width}}  {range_text(knob)}" for knob in knobs), ""]


def range_text(knob: Range) -> str:
    """What is searched of one option: `0.0001 to 0.1, by its logarithm`."""
    if knob.kind == "pattern":
        return "networks in the language of patterns"
    if not knob.is_number:
        text = ", ".join(value_of(choice) for choice in knob.choices)
    else:
        text = f"{number(knob.low)} to {number(knob.high)}"
        text += ", by its logarithm" if knob.on_log else ""
        text += ", whole" if knob.kind == "whole" else ""
    conditions = [f"{path} = {' or '.join(map(value_of, values))}" for path, values in knob.when.items()]
    return text + (f"; with {' and '.join(conditions)}" if conditions else "")


def value_of(value: Any) -> str:
    """A value of a knob in a few columns; widths of layers as 64-32."""
    if isinstance(value, list | tuple):
        return "-".join(value_text(entry) for entry in value) or "none"
    return number(value) if isinstance(value, float) else value_text(value)


def result_lines(run: Run) -> list[str]:
    """Finalists, winner, its doubt, its score on the test split, and where everything lies."""
    table = TrialTable(run.header, run.events())
    lines = [""]
    if table.winner is None:
        state = str((table.end or {}).get("status", "not finished"))
        best = table.best_trial
        lines.append(
            f"{state}: {number(len(table.searched))} of {number(table.budget or 0)} trials"
            + (f", best so far trial {best.number}: {_named(table, best.figure)}" if best else "")
        )
        reason = "It is still going, or was ended from outside." if table.end is None else table.end.get("reason", "")
        lines += [plain(reason), f"To go on: {plain(shlex.join(['limpid', 'tune', '--resume', str(run.path)]))}", ""]
        return [*lines, f"search {plain(run.path)}"]
    lines += _finalist_lines(table) + _winner_lines(table, table.winner)
    lines += [*_score_lines(Run.open(run.path / str(table.winner["best"]))), ""]
    lines += _doctor_lines(run, table)
    lines += [f"search {plain(run.path)}", f"run    {plain(run.path / str(table.winner['best']))}"]
    lines.append(f"config {plain(run.path / 'best.toml')}")
    report = run.path / "report.html"
    return [*lines, *([f"report {plain(report)}"] if report.exists() else [])]


def result_row(run: Run) -> dict[str, Any]:
    """The same for programs."""
    table = TrialTable(run.header, run.events())
    row: dict[str, Any] = {"path": str(run.path), "trials": len(table.searched), "winner": None}
    if table.winner is None:
        return row
    best = run.path / str(table.winner["best"])
    score = read_run(Run.open(best)).result or {}
    winner = {key: value for key, value in table.winner.items() if key not in ("kind", "time")}
    facts = {key: value for key, value in score.items() if key not in ("kind", "time")}
    return row | {"winner": winner, "result": facts, "run": str(best), "config": str(run.path / "best.toml")}


def _finalist_lines(table: TrialTable) -> list[str]:
    entries = table.winner["finalists"] if table.winner else []
    seeds = len(entries[0]["figures"]) if entries else 0
    if not seeds:
        return []
    whom = "the best trial" if len(entries) == 1 else f"the best {len(entries)} trials"
    lines = [f"{whom} again, from {seeds} fresh seed{'s' if seeds > 1 else ''}" + (" each:" if seeds > 1 else ":")]
    for entry in entries:
        each = ", ".join(_shown(table, value) for value in entry["figures"])
        lines.append(f"{entry['trial']:>5}  mean {_shown(table, entry['figure']):>10}  ({each})")
    return [*lines, ""]


def _winner_lines(table: TrialTable, winner: Mapping[str, Any]) -> list[str]:
    seeds = len(winner["figures"])
    doubt = ""
    if seeds > 1 and all(math.isfinite(bound) for bound in winner["interval"]):
        doubt = f" (mean of {seeds} seeds, 95 % interval {interval(table.metric, *winner['interval'])})"
    elif not seeds:
        doubt = " (the best of many: a fresh seed would do worse)"
    lines = [f"winner: trial {winner['trial']}, {_named(table, winner['figure'])}{doubt}"]
    if winner.get("tied") and seeds:
        low, high = winner["lead_interval"]
        known = math.isfinite(low) and math.isfinite(high)
        how = f"the difference lies within {interval(table.metric, low, high)}. More --seeds would tell"
        how = how if known else "one seed tells nothing. Take --seeds 3"
        how = "their figures are equal" if low == high == 0 else how
        lines.append(f"  It cannot be told apart from trial {winner['second']}: {how}.")
    width = max(columns_of(path) for path in winner["params"])
    return lines + [f"  {path:<{width}}  {value_of(value)}" for path, value in winner["params"].items()]


def _doctor_lines(run: Run, table: TrialTable) -> list[str]:
    """What the sweep doctor warns of, and what it would search next; notes are in the report."""
    warned = [row for row in run.events("finding") if row["level"] != "note"]
    lines = [line for row in warned for line in (finding_line(row), f"  do  {plain(row['remedy'])}")]
    if table.next is not None:
        lines += ["next:", *(f"  {plain(change)}" for change in table.next["changes"])]
        lines.append(f"  {next_command(table.next, run.path)}")
    if not lines and run.events("diagnosis"):
        lines = ["The sweep doctor has nothing to say against this search."]
    return [*lines, ""] if lines else []


def next_command(found: Mapping[str, Any], folder: Path) -> str:
    """The command of the recommended search; where that is the same one, only longer, it goes on.

    Args:
        found: row of the record that recommends it.
        folder: of the search that it follows.
    """
    changes, given = found.get("changes") or (), [str(word) for word in found.get("arguments") or ()]
    if changes and all(str(change).startswith("budget:") for change in changes):
        given = ["--resume", str(folder), "--budget", given[given.index("--budget") + 1]]
    elif found.get("space"):
        given += ["--space", str(folder / "next.toml")]
    return plain(shlex.join(["limpid", "tune", *given]))


def _score_lines(best: Run) -> list[str]:
    reading = read_run(best)
    name, result = reading.score, reading.result
    if name is None or result is None or name not in result:
        return []
    within = ", ".join([*doubts(name, result), f"n = {number(result.get('n', 0))}"])
    return [f"{score_title(reading)} {figure(name, result[name])} ({within})"]


def _shown(table: TrialTable, value: float) -> str:
    return figure(table.metric, value) if math.isfinite(value) else "failed"


def _named(table: TrialTable, value: float) -> str:
    return f"{label(table.metric)} {figure(table.metric, value)}"


def _short_names(paths: Sequence[str]) -> list[str]:
    """Without their sections, where that leaves them different and not a mere "name"."""
    short = [path.rpartition(".")[2] for path in paths]
    clear = [name != "name" and short.count(name) == 1 for name in short]
    return [name if own else path for name, own, path in zip(short, clear, paths, strict=True)]


def _widest(knob: Range) -> int:
    """Columns of the knob's widest value; 0 of networks, which stand last."""
    if knob.kind == "pattern":
        return 0
    if knob.is_number:
        return len(number(int(knob.high))) if knob.kind == "whole" else 9
    widest = max((columns_of(value_of(choice)) for choice in knob.choices), default=WIDEST_VALUE)
    return min(WIDEST_VALUE, max(widest, 1))
