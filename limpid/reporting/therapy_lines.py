"""Treatments in words: what goes on, each trial with its evidence, and what came of all of them. Rows in, text out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from limpid.reporting.progress import WIPE, is_terminal
from limpid.reporting.text import columns_of, figure, interval, label, number, plain, seconds, shorten, value_text

Row = Mapping[str, Any]
FIGURES = {
    "log_loss": "log loss",
    "squared_error": "squared error (of the standardised target)",
    "loss": "loss",
    "error": "error",
    "balanced_error": "balanced error",
}


class TrialScreen:
    """Shows trials as they go: a line for each that is over and, on a screen, one that moves."""

    def __init__(self, budget: str = "", *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.budget, self.quiet, self.stream = budget, quiet, stream or sys.stdout
        self.live = not quiet and is_terminal(self.stream)

    def now(self, text: str, elapsed: float) -> None:
        if self.live:
            line = f"{seconds(elapsed)} of {plain(self.budget)}  {plain(text)}"
            self.stream.write(WIPE + shorten(line, 79))
            self.stream.flush()

    def trial(self, row: Row) -> None:
        self._line(*trial_lines(row))

    def passed_over(self, finding: Any) -> None:
        self._line(f"  no need    {finding.code} {finding.name} is gone with what was accepted so far")

    def _line(self, *lines: str) -> None:
        if not self.quiet:
            wipe = WIPE if self.live else ""
            print(*(wipe + line for line in lines), sep="\n", file=self.stream, flush=True)


def trial_lines(row: Row) -> list[str]:
    """`accepted   lower-rate for O01: optim.lr = 0.003`, and the evidence."""
    word, changed = _verdict(row), _changed(row)
    place = f", {plain(row['where'])}" if row.get("where") else ""
    lines = [f"  {word:<10} {row['treatment']} for {row['finding']}{place}" + (f": {changed}" if changed else "")]
    gain = row.get("gain")
    name = FIGURES.get(row["figure"], row["figure"])
    if "treated" in row and not gain:
        lines.append(f"             {name} {number(row['untreated'])} -> {number(row['treated'])}")
    if gain:
        low, high = gain["interval"]
        length = "" if row["share"] >= 1 else f" at {100 * row['share']:.2g} % of the steps"
        lines.append(
            f"             {name} {number(row['untreated'])} -> {number(row['treated'])}, lower by "
            f"{number(gain['mean'], 3)} ({number(low, 3)} to {number(high, 3)}) in {gain['pairs']} pairs{length}"
        )
        if row.get("score"):
            before, after = (figure(row["score_name"], value) for value in row["score"])
            lines[-1] += f"; {label(row['score_name'])} {before} -> {after}"
    lines.append(f"             {plain(row['reason'])}")
    return lines


def trial_rows(trials: Sequence[Row]) -> list[dict[str, str]]:
    """The trials of a run as printable rows of its report."""
    rows = []
    for row in trials:
        gain, shown = row.get("gain"), ""
        if "treated" in row:
            shown = f"{number(row['untreated'])} -> {number(row['treated'])}"
        within = ""
        if gain:
            low, high = gain["interval"]
            within = f"{number(gain['mean'], 3)} ({number(low, 3)} to {number(high, 3)}), {gain['pairs']} pairs"
        rows.append(
            {
                "verdict": _verdict(row),
                "treatment": str(row["treatment"]),
                "finding": str(row["finding"]) + (f", {plain(row['where'])}" if row.get("where") else ""),
                "change": _changed(row),
                "name": str(FIGURES.get(row["figure"], row["figure"])),
                "figure": shown,
                "gain": within,
                "reason": plain(row["reason"]),
            }
        )
    return rows


def _verdict(row: Row) -> str:
    return "accepted" if row["accepted"] else "withdrawn" if "treated" in row else "not tried"


def _changed(row: Row) -> str:
    return ", ".join(f"{plain(path)} = {_short(value)}" for path, value in row["patch"].items())


def therapy_lines(row: Row) -> list[str]:
    """What came of it: before -> after with intervals, and what was withdrawn."""
    trials, lines = row["trials"], []
    if not trials:
        lines.append("No treatment was tried: " + ("the budget was too small." if row["untried"] else "none applies."))
    elif not row["patch"]:
        lines.append("No treatment helped: none gains more than chance would, so the run stays as it is.")
    before, after = row.get("before"), row.get("after")
    if before and after:
        name = before["name"]
        first = f"{figure(name, before['score'])} ({interval(name, *before['interval'])})"
        second = f"{figure(name, after['score'])} ({interval(name, *after['interval'])})"
        lines.append(f"Treated: validation {label(name)} {first} -> {second} on the same {after['n']} rows")
        gain = row["gain"]
        low, high = gain["interval"]
        lines.append(
            f"  {FIGURES.get(row['figure'], row['figure'])} {number(before['loss'])} -> {number(after['loss'])}, lower "
            f"by {number(gain['mean'], 3)} ({number(low, 3)} to {number(high, 3)})"
        )
    if row["patch"]:
        options = (f"--set {plain(path)}={_short(value)}" for path, value in row["patch"].items())
        lines.append("  changed    " + " ".join(options))
    withdrawn = [trial["treatment"] for trial in trials if not trial["accepted"] and "treated" in trial]
    if withdrawn:
        lines.append("  withdrawn  " + ", ".join(dict.fromkeys(withdrawn)))
    if row["untried"]:
        pairs = (f"{name} for {code}" for name, code in row["untried"])
        lines.append("  untried    " + ", ".join(pairs) + " (the budget is used up)")
    if trials:
        count = f"{len(trials)} trial{'s' if len(trials) > 1 else ''}"
        lines.append(
            f"  {count} in {seconds(row['seconds'])}; one whose gain does not matter (under "
            f"{100 * row['relevant']:.2g} % of the loss) is accepted in at most {100 * row['level']:.2g} % of all cases"
        )
    if row["path"]:
        lines.append(f"Run folder: {plain(row['path'])}")
    return lines


def _short(value: Any) -> str:
    text = value_text(value)
    return text if columns_of(text) <= 60 else shorten(text, 60)
