"""Are number targets of the right size, and without tyrants? D16, D19."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.numbers import finite

OFF = Threshold(3.0, "|mean| / standard deviation of the target", "USERS.md D16", "an output bias mends it slowly")
WIDE = Threshold(10.0, "standard deviation of the target, or 1 / it", "USERS.md D16", "Adam minds it less than SGD")
SKEW = Threshold(5.0, "third standardised moment", "ours: a log-normal of sigma 1 has 6", "counts look so")
OUTSIDE = Threshold(0.05, "share of targets that the last layer cannot answer", "TheDeepChecker asks for none", "rare")
TYRANNY = Threshold(
    0.2,
    "share of the gradient from 1 % of the rows",
    "ours: 0.04 of a normal, 0.12 of a log-normal of sigma 1; one target of 200 times 100 leaves 0.21 to 0.48",
    "a log-normal of sigma 1.5 has 0.23",
)


def target_scale(evidence: Evidence) -> Verdict | None:
    """Centre, width and skew of number targets as the loss sees them, and whether the last layer reaches them."""
    probe = evidence.probe("targets")
    if probe is None:
        return None
    targets = [
        row for row in probe.get("targets") or () if finite(row.get("std")) and finite(row.get("mean")) is not None
    ]
    if not targets:
        return None
    statistics: dict[str, Any] = {
        str(row.get("name")): {"mean": row["mean"], "std": row["std"], "skew": row.get("skew")} for row in targets
    }
    findings = []
    reach = probe.get("reach") or {}
    outside = finite(reach.get("outside")) or 0.0
    statistics["outside"] = outside
    if outside > OUTSIDE.value:
        high = finite(reach.get("high")) or 0.0
        span = f"from {finite(reach.get('low')) or 0.0:g}" + (f" to {high:g}" if high < 1e29 else " upwards")
        findings.append(
            Finding(
                level="warning",
                symptom=f"The last layer, {reach.get('layer')}, answers {span} only; {outside:.0%} of the targets, as "
                "the loss sees them, lie outside.",
                value=outside,
                threshold=OUTSIDE.value,
                where=str(reach.get("layer")),
                n=probe.get("n"),
                cause="An activation was left behind the last layer.",
                remedy="End the network with a plain linear layer.",
            )
        )
    for row in targets:
        off, std, name = abs(row["mean"]) / row["std"], row["std"], str(row.get("name"))
        width = max(std, 1.0 / std)
        if off > OFF.value and abs(row["mean"]) > 1.0 or width > WIDE.value:
            centre = off / OFF.value > width / WIDE.value
            findings.append(
                Finding(
                    level="warning",
                    symptom=f"The loss sees {name!r} with a mean of {row['mean']:.3g} and a standard deviation of "
                    f"{std:.3g}; first outputs are near 0 and 1.",
                    value=off if centre else width,
                    threshold=OFF.value if centre else WIDE.value,
                    where=name,
                    n=probe.get("n"),
                )
            )
        skew = finite(row.get("skew")) or 0.0
        if abs(skew) > SKEW.value:
            findings.append(
                Finding(
                    level="note",
                    symptom=f"{name!r} is skewed: its third standardised moment is {skew:.3g}.",
                    value=abs(skew),
                    threshold=SKEW.value,
                    where=name,
                    n=probe.get("n"),
                    cause="Its values span orders of magnitude, and the squared error listens to the largest.",
                    remedy="Predict its logarithm, or use objective.loss=huber or poisson for counts.",
                )
            )
    return Verdict(statistics, tuple(findings))


def tyrants(evidence: Evidence) -> Verdict | None:
    """The part of the gradient that 1 % of the rows send: by their targets, and measured at the last layer."""
    targets, measured = evidence.probe("targets"), evidence.probe("row_gradients")
    found: list[tuple[float, str, Mapping[str, Any], Any]] = []
    for row in (targets or {}).get("targets") or ():
        share = finite(row.get("top_share"))
        if share is not None:
            found.append((share, str(row.get("name")), row, (targets or {}).get("n")))
    share = finite((measured or {}).get("top_share"))
    if share is not None and measured is not None:
        found.append((share, "the last layer", measured, measured.get("n")))
    if not found:
        return None
    statistics = {name: share for share, name, _, _ in found}
    share, name, row, n = max(found, key=lambda entry: entry[0])
    if share <= TYRANNY.value:
        return Verdict(statistics)
    rows = tuple(str(each) for each in row.get("rows") or ())
    finding = Finding(
        level="warning",
        symptom=f"1 % of the rows send {share:.0%} of the gradient" + (f": {', '.join(rows[:3])}." if rows else "."),
        value=share,
        threshold=TYRANNY.value,
        where=name,
        n=n,
        rows=rows,
        sure="confirmed" if name == "the last layer" else "established",
    )
    return Verdict(statistics, (finding,))


CHECKS = (
    Check(
        code="D16",
        name="target-scale",
        question="Are number targets of a size that the network's first answers have?",
        rule=target_scale,
        when="before",
        cause="The loss gets targets in their own units; at first only the last bias is learned.",
        remedy="Standardise the targets, and undo it in the answers; Limpid's regression does so by itself.",
        thresholds={"off": OFF, "wide": WIDE, "skew": SKEW, "outside": OUTSIDE},
        treatments=("standardise-target",),
        explains=("B01", "B14", "S04", "S05", "S06", "S07", "S08", "O01", "O02", "O03", "O04", "G01", "G15"),
        reads=("targets",),
    ),
    Check(
        code="D19",
        name="tyrant-rows",
        question="Do a few rows decide the gradient for all?",
        rule=tyrants,
        when="before",
        cause="A few targets or inputs lie far outside: other units, typing errors, or a heavy tail.",
        remedy="Look at these rows. If they are right, use objective.loss=huber, or clip the gradient.",
        thresholds={"tyranny": TYRANNY},
        treatments=("clip", "drop-rows"),
        explains=("D16", "S04", "S08", "O03", "O06", "G08", "G15"),
        reads=("targets", "row_gradients"),
    ),
)
