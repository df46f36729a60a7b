"""What somebody has been told of is not told again, unless it has become graver."""

from __future__ import annotations

from limpid.doctor.finding import Finding, Level
from limpid.doctor.told import Told


def finding(level: Level, where: str = "") -> Finding:
    return Finding(level=level, symptom="s", value=1, threshold=0, code="S05", where=where)


def test_each_place_is_told_once_and_again_when_it_is_graver() -> None:
    told = Told([finding("note", "layer 1")])
    assert told.news([finding("note", "layer 1")]) == []
    assert told.news([finding("note", "layer 2")]) == [finding("note", "layer 2")]
    assert told.news([finding("warning", "layer 1"), finding("note", "layer 2")]) == [finding("warning", "layer 1")]
    assert told.news([finding("note", "layer 1"), finding("warning", "layer 1")]) == []
