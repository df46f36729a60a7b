"""Findings in words: one line each while training, and the whole diagnosis afterwards. Rows in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from limpid.reporting.budget_lines import budget_lines
from limpid.reporting.text import plain, value_text

Row = Mapping[str, Any]


def finding_line(row: Row) -> str:
    """`warning S05 dead-units, body.layers.2: 62 % of ...`."""
    place = f", {plain(row['where'])}" if row.get("where") else ""
    said = "since step" in str(row["symptom"])
    since = f" (since step {row['step']})" if row.get("step") and not said else ""
    return f"{row['level']} {row['code']} {row['name']}{place}: {plain(row['symptom'])}{since}"


def finding_lines(row: Row) -> list[str]:
    """A finding with its cause, what to do, and the number it rests on."""
    lines = [finding_line(row)]
    if row.get("because"):
        return ["  " + lines[0], f"    follows from {row['because']}"]
    evidence = f"{value_text(row['value'])} against {value_text(row['threshold'])}"
    counted = f", n = {value_text(row['n'])}" if row.get("n") else ""
    lines.append(f"  cause     {plain(row.get('cause', ''))}")
    lines.append(f"  do        {plain(row.get('remedy', ''))}")
    lines.append(f"  evidence  {evidence}{counted}; {row.get('sure', 'established')}")
    return lines


def diagnosis_lines(diagnosis: Row) -> list[str]:
    """Everything that was found, or that nothing was; and what was looked at."""
    findings: Sequence[Row] = diagnosis["findings"]
    silent, unmeasured = diagnosis["silent"], diagnosis["unmeasured"]
    lines = [line for row in findings for line in finding_lines(row)]
    if not findings:
        lines.append("Nothing wrong found.")
    lines.append(f"{len(silent)} checks found nothing: {' '.join(silent) or 'none'}")
    if unmeasured:
        lines.append(
            f"{len(unmeasured)} could not be made, because the record lacks what they read: {' '.join(unmeasured)}"
        )
    lines += [f"note: {plain(note)}" for note in diagnosis.get("notes", ())]
    return lines + (budget_lines(diagnosis["budget"]) if diagnosis.get("budget") else [])
