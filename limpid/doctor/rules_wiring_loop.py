"""What a user's own loop does around the step: gradients that are not cleared, and the order of the data. B11, B15."""

from __future__ import annotations

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.numbers import finite

STALE = Threshold(0.5, "share of the steps", "structural: 0 or 1 in practice", "none")
FIRST_STEPS = Threshold(10, "steps", "ours", "none")
ENTROPY = Threshold(
    0.5, "share of the batches", "ours: batches with < 0.5 of the classes' entropy", "batches of a few rows"
)
BATCHES = Threshold(20, "batches", "ours", "epochs of fewer batches")


def accumulating(evidence: Evidence) -> Verdict | None:
    """Share of the steps before which no gradient had been cleared since the step before."""
    readings = evidence.readings("accumulation")
    if not readings:
        return None
    steps, stale = (finite(readings[-1].values.get(key)) for key in ("steps", "stale"))
    if not steps or stale is None:
        return None
    share = stale / steps
    if steps < FIRST_STEPS.value or share < STALE.value:
        return Verdict({"share": share, "steps": steps})
    finding = Finding(
        level="stop",
        symptom=f"At {share:.0%} of {steps:.0f} steps the gradients of earlier steps were still there, and were added.",
        value=share,
        threshold=STALE.value,
        n=int(steps),
    )
    return Verdict({"share": share, "steps": steps}, (finding,))


def data_order(evidence: Evidence) -> Verdict | None:
    """Batches of one class, the same batch again and again, or the very same order in every epoch."""
    readings = evidence.readings("batches")
    if not readings:
        return None
    row = readings[-1].values
    seen, distinct, low = (finite(row.get(key)) for key in ("seen", "distinct", "low_entropy"))
    if not seen or distinct is None:
        return None
    statistics = {"seen": seen, "distinct": distinct, "low_entropy": low, "repeats": row.get("repeats")}
    if seen < BATCHES.value:
        return Verdict(statistics)
    if distinct == 1:
        text = f"All {seen:.0f} batches were the same."
        return Verdict(statistics, (Finding(level="note", symptom=text, value=1, threshold=2, n=int(seen)),))
    if low is not None and low > ENTROPY.value:
        text = f"{low:.0%} of the batches hold less than half of the classes' entropy: the rows come sorted by class."
        finding = Finding(level="warning", symptom=text, value=low, threshold=ENTROPY.value, n=int(seen))
        return Verdict(statistics, (finding,))
    if row.get("repeats"):
        text = "Every epoch goes through the same batches in the same order."
        return Verdict(statistics, (Finding(level="note", symptom=text, value=1, threshold=0, n=int(seen)),))
    return Verdict(statistics)


CHECKS = (
    Check(
        code="B11",
        name="gradients-kept",
        question="Are the gradients cleared between steps?",
        rule=accumulating,
        when="during",
        cause="optimizer.zero_grad() is missing, so that each step follows the sum of all gradients so far.",
        remedy="Call optimizer.zero_grad() once for every optimizer.step().",
        thresholds={"stale": STALE, "steps": FIRST_STEPS},
        explains=("S04", "S05", "S06", "S07", "S08", "O01", "O03", "O04", "O09", "N01", "G01"),
        reads=("accumulation",),
    ),
    Check(
        code="B15",
        name="data-order",
        question="Does the loop see different rows, in mixed order?",
        rule=data_order,
        when="during",
        cause="The loader does not shuffle, or hands out the same indices each time.",
        remedy="Shuffle the training rows anew in every epoch: DataLoader(..., shuffle=True).",
        thresholds={"entropy": ENTROPY, "batches": BATCHES},
        treatments=("shuffle",),
        explains=("B14", "O04", "G01", "G02"),
        reads=("batches",),
    ),
)
