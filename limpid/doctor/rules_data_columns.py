"""Does one column hold the answer, or number the rows? D10, D11."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.numbers import finite

ALONE = Threshold(
    0.86,
    "gain of one column alone",
    "deepchecks has 0.8 of its score; ours: 5 % of wrong copies of two classes leave 0.88 to 0.91, honest columns of "
    "four tables have 0.85 at most",
    "a dominant cause of the target looks so",
)
EXACT = Threshold(0.95, "R2 of one column alone", "ours: a sum of two variables has one with 0.8", "laws are exact too")
LEAD = Threshold(
    1.4,
    "errors of all other columns together / errors of the one alone",
    "ours: planted columns lead by 1.6 to 4.0, honest ones with as much gain by 1.0 at most",
    "with few other columns the lead is easily large, so the message asks",
)
FEW = Threshold(4.0, "columns", "ours: of two measures of a curve, one may well tell 90 %", "a convention")
COPY = Threshold(0.999, "R2 of one column alone", "ours: a change of units has 1", "a physical law may be as exact")
DENSE = Threshold(0.5, "rows / range of a column of whole numbers", "ours: numbered rows have 1 or a share", "a guess")
FOLLOWS = Threshold(0.99, "rank correlation with the place of the row", "ours", "times do so rightly")
TELLS = Threshold(0.1, "gain", "ours: cross-fitted gain of an unrelated column stays below 0.05", "rows may drift")


def leaking_column(evidence: Evidence) -> Verdict | None:
    """The gain of each column alone, beside that of all others together."""
    probe = evidence.probe("columns")
    if probe is None or not probe.get("columns"):
        return None
    numbering = {row.get("column") for row in _ids(probe)}
    rows = [row for row in probe["columns"] if _known(row.get("gain")) and row.get("column") not in numbering]
    if not rows:
        return Verdict({"n": probe.get("n")})
    best = max(rows, key=lambda row: row["gain"])
    statistics = {"column": best["column"], "gain": best["gain"], "others": best.get("others"), "n": probe.get("n")}
    return Verdict(statistics, tuple(found for row in rows if (found := _leak(row, rows, probe))))


def numbered_rows(evidence: Evidence) -> Verdict | None:
    """Columns that number the rows, and what they, or the order of the rows, tell of the target."""
    probe = evidence.probe("columns")
    if probe is None:
        return None
    gains = {
        (row.get("column"), row.get("target")): row["gain"]
        for row in probe.get("columns") or ()
        if _known(row.get("gain"))
    }
    by_order = max((row["gain"] for row in probe.get("order") or () if _known(row.get("gain"))), default=0.0)
    ids = _ids(probe)
    findings = []
    for row in ids:
        tells = max((gain for (column, _), gain in gains.items() if column == row["column"]), default=0.0)
        symptom = f"{row['column']!r} has another whole number in every row"
        if tells > TELLS.value:
            symptom += f", and tells {tells:.0%} of what there is to know of the target."
        findings.append(
            Finding(
                level="warning" if tells > TELLS.value else "note",
                symptom=symptom.rstrip(".") + ".",
                value=tells,
                threshold=TELLS.value,
                where=row["column"],
                n=probe.get("n"),
            )
        )
    if by_order > TELLS.value and not findings:
        findings.append(
            Finding(
                level="note",
                symptom=f"The rows are in an order that tells {by_order:.0%} of the target, as if sorted by it.",
                value=by_order,
                threshold=TELLS.value,
                n=probe.get("n"),
                cause="The file is sorted by the target, or the target drifts with time.",
                remedy="Nothing, if rows are independent: the split is random. If they come one after the other in "
                "time, split by it (data.split=time:COLUMN).",
                treatments=("shuffle",),
            )
        )
    return Verdict({"ids": [row["column"] for row in ids], "gain_of_order": by_order}, tuple(findings))


def _leak(row: Mapping[str, Any], rows: list[Mapping[str, Any]], probe: Mapping[str, Any]) -> Finding | None:
    gain, others, name, target = row["gain"], row.get("others"), row["column"], row.get("target", "the target")
    few = (finite(probe.get("num_columns")) or 0) < FEW.value
    lead = math.inf if not _known(others) else (1.0 - min(float(others or 0.0), 1.0)) / max(1.0 - gain, 1e-9)
    same = bool(row.get("same"))
    least = EXACT.value if row.get("numbers") else ALONE.value
    ahead = _known(others) and gain >= least and lead >= LEAD.value
    copy = gain >= COPY.value and ahead and finite(probe.get("num_columns")) != 1
    if not (same or copy or (ahead and not few)):
        return None
    beside = "" if not _known(others) else f"; all others together tell {max(float(others or 0), 0.0):.0%}"
    if same:
        symptom = f"{name!r} is {target!r} under another name: each of its values goes with one class"
    else:
        symptom = f"{name!r} alone tells {gain:.0%} of what there is to know of {target!r}"
    same_target = [other for other in rows if other.get("target") == row.get("target")]
    bars = sorted(same_target, key=lambda other: -other["gain"])[:8]
    return Finding(
        level="warning",
        symptom=f"{symptom}{beside}. Is it known before {target!r} is?",
        value=gain,
        threshold=least,
        where=name,
        n=probe.get("n"),
        sure="established" if same or copy else "suspected",
        picture=Picture(
            "gain of single columns",
            {"gain": tuple(other["gain"] for other in bars)},
            tuple(other["column"] for other in bars),
            "column",
            least,
        ),
        remedy=f"If it is only known afterwards, leave it out: --set data.drop={name}. If it is a true cause that is "
        "known in time, keep it; the score without it says what it is worth.",
    )


def _ids(probe: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Columns that number the rows: whole numbers, all different, and dense or in the order of the rows."""
    found = []
    for row in probe.get("ids") or ():
        density, follows = row.get("density"), row.get("follows")
        dense = _known(density) and density >= DENSE.value
        if dense or (_known(follows) and follows >= FOLLOWS.value):
            found.append(row)
    return found


def _known(value: Any) -> bool:
    return finite(value) is not None


CHECKS = (
    Check(
        code="D10",
        name="leaking-column",
        question="Does one column alone tell what the network is to find out?",
        rule=leaking_column,
        when="before",
        cause="The column was filled in after the target was known, or is computed from it.",
        remedy="Leave it out with data.drop, unless it is known before the target is.",
        thresholds={"alone": ALONE, "exact": EXACT, "lead": LEAD, "few": FEW, "copy": COPY},
        treatments=("drop-column",),
        explains=("G05", "G13"),
        reads=("columns",),
    ),
    Check(
        code="D11",
        name="numbered-rows",
        question="Does a column, or the order of the rows, merely number the samples?",
        rule=numbered_rows,
        when="before",
        cause="An identifier was kept as a feature; new rows will have numbers that were never seen.",
        remedy="Leave the column out with data.drop. If it is a time, say so: data.split=time:COLUMN.",
        thresholds={"dense": DENSE, "follows": FOLLOWS, "tells": TELLS},
        treatments=("drop-column",),
        explains=("D10", "G05", "G13"),
        reads=("columns",),
    ),
)
