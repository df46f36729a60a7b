"""All checks on one record: the findings, ranked and folded, and what was looked at without finding anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from limpid.doctor.check import Check
from limpid.doctor.error_budget import budget_of
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import LEVELS, Finding


@dataclass(frozen=True)
class Diagnosis:
    """What the checks say of one record.

    Attributes:
        findings: root causes first; what one of them explains follows it, with `because` set.
        statistics: by code of each check that could be made, what it measured.
        unmeasured: codes of the checks whose evidence is not in the record.
        budget: the error of a finished run taken apart (doctor/error_budget.py).
        notes: what could not be looked at, and why.
    """

    findings: tuple[Finding, ...]
    statistics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unmeasured: tuple[str, ...] = ()
    budget: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()

    @property
    def silent(self) -> tuple[str, ...]:
        """Codes of the checks that were made and found nothing."""
        found = {finding.code for finding in self.findings}
        return tuple(code for code in self.statistics if code not in found)

    @property
    def root(self) -> Finding | None:
        """The first of the findings that is more than a note."""
        return next((finding for finding in self.findings if finding.level != "note"), None)

    def to_row(self) -> dict[str, Any]:
        """Plain values for the record and for machines."""
        return {
            "findings": [finding.to_row() for finding in self.findings],
            "silent": list(self.silent),
            "unmeasured": list(self.unmeasured),
            "statistics": {code: dict(values) for code, values in self.statistics.items()},
            **({"budget": dict(self.budget)} if self.budget else {}),
            **({"notes": list(self.notes)} if self.notes else {}),
        }


def judge(evidence: Evidence, checks: Iterable[Check] | None = None) -> Diagnosis:
    """Ask every check of the record's scope, or those given. The same record gives the same findings."""
    known = {check.code: check for check in checks} if checks is not None else _catalogue(evidence.scope)
    found: list[Finding] = []
    statistics: dict[str, Mapping[str, Any]] = {}
    unmeasured: list[str] = []
    for check in known.values():
        if check.scope != evidence.scope:
            continue
        verdict = check.rule(evidence)
        if verdict is None:
            unmeasured.append(check.code)
            continue
        statistics[check.code] = verdict.statistics
        found += [_signed(finding, check) for finding in verdict.findings]
    budget = budget_of(evidence) if evidence.result is not None else None
    return Diagnosis(tuple(rank(found, known)), statistics, tuple(unmeasured), budget)


def _catalogue(scope: str) -> Mapping[str, Check]:
    """Checks of a search, or else all of them, by code."""
    if scope == "search":
        from limpid.doctor.sweep_checks import SWEEP_CHECKS

        return SWEEP_CHECKS
    from limpid.doctor.checks import CHECKS

    return CHECKS


def rank(findings: Iterable[Finding], checks: Mapping[str, Check]) -> list[Finding]:
    """Graver levels first, within a level root causes first; what a finding explains is folded under it.

    A cause that comes behind its consequence in that order is drawn before it, unless it is but a note.

    Args:
        findings: in any order.
        checks: that they are of, by code.
    """
    rest = sorted(findings, key=lambda finding: (-LEVELS.index(finding.level), checks[finding.code].blame))
    ranked: list[Finding] = []
    while rest:
        root = rest.pop(_first_cause(rest, checks))
        explained = checks[root.code].explains if root.level != "note" else ()
        folded = [replace(finding, because=root.code) for finding in rest if finding.code in explained]
        rest = [finding for finding in rest if finding.code not in explained]
        ranked += [root, *folded]
    return ranked


def _first_cause(findings: list[Finding], checks: Mapping[str, Check]) -> int:
    """Position of the first finding, or of what explains it, or of what explains that; notes take no part in it."""
    at, seen = 0, {0}
    while findings[at].level != "note":
        wanted = findings[at].code
        causes = (
            i
            for i, other in enumerate(findings)
            if i not in seen and other.level != "note" and wanted in checks[other.code].explains
        )
        found = next(causes, None)
        if found is None:
            return at
        at = found
        seen.add(at)
    return at


def _signed(finding: Finding, check: Check) -> Finding:
    """The finding with what its check lends it."""
    return replace(
        finding,
        code=check.code,
        name=check.name,
        cause=finding.cause or check.cause,
        remedy=finding.remedy or check.remedy,
        treatments=finding.treatments or check.treatments,
    )
