"""Findings in the report: causes first, pictures that stay inside their frame, foreign text made harmless."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from limpid.reporting.finding_cards import HEIGHT, WIDTH, finding_cards, picture_svg

LINE = {"title": "loss", "x": [0, 10, 20], "y": {"train": [2.0, 1.0, 0.5], "valid": [2.0, 1.5, None]}, "limit": 1.2}
BARS = {"title": "dead units by layer", "x": ["a<b", "c"], "y": {"dead": [0.2, 0.9]}, "limit": 0.5}


def row(code: str, level: str = "warning", **fields: object) -> dict[str, object]:
    return {
        "code": code,
        "name": "some-check",
        "level": level,
        "symptom": f"s {code}",
        "value": 1,
        "threshold": 0,
    } | fields


def test_causes_come_first_with_what_follows_from_them() -> None:
    cards = finding_cards([row("S05", because="O01"), row("D15", "note"), row("O01", step=120)])
    assert [card["code"] for card in cards] == ["O01", "D15"]
    assert cards[0]["followers"] == ["S05: s S05"]
    assert cards[0]["since"] == "since step 120"
    assert cards[0]["name"] == "some check"


def test_a_finding_whose_cause_is_not_there_stands_alone() -> None:
    assert [card["code"] for card in finding_cards([row("S05", because="O01")])] == ["S05"]


def test_the_latest_of_equal_findings_counts() -> None:
    (card,) = finding_cards([row("S05", where="layer 1", value=0.1), row("S05", where="layer 1", value=0.9)])
    assert card["evidence"].startswith("0.9 against 0")


@pytest.mark.parametrize("picture", [LINE, BARS, {**LINE, "y": {"flat": [1, 1, 1]}, "limit": None}])
def test_pictures_stay_inside_their_frame(picture: dict[str, object]) -> None:
    svg = picture_svg(picture)
    root = ElementTree.fromstring(svg)
    assert root.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"
    for line in root.iter("polyline"):
        for point in (line.get("points") or "").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT
    for bar in root.iter("rect"):
        assert float(bar.get("height") or -1) >= 0
    assert "<b" not in re.sub(r"<(/?)(svg|polyline|title|text|path|rect)\b", "", svg)


def test_a_picture_without_numbers_is_left_out() -> None:
    assert picture_svg({"title": "", "x": [0], "y": {"a": [math.nan]}}) == ""
