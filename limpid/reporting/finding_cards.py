"""The doctor's findings for the report: root causes as cards with their evidence as a small picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from limpid.reporting.text import plain, shorten, value_text

Row = Mapping[str, Any]

GRAVITY = {"stop": 0, "warning": 1, "note": 2}
WIDTH, HEIGHT, MARGIN = 260, 96, 14  # of a picture, in pixels
LINE_COLOURS = ("--train", "--valid", "--other")  # variables of report.css
MOST_BARS = 24


def finding_cards(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Findings as printable values, graver ones first; what follows from another is listed with its cause."""
    latest = {(row.get("code"), row.get("where", "")): row for row in rows}
    ordered = sorted(latest.values(), key=lambda row: GRAVITY.get(str(row.get("level")), 3))
    present = {row.get("code") for row in ordered}
    roots = [row for row in ordered if row.get("because") not in present]
    return [_card(row, [other for other in ordered if other.get("because") == row.get("code")]) for row in roots]


def _card(row: Row, followers: Sequence[Row]) -> dict[str, Any]:
    counted = f", n = {value_text(row['n'])}" if row.get("n") else ""
    held = f"{value_text(row.get('value'))} against {value_text(row.get('threshold'))}{counted}"
    return {
        "level": plain(row.get("level", "note")),
        "code": plain(row.get("code", "")),
        "name": plain(row.get("name", "")).replace("-", " "),
        "where": plain(row.get("where", "")),
        "since": f"since step {value_text(row['step'])}" if row.get("step") else "",
        "symptom": plain(row.get("symptom", "")),
        "cause": plain(row.get("cause", "")),
        "remedy": plain(row.get("remedy", "")),
        "evidence": f"{held}; {plain(row.get('sure', 'established'))}",
        "samples": [plain(name) for name in list(row.get("rows", ()))[:8]],
        "followers": [f"{plain(other.get('code', ''))}: {plain(other.get('symptom', ''))}" for other in followers],
        "picture": picture_svg(row["picture"]) if isinstance(row.get("picture"), Mapping) else "",
    }


def picture_svg(picture: Row) -> str:
    """The evidence as SVG text: lines over numbers, bars over names, a dashed line at the limit. Safe to embed."""
    x, lines, limit = list(picture["x"]), dict(picture["y"]), picture.get("limit")
    numbers = [value for line in lines.values() for value in line if _is_number(value)]
    if not numbers or not x:
        return ""
    shown = [*numbers, *([limit] if _is_number(limit) else [])]
    low, high = min([*shown, 0.0] if min(shown) >= 0 else shown), max(shown)
    span = (high - low) or 1.0

    def height_of(value: float) -> float:
        return HEIGHT - MARGIN - (value - low) / span * (HEIGHT - 2 * MARGIN)

    drawn = _bars(x, lines, height_of) if isinstance(x[0], str) else _lines(x, lines, height_of)
    if limit is not None and _is_number(limit):
        y = height_of(limit)
        drawn.append(f'<path d="M0 {y:.1f}H{WIDTH}" stroke="var(--mark)" stroke-dasharray="4 3" fill="none"/>')
    title = escape(shorten(plain(picture.get("title", "")), 120))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}" class="evidence">'
        f'{"".join(drawn)}<text x="2" y="10">{escape(value_text(high))}</text>'
        f'<text x="2" y="{HEIGHT - 2}">{escape(value_text(low))}</text></svg>'
    )


def _lines(x: list[Any], lines: Mapping[str, Sequence[Any]], height_of: Any) -> list[str]:
    first, last = float(x[0]), float(x[-1])
    span = (last - first) or 1.0
    drawn = []
    for (name, line), colour in zip(lines.items(), LINE_COLOURS * len(lines), strict=False):
        points = [
            f"{(float(at) - first) / span * WIDTH:.1f},{height_of(value):.1f}"
            for at, value in zip(x, line, strict=False)
            if _is_number(value)
        ]
        drawn.append(
            f'<polyline points="{" ".join(points)}" fill="none" stroke="var({colour})" stroke-width="1.6">'
            f"<title>{escape(plain(name))}</title></polyline>"
        )
    return drawn


def _bars(x: list[Any], lines: Mapping[str, Sequence[Any]], height_of: Any) -> list[str]:
    (line, *_) = lines.values()
    pairs = list(zip(x, line, strict=False))[:MOST_BARS]
    width, zero = WIDTH / len(pairs), height_of(0.0)
    return [
        f'<rect x="{i * width + 1:.1f}" y="{min(height_of(value), zero):.1f}" width="{max(width - 2, 1):.1f}" '
        f'height="{abs(zero - height_of(value)):.1f}" fill="var(--train)"><title>{escape(plain(name))}: '
        f"{escape(value_text(value))}</title></rect>"
        for i, (name, value) in enumerate(pairs)
        if _is_number(value)
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
