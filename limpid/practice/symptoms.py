"""Is a finding still there? Its check, asked again about the record of a twin."""

from __future__ import annotations

from typing import Literal

from limpid.doctor.checks import CHECKS
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import LEVELS, Finding
from limpid.practice.twins import Outcome

Symptom = Literal["gone", "milder", "as before", "not measured"]
MILDER = 0.9  # share of its distance to the limit that a statistic keeps at most; more may be the noise of a training


def compare_symptom(finding: Finding, treated: Outcome, untreated: Outcome | None = None) -> Symptom:
    """Whether the finding's check still finds it in the treated twin; milder is a milder level, or a statistic nearer
    to its limit. Without an untreated twin the finding itself is what it is compared with."""
    now = found_in(finding.code, treated)
    if now is None:
        return "not measured"
    before: tuple[Finding, ...] | None = (finding,) if untreated is None else found_in(finding.code, untreated)
    if not before:
        return "not measured"
    if not now:
        return "gone"
    (level, distance), (level_before, distance_before) = _gravity(now), _gravity(before)
    milder = level < level_before or (level == level_before and distance < MILDER * distance_before)
    return "milder" if milder else "as before"


def found_in(code: str, outcome: Outcome) -> tuple[Finding, ...] | None:
    """What a check finds in a twin's record; None where it lacks what the check reads."""
    verdict = CHECKS[code].rule(Evidence(outcome.header, outcome.rows, outcome.judgement.predictions))
    return None if verdict is None else verdict.findings


def _gravity(findings: tuple[Finding, ...]) -> tuple[int, float]:
    """Of the worst finding: its level, and how far its statistic is beyond the limit."""
    return max((LEVELS.index(one.level), abs(one.value - one.threshold)) for one in findings)
