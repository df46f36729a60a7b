"""Does the untrained network know as little as it should, and is its loss a mean? B01, B02."""

from __future__ import annotations

import math

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict

ODD = Threshold(0.3, "share of the loss of knowing nothing", "Karpathy 2019", "He weights in the last layer reach it")
# 38 named networks on 8 data sets start within 0.11. He's weights in every layer, which learn as well as any, start in
# the middle at 0.2 to 0.5; 99 % of 600 such networks with 1 to 4 hidden layers, on digits, lie below these:
FAR = Threshold(
    2.0,
    "nats above the loss of knowing nothing, of logits",
    "He's weights: 1.5, 1.9, 2.0 and 1.7 with 2, 3, 10 and 100 classes; TheDeepChecker 1.0, USERS 0.3 of that loss",
    "one He start in a hundred",
)
FAR_NUMBERS = Threshold(
    8.0, "times the loss of knowing nothing, above it", "He's weights in 2 and 3 layers: 6.2 and 7.7", "deeper ones: 12"
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
    above, limit = (loss - chance, FAR) if probe.get("equal") is not None else (distance, FAR_NUMBERS)
    far = side == "above" and not above <= limit.value
    finding = Finding(
        level="warning" if far else "note",
        symptom=f"Before the first step the loss is {loss:.3g}, {side} the {chance:.3g} of knowing nothing.",
        value=above if far else distance,
        threshold=limit.value if far else ODD.value,
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
        thresholds={"odd": ODD, "far": FAR, "far_numbers": FAR_NUMBERS},
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
