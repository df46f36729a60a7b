"""Does the untrained network know as little as it should? B01."""

from __future__ import annotations

import math

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict

FAR = Threshold(0.3, "share of the chance loss", "Karpathy 2019; TheDeepChecker has 1.0", "class weights move it")


def first_loss(evidence: Evidence) -> Verdict | None:
    """|L0 / L* - 1|, with the loss L0 of the fresh network and the loss L* of the best constant answer."""
    probe = evidence.probe("loss_at_start")
    if probe is None or not probe["chance"] > 0:
        return None
    loss, chance = probe["loss"], probe["chance"]
    distance = abs(loss / chance - 1) if math.isfinite(loss) else math.inf
    statistics = {"loss": loss, "chance": chance, "distance": distance}
    if distance <= FAR.value or evidence.header.get("model", {}).get("start"):
        return Verdict(statistics)
    side = "below" if loss < chance else "above"
    finding = Finding(
        level="warning",
        symptom=f"Before the first step the loss is {loss:.3g}, {side} the {chance:.3g} of knowing nothing.",
        value=distance,
        threshold=FAR.value,
        n=probe["n"],
    )
    return Verdict(statistics, (finding,))


CHECKS = (
    Check(
        code="B01",
        name="loss-at-start",
        question="Is the loss of the fresh network that of knowing nothing?",
        rule=first_loss,
        when="before",
        cause="The last layer starts too large, the loss is summed instead of averaged, or softmax is applied twice.",
        remedy="Start the last layer small, and let its bias answer the class frequencies.",
        thresholds={"far": FAR},
        reads=("loss_at_start",),
    ),
)
