"""What every check of the doctor's catalogue promises, whatever it looks for."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from limpid.doctor.check import BLAME, Check
from limpid.doctor.checks import CHECKS
from limpid.doctor.diagnosis import judge, rank
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import LEVELS, Finding, Picture

every_check = pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))


@every_check
def test_a_check_is_described(check: Check) -> None:
    assert re.fullmatch(rf"[{BLAME}]\d\d", check.code)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.name)
    assert check.question.endswith("?")
    assert all((check.cause, check.remedy))
    assert check.when in ("before", "during", "after")
    for threshold in check.thresholds.values():
        assert math.isfinite(threshold.value)
        assert all((threshold.unit, threshold.source, threshold.doubt))


@every_check
def test_what_a_check_explains_exists(check: Check) -> None:
    assert set(check.explains) <= set(CHECKS) - {check.code}


@every_check
def test_a_check_without_evidence_says_so(check: Check) -> None:
    assert check.rule(Evidence({}, [])) is None


def test_names_are_unique() -> None:
    assert len({check.name for check in CHECKS.values()}) == len(CHECKS)


def test_a_finding_survives_the_record() -> None:
    picture = Picture("share of dead units", {"layer 1": (0.1, 0.6)}, (0, 100), limit=0.5)
    finding = Finding(
        level="warning", symptom="s", value=0.6, threshold=0.5, picture=picture, rows=("row 3",), code="B01"
    )
    assert Finding.from_row(finding.to_row()) == finding


def test_findings_that_follow_are_folded_under_their_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    known = next(iter(CHECKS.values()))
    monkeypatch.setitem(CHECKS, "B98", replace(known, code="B98", explains=("O99",)))
    monkeypatch.setitem(CHECKS, "O99", replace(known, code="O99", explains=()))
    symptom = Finding(level="warning", symptom="s", value=1, threshold=0, code="O99")
    cause = Finding(level="warning", symptom="c", value=1, threshold=0, code="B98")
    first, second = rank([symptom, cause], CHECKS)
    assert (first.code, second.code, second.because) == ("B98", "O99", "B98")


def test_graver_findings_come_first() -> None:
    findings = [Finding(level=level, symptom="", value=0, threshold=0, code="B01") for level in LEVELS]
    assert [finding.level for finding in rank(findings, CHECKS)] == list(reversed(LEVELS))


def test_the_same_record_gives_the_same_diagnosis() -> None:
    rows = [{"kind": "probe", "name": "loss_at_start", "values": {"loss": 20.0, "chance": 2.3, "n": 64}}]
    assert judge(Evidence({}, rows)).to_row() == judge(Evidence({}, rows)).to_row()
    assert [finding.code for finding in judge(Evidence({}, rows)).findings] == ["B01"]


def test_a_warning_that_explains_a_stop_is_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    known = next(iter(CHECKS.values()))
    monkeypatch.setitem(CHECKS, "O98", replace(known, code="O98", explains=("N99",)))
    monkeypatch.setitem(CHECKS, "N99", replace(known, code="N99", explains=()))
    stop = Finding(level="stop", symptom="s", value=1, threshold=0, code="N99")
    for level, first in (("warning", "O98"), ("note", "N99")):
        cause = Finding(level=level, symptom="c", value=1, threshold=0, code="O98")
        assert rank([stop, cause], CHECKS)[0].code == first
