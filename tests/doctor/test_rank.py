"""A cause stands before what it explains, wherever the order of blame would have put it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from limpid.doctor.checks import CHECKS
from limpid.doctor.diagnosis import rank
from limpid.doctor.finding import Finding, Level


def finding(code: str, level: Level = "warning") -> Finding:
    return Finding(level=level, symptom=code, value=1, threshold=0, code=code)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    known = next(iter(CHECKS.values()))
    explains = {
        "G97": ("G98",),
        "G98": ("G99",),
        "G99": (),
        "N99": (),
        "S99": ("N99",),
        "O97": ("O98",),
        "O98": ("O97",),
    }
    for code, codes in explains.items():
        monkeypatch.setitem(CHECKS, code, replace(known, code=code, explains=codes))


def order(*findings: Finding) -> list[tuple[str, str]]:
    return [(one.code, one.because) for one in rank(findings, CHECKS)]


def test_a_cause_of_the_same_group_comes_first() -> None:
    assert order(finding("G99"), finding("G98")) == [("G98", ""), ("G99", "G98")]


def test_a_chain_of_causes_is_followed_to_its_root() -> None:
    assert order(finding("G99"), finding("G98"), finding("G97")) == [("G97", ""), ("G98", "G97"), ("G99", "")]


def test_a_milder_cause_comes_before_its_graver_consequence_but_a_note_does_not() -> None:
    assert order(finding("N99", "stop"), finding("S99")) == [("S99", ""), ("N99", "S99")]
    assert order(finding("N99", "stop"), finding("S99", "note")) == [("N99", ""), ("S99", "")]


def test_causes_in_a_circle_end() -> None:
    assert order(finding("O97"), finding("O98")) == [("O98", ""), ("O97", "O98")]
