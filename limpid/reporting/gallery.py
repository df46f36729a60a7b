"""The rows that somebody should look at, as one page: pictures or values, why, and what to do, chosen by a click.

The page opens offline, asks for nothing, and hands the choices out as a table for data.corrections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limpid.reporting.page import content_policy, json_island, template
from limpid.reporting.text import plain, shorten

HERE = Path(__file__).parent
MOST_CARDS = 150  # of a kind; the table holds all
MOST_CLASSES = 200  # that can be chosen from
LONGEST_TEXT = 600
MOST_SURE = 0.99  # nobody is surer

Row = Mapping[str, Any]


def render_gallery(
    rows: Sequence[Row], kinds: Mapping[str, str], *, title: str, facts: Sequence[tuple[str, str, str]],
    classes: Sequence[str], columns: Sequence[str], how_to_use: str,
) -> str:  # fmt: skip
    """The whole page as text.

    Args:
        rows: suspects with the keys of the table, and of those that are shown `picture` and `other_picture` (data URIs
            or None), `values` (pairs of name and value), `text`, `line` (points of a curve), `like` (a share), and
            `classes`, whether its label is a class.
        kinds: what each kind of suspicion means, in the order of the page.
        title: of the data.
        facts: (name, value, detail) of the head.
        classes: that a row may be given.
        columns: of the table.
        how_to_use: the command that uses the table.
    """
    from markupsafe import Markup

    script = (HERE / "gallery.js").read_text(encoding="utf-8")
    style = (HERE / "report.css").read_text(encoding="utf-8") + (HERE / "gallery.css").read_text(encoding="utf-8")
    sections = [_section(kind, meaning, rows) for kind, meaning in kinds.items()]
    table = {
        "columns": list(columns),
        "rows": [[str(row.get(column, "")) for column in columns] for row in rows],
        "classes": list(classes)[:MOST_CLASSES] if len(classes) <= MOST_CLASSES else [],
    }
    return template("gallery.html.j2").render(
        policy=content_policy(script),
        style=Markup(style),
        script=Markup(script),
        island=Markup(json_island(table)),
        title=plain(title),
        facts=[tuple(map(plain, fact)) for fact in facts],
        sections=[section for section in sections if section["cards"]],
        how_to_use=plain(how_to_use),
        total=len(rows),
    )


def _section(kind: str, meaning: str, rows: Sequence[Row]) -> dict[str, Any]:
    mine = [(i, row) for i, row in enumerate(rows) if row["kind"] == kind]
    return {
        "kind": kind,
        "meaning": meaning,
        "count": len(mine),
        "cards": [_card(i, row) for i, row in mine[:MOST_CARDS]],
        "left_out": max(0, len(mine) - MOST_CARDS),
    }


def _card(number: int, row: Row) -> dict[str, Any]:
    like = row.get("like")
    confidence = row.get("confidence")
    amount, sure = not row.get("classes", True), ""
    if isinstance(confidence, int | float) and row["kind"] in ("label", "doubt", "hard", "number"):
        sure = f"{confidence:.1f} deviations off" if amount else f"{min(confidence, MOST_SURE):.0%} sure"
    return {
        "number": number,
        "name": plain(row["row"]),
        "split": {"train": "training", "valid": "validation"}.get(str(row["split"]), plain(row["split"])),
        "given": plain(row["given"]),
        "suggested": plain(row["suggested"]),
        "says": ("", "expected about") if amount else ("labelled", "looks like"),
        "sure": sure,
        "other": plain(row["other"]),
        "action": row["action"],
        "suggested_action": row["suggested_action"],
        "like": None if like is None else f"{like:.0%} of its neighbours have its label",
        "picture": row.get("picture"),
        "other_picture": row.get("other_picture"),
        "cells": [(plain(name), plain(value)) for name, value in row.get("values") or ()],
        "text": shorten(plain(row.get("text") or ""), LONGEST_TEXT),
        "line": _points(row.get("line") or ()),
    }


def _points(values: Sequence[float]) -> str:
    """Points of an SVG line of 200 x 60."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    reach = (high - low) or 1.0
    return " ".join(
        f"{200 * i / (len(values) - 1):.1f},{57 - 54 * (value - low) / reach:.1f}" for i, value in enumerate(values)
    )
