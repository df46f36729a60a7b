"""Does the untrained network know as little as it should, and is its loss a mean? B01, B02."""

from __future__ import annotations

import math

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict

ODD = Threshold(0.3, "share of the loss of knowing nothing", "Karpathy 2019", "He weights in the last layer reach it")
# 38 named networks on 8 data sets start within 0.11; He's weights in the last layer too reach 0.41 with 10 classes; a
# last layer 20 times too large starts at 0.2 to 0.9, with 95 % above 0.3.
FAR = Threshold(
    0.4, "share of the loss of knowing nothing", "measured; USERS 0.3, TheDeepChecker 1.0", "2 or 3 classes"
)
SUMMED = Threshold(1.8, "loss of all rows twice / loss of all rows", "TheDeepChecker [1.8, 2.2]; exact here", "none")


def first_loss(evidence: Evidence) -> Verdict | None:
    """|L0 / L* - 1|, with the loss L0 of the fresh network and the loss L* of knowing nothing.

    L* is that of the best constant answer, or of equal logits where that is more: a head that does not start with the
    class frequencies knows less than the best constant, and is no fault.
    """
    probe = evidence.probe("loss_at_start")
    if probe is None or not isinstance(probe.get("loss"), int | float):
        return None
    known = [probe[key] for key in ("chance", "equal") if isinstance(probe.get(key), int | float)]
    if not known or not min(known) > 0:
        return None
    loss, chance = float(probe["loss"]), max(known)
    distance = abs(loss / chance - 1) if math.isfinite(loss) else math.inf
    statistics = {"loss": loss, "chance": chance, "distance": distance}
    if distance <= ODD.value or min(known) <= loss <= chance or (evidence.header.get("model") or {}).get("start"):
        return Verdict(statistics)
    side = "below" if loss < chance else "above"
    finding = Finding(
        level="note" if loss <= chance or distance <= FAR.value else "warning",
        symptom=f"Before the first step the loss is {loss:.3g}, {side} the {chance:.3g} of knowing nothing.",
        value=distance,
        threshold=FAR.value if distance > FAR.value else ODD.value,
        n=probe.get("n"),
    )
    return Verdict(statistics, (finding,))


def summed_loss(evidence: Evidence) -> Verdict | None:
    """L(all rows twice) / L(all rows): 1 for a mean, 2 for a sum."""
    probe = evidence.probe("loss_at_start")
    ratio = None if probe is None else probe.get("doubled")
    if probe is None or not isinstance(ratio, int | float) or not math.isfinite(ratio):
        return None
    statistics = {"doubled": ratio}
    if not SUMMED.value <= ratio <= 2.2:
        return Verdict(statistics)
    n = int(probe.get("n") or 0)
    finding = Finding(
        level="warning",
        symptom=f"The loss of a batch grows with its size: {ratio:.2f} times as much for every row twice.",
        value=ratio,
        threshold=SUMMED.value,
        n=n,
    )
    return Verdict(statistics, (finding,))


CHECKS = (
    Check(
        code="B01",
        name="loss-at-start",
        question="Is the loss of the fresh network that of knowing nothing?",
        rule=first_loss,
        when="before",
        cause="The last layer starts too large, or the target is far from the scale that the outputs start with.",
        remedy="Start the last layer small; let its bias answer the class frequencies, or standardise the target.",
        thresholds={"odd": ODD, "far": FAR},
        reads=("loss_at_start",),
    ),
    Check(
        code="B02",
        name="summed-loss",
        question="Is the loss a mean over the batch, and not a sum?",
        rule=summed_loss,
        when="before",
        cause="The loss is reduced by a sum, so that the step grows with the batch, and the last batch weighs less.",
        remedy='Average it (reduction="mean"), and choose the learning rate anew.',
        thresholds={"summed": SUMMED},
        explains=("B01", "O01", "O03", "S04", "S08"),
        reads=("loss_at_start",),
    ),
)
