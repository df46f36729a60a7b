"""The error budget and Ng's decision chart in words. Rows in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limpid.reporting.text import plain

Row = Mapping[str, Any]
SHARE = "share of wrong answers"
NAME_COLUMNS = 20


def budget_lines(budget: Row) -> list[str]:
    """One line for each part of the error, what attacks the largest, and the walk through the chart."""
    unit, total = str(budget["unit"]), budget["total"]
    lines = [
        f"error budget of the {budget['split']} split, {'in points' if unit == SHARE else unit}: "
        f"{_number(total['value'], unit)} ({_interval(total, unit)}, n = {total['n']:,})"
    ]
    for term in budget["terms"]:
        name = ("  of it " if term.get("part_of") else "") + str(term["name"])
        if term["value"] is None:
            text = f"{'-':>8}"
        elif term["name"] == "evaluation noise":
            text = f"{'±' + _number(term['value'], unit):>8}"
        else:
            text = f"{_number(term['value'], unit):>8}  ({_interval(term, unit)})"
        mark = "  <- largest certain" if term["name"] == budget["largest"] and term["value"] is not None else ""
        lines.append(f"  {name:<{NAME_COLUMNS + 4}}{text}  {plain(term['basis'])}{mark}")
    lines.append(f"  do        {plain(budget['action'])}")
    return lines + (_chart_lines(budget["chart"], unit) if budget.get("chart") else [])


def _chart_lines(chart: Row, unit: str) -> list[str]:
    lines = [f"Ng's chart, from a target of {_number(chart['target'], unit)} ({plain(chart['target_is'])}):"]
    for step in chart["steps"]:
        if step["error"] is None:
            lines.append(f"  {plain(step['question'])}: not measured")
            continue
        answer = "high" if step["high"] else "not high"
        lines.append(
            f"  {plain(step['question'])} {_number(step['error'], unit)} against {_number(step['against'], unit)} "
            f"+ {_number(step['gap'], unit)}: {answer}"
        )
    lines.append(f"  -> {plain(chart['branch'])}: {plain(chart['remedy'])}")
    return lines


def _number(value: float, unit: str) -> str:
    return f"{100 * value:.1f} %" if unit == SHARE else f"{value:.3g}"


def _interval(row: Row, unit: str) -> str:
    return f"{_number(row['low'], unit)} to {_number(row['high'], unit)}"
