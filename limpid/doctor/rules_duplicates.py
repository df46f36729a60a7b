"""Are rows there several times, with different labels, or on both sides of the split? D08, D09."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.numbers import number

COPIES = Threshold(0.05, "share of the training rows", "deepchecks: 5 %", "oversampling on purpose looks so too")
CONFLICTS = Threshold(0.01, "share of the training rows", "ours; deepchecks reports any", "soft labels would be honest")
SHARED = Threshold(0.01, "share of the validation rows", "ours; deepchecks: any is a warning", "a few never matter")
FEW = Threshold(3.0, "rows", "ours", "a convention")
NATURAL = Threshold(
    0.5,
    "share of the copies whose values are so common that chance explains them",
    "ours: titanic 0.7 to 1, planted copies of digits 0",
    "copies in a table of few values are overlooked",
)
NEAR_CHANCE = Threshold(3.0, "share found / share expected in so many dimensions", "ours", "the dimension is estimated")


def copied_rows(evidence: Evidence) -> Verdict | None:
    """Rows of the training split that equal earlier ones, and those that equal a row with another label."""
    probe = evidence.probe("duplicates")
    if probe is None or not number(probe.get("rows")) > 0:
        return None
    rows = number(probe["rows"])
    copies, conflicts = (_count(probe.get(key)) / rows for key in ("copies", "conflicts"))
    natural = _count(probe.get("natural")) > NATURAL.value
    near = _near_share(evidence, "near")
    statistics = {
        "copies": copies,
        "conflicts": conflicts,
        "ceiling": probe.get("ceiling"),
        "natural": natural,
        "near": near,
        "rows": int(rows),
    }
    findings = []
    if copies > COPIES.value or conflicts > CONFLICTS.value:
        unlike = conflicts > CONFLICTS.value
        told = f"{copies:.1%} of the training rows are copies of others"
        if conflicts > 0:
            told += f"; {conflicts:.1%} equal a row with another label, so that no model can get more than "
            told += f"{number(probe.get('ceiling')):.1%} right"
        if natural:
            told += ". The columns have so few values that this is to be expected"
        findings.append(
            Finding(
                level="note" if natural else "warning",
                symptom=told + ".",
                value=conflicts if unlike else copies,
                threshold=CONFLICTS.value if unlike else COPIES.value,
                where="train",
                n=int(rows),
                rows=tuple(map(str, probe.get("examples") or ())),
            )
        )
    elif near is not None and near > COPIES.value and not natural:
        findings.append(
            Finding(
                level="note",
                symptom=f"{near:.1%} of the training rows are nearly equal to another.",
                value=near,
                threshold=COPIES.value,
                where="train",
            )
        )
    return Verdict(statistics, tuple(findings))


def shared_rows(evidence: Evidence) -> Verdict | None:
    """Validation rows that are in the training split too, equal or nearly so, and test rows that equal one."""
    verdicts = [one for one in (_shared_validation(evidence), _shared_test(evidence)) if one is not None]
    if not verdicts:
        return None
    statistics = {key: value for one in verdicts for key, value in one.statistics.items()}
    return Verdict(statistics, tuple(finding for one in verdicts for finding in one.findings))


def _shared_test(evidence: Evidence) -> Verdict | None:
    probe = evidence.probe("test_duplicates_after") or evidence.probe("test_duplicates") or {}
    size, shared = number(probe.get("rows")), _count(probe.get("shared"))
    if not size > 0:
        return None
    natural = _count(probe.get("natural")) > NATURAL.value
    statistics = {"test_shared": shared / size, "test_natural": natural, "test_rows": int(size)}
    if shared < FEW.value:
        return Verdict(statistics)
    usual = ". The columns have so few values that this is to be expected."
    finding = Finding(
        level="warning" if shared / size > SHARED.value and not natural else "note",
        symptom=f"{shared / size:.1%} of the test rows are in the training split too"
        + (usual if natural else ": the test score says less about new rows than it seems to."),
        value=shared / size,
        threshold=SHARED.value,
        where="test",
        n=int(size),
        rows=tuple(map(str, probe.get("examples") or ())),
        remedy="" if natural else "Drop these rows from the training file or from the test file, and score anew.",
    )
    return Verdict(statistics, (finding,))


def _shared_validation(evidence: Evidence) -> Verdict | None:
    probe = evidence.probe("duplicates")
    size = number((probe or {}).get("valid_rows"))
    if probe is None or not size > 0:
        return None
    shared, near = _count(probe.get("shared")) / size, _near_share(evidence, "near_shared")
    natural = _count(probe.get("shared_natural")) > NATURAL.value
    statistics = {"shared": shared, "near": near, "natural": natural, "rows": int(size)}
    worst = max(shared, near or 0.0)
    if worst * size < FEW.value or worst == 0:
        return Verdict(statistics)
    grave = worst > SHARED.value and not natural
    both = shared + (near or 0.0)
    kind = "are" if shared >= both / 2 else "are, but for tiny differences,"
    usual = ". The columns have so few values that this is to be expected."
    told = f"{both:.1%} of the validation rows {kind} in the training split too"
    told += usual if natural else "; what is right there says nothing about new rows."
    examples = probe.get("shared_examples") or _near_values(evidence).get("near_shared_examples") or ()
    finding = Finding(
        level="warning" if grave else "note",
        symptom=told,
        value=both,
        threshold=SHARED.value,
        where="valid",
        n=int(size),
        rows=tuple(map(str, examples)),
    )
    return Verdict(statistics, (finding,))


def _near_share(evidence: Evidence, key: str) -> float | None:
    """Share of nearly equal rows, 0 where chance explains them; None where they were not looked for."""
    values = _near_values(evidence)
    found, asked, chance = (number(values.get(name)) for name in (key, f"{key}_asked", f"{key}_chance"))
    if not (math.isfinite(found) and asked > 0 and math.isfinite(chance)):
        return None
    share = found / asked
    spread = math.sqrt(max(chance * (1 - chance), 0.0) / asked)
    return share if found >= FEW.value and share > NEAR_CHANCE.value * chance + 3 * spread else 0.0


def _near_values(evidence: Evidence) -> Mapping[str, Any]:
    for name in ("near_duplicates_after", "near_duplicates", "duplicates"):
        values = evidence.probe(name)
        if values is not None and "near" in values:
            return values
    return {}


def _count(value: Any) -> float:
    found = number(value)
    return found if math.isfinite(found) else 0.0


CHECKS = (
    Check(
        code="D08",
        name="copies",
        question="Are rows there several times, or with different labels?",
        rule=copied_rows,
        when="before",
        cause="Files were joined twice, or exported from sources that overlap; copies were labelled independently.",
        remedy="Keep one of each before splitting, and settle the labels that contradict each other (`limpid audit`).",
        thresholds={"copies": COPIES, "conflicts": CONFLICTS, "natural": NATURAL},
        explains=("D09",),
        reads=("duplicates", "near_duplicates", "near_duplicates_after"),
    ),
    Check(
        code="D09",
        name="shared-rows",
        question="Are validation or test rows among the training rows?",
        rule=shared_rows,
        when="before",
        cause="Rows were copied before they were split, or one thing has several rows (frames of a film, visits of a "
        "patient).",
        remedy="Drop the copies from the training rows (`limpid audit`), or split by what the rows share: "
        "data.split=group:COLUMN.",
        thresholds={"shared": SHARED, "few": FEW, "natural": NATURAL, "near_chance": NEAR_CHANCE},
        explains=("G05",),
        reads=("duplicates", "near_duplicates", "near_duplicates_after", "test_duplicates", "test_duplicates_after"),
    ),
)
