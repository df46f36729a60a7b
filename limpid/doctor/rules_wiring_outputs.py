"""Do the outputs fit the loss: softmax twice or not at all, a head that cannot reach the target, shapes. B03 to B06."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.numbers import finite, number

SUMS = Threshold(1e-3, "distance of the sums over the classes from 1", "rounding of float32 over many classes", "none")
EDGE = Threshold(1e-4, "overshoot of a range", "rounding", "none")
WIDE = Threshold(0.01, "width of a range that tells anything", "ours", "a head that is 0 whatever its weights are")
BEYOND = Threshold(0.05, "share of the target's range that the head cannot reach", "ours", "outliers of the target")
CHANGED = Threshold(1e-3, "relative change of the loss", "rounding is a thousand times less", "none")

Row = Mapping[str, Any]


def softmax_twice(evidence: Evidence) -> Verdict | None:
    """Outputs that add up to 1, or stay in [0, 1], under any weights of the last layer, before a loss of logits.

    The loss of K classes cannot fall below ln(1 + (K - 1) / e) then, that of one label below ln(1 + 1 / e).
    """
    probe = _outputs(evidence)
    if probe is None or probe.get("wants") not in ("logits", "logit"):
        return None
    low, high, width = _range(probe)
    sums = finite(probe.get("sum_distance"))
    inside = -EDGE.value <= low and high <= 1 + EDGE.value and width > WIDE.value
    statistics = {"low": low, "high": high, "sum_distance": sums, "wants": probe["wants"]}
    if not inside:
        return Verdict(statistics)
    classes = (probe.get("shape") or [0])[-1]
    softmax = sums is not None and sums <= SUMS.value
    if not softmax and not probe.get("head"):  # nobody varied the weights: it may be so by chance
        return Verdict(statistics)
    twice = "softmax" if probe["wants"] == "logits" else "sigmoid"
    floor = math.log1p((classes - 1) / math.e) if probe["wants"] == "logits" else math.log1p(1 / math.e)
    shown = "probabilities that add up to 1" if softmax else "numbers from 0 to 1"
    again = "applies softmax again" if softmax and twice == "softmax" else f"expects logits and applies {twice}"
    finding = Finding(
        level="stop",
        symptom=f"The network answers with {shown}, and its loss {again}: it cannot fall below {floor:.2f}.",
        value=sums if softmax and sums is not None else high,
        threshold=SUMS.value if softmax else 1.0,
        where=str(probe.get("head") or ""),
        n=probe.get("n"),
        sure="confirmed",
    )
    return Verdict(statistics, (finding,))


def missing_softmax(evidence: Evidence) -> Verdict | None:
    """Outputs outside of what a loss of probabilities, or of their logarithms, takes."""
    probe = _outputs(evidence)
    if probe is None or probe.get("wants") not in ("probabilities", "log-probabilities"):
        return None
    logs = probe["wants"] == "log-probabilities"
    low, high = number(probe.get("min")), number(probe.get("max"))
    sums = finite(probe.get("exp_sum_distance"))
    statistics = {"min": low, "max": high, "exp_sum_distance": sums, "wants": probe["wants"]}
    outside = high > EDGE.value if logs else low < -EDGE.value or high > 1 + EDGE.value
    unnormed = logs and sums is not None and sums > 0.1
    if not outside and not unnormed:
        return Verdict(statistics)
    wanted = "logarithms of probabilities" if logs else "probabilities"
    finding = Finding(
        level="stop",
        symptom=f"The loss takes {wanted}, and gets numbers from {low:.3g} to {high:.3g} that are none.",
        value=high if outside else float(sums or 0),
        threshold=(0.0 if logs else 1.0) if outside else 0.1,
        where=str(probe.get("head") or ""),
        n=probe.get("n"),
    )
    return Verdict(statistics, (finding,))


def wrong_head(evidence: Evidence) -> Verdict | None:
    """One output under a softmax; a range of the head that excludes the target; class codes as numbers; labels."""
    probe = _outputs(evidence)
    if probe is None or not probe.get("wants"):
        return None
    wants, shape = probe["wants"], probe.get("shape") or []
    low, high, width = _range(probe)
    width = width if probe.get("head") else 0.0  # nobody varied the weights: the range says nothing
    beyond = _beyond(probe, low, high) if wants == "numbers" and width > WIDE.value else 0.0
    statistics = {"wants": wants, "shape": shape, "low": low, "high": high, "beyond": beyond}
    said: list[tuple[str, str, float, float]] = []
    if wants == "logits" and len(shape) > 1 and shape[-1] == 1:
        said.append(("stop", "Softmax over one output is 1 whatever the network says: the loss is always 0.", 1, 2))
    labels = finite(probe.get("target_sum_distance"))
    if wants == "logits" and labels is not None and labels > 0.01 and not probe.get("target_integer"):
        text = "Rows of the target do not add up to 1, so several labels may hold at once; softmax lets them compete."
        said.append(("warning", text, labels, 0.01))
    if wants in ("logits", "logit") and WIDE.value < width <= 2 + EDGE.value and low < -EDGE.value:
        text = f"The logits stay between {low:.3g} and {high:.3g} whatever the last layer says: never sure of anything."
        said.append(("warning", text, width, 2.0))
    if beyond > BEYOND.value:
        text = f"The head answers from {low:.3g} to {high:.3g} only; {beyond:.0%} of the target's range lies outside."
        said.append(("warning", text, beyond, BEYOND.value))
    if wants == "numbers" and probe.get("target_codes") and shape[1:] in ([], [1]):
        count = probe.get("target_distinct")
        text = f"The target has {count} values, all whole: if they name classes, their order means nothing."
        said.append(("note", text, float(count or 0), 20.0))
    findings = tuple(
        Finding(level=level, symptom=text, value=value, threshold=limit, where=str(probe.get("head") or ""))  # type: ignore[arg-type]
        for level, text, value, limit in said
    )
    return Verdict(statistics, findings)


def broadcast(evidence: Evidence) -> Verdict | None:
    """Shapes that differ by an axis of length 1, and a loss that changes when they are made equal."""
    probe = _outputs(evidence)
    if probe is None or not probe.get("shape"):
        return None
    shape, target = list(probe["shape"]), list(probe.get("target_shape") or [])
    loss, reshaped = finite(probe.get("loss")), finite(probe.get("reshaped_loss"))
    statistics = {"outputs": shape, "target": target, "loss": loss, "reshaped_loss": reshaped}
    if loss is None or reshaped is None or shape == target:
        return Verdict(statistics)
    change = abs(loss - reshaped) / max(abs(loss), abs(reshaped), 1e-12)
    if change <= CHANGED.value:
        return Verdict(statistics)
    finding = Finding(
        level="stop",
        symptom=f"Outputs {_text(shape)} and target {_text(target)} are compared each with each, not row by row.",
        value=change,
        threshold=CHANGED.value,
        n=probe.get("n"),
        sure="confirmed",
    )
    return Verdict(statistics, (finding,))


def _outputs(evidence: Evidence) -> Row | None:
    return evidence.probe("outputs")


def _range(probe: Row) -> tuple[float, float, float]:
    low, high = number(probe.get("low")), number(probe.get("high"))
    return low, high, high - low


def _beyond(probe: Row, low: float, high: float) -> float:
    """Share of the target's range that lies outside of the head's, where the head is bounded on that side."""
    first, last = finite(probe.get("held_min")), finite(probe.get("held_max"))
    if first is None or last is None or last <= first:
        return 0.0
    bounded_below, bounded_above = low >= -1 - EDGE.value, high <= 1 + EDGE.value
    outside = max(0.0, low - first) * bounded_below + max(0.0, last - high) * bounded_above
    return outside / (last - first)


def _text(shape: list[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


CHECKS = (
    Check(
        code="B03",
        name="softmax-twice",
        question="Does the network leave the softmax to the loss?",
        rule=softmax_twice,
        when="before",
        cause="The last layer is a softmax or sigmoid, and the loss has its own.",
        remedy="Remove the softmax (sigmoid) at the end of the network; for probabilities apply it to the answers.",
        thresholds={"sums": SUMS, "edge": EDGE, "width": WIDE},
        treatments=("remove-softmax",),
        explains=("B14", "B21", "S03", "O02", "O04", "G01", "G07", "G15"),
        reads=("outputs",),
    ),
    Check(
        code="B04",
        name="missing-softmax",
        question="Does a loss of probabilities get probabilities?",
        rule=missing_softmax,
        when="before",
        cause="The network answers with logits, and the loss does not turn them into probabilities.",
        remedy="Use the loss that takes logits (cross_entropy, binary_cross_entropy_with_logits), or add log_softmax.",
        thresholds={"edge": EDGE},
        explains=("B01", "B21", "N01", "O01", "O03", "O04", "G01", "G15"),
        reads=("outputs",),
    ),
    Check(
        code="B05",
        name="wrong-head",
        question="Can the last layer answer what the target asks?",
        rule=wrong_head,
        when="before",
        cause="The number of outputs, or the activation of the last layer, does not fit the task.",
        remedy="One logit for yes or no, K for K classes or labels, and no activation behind the last layer.",
        thresholds={"beyond": BEYOND},
        explains=("B01", "B21", "S05", "O04", "G01", "G15"),
        reads=("outputs",),
    ),
    Check(
        code="B06",
        name="broadcast",
        question="Are outputs and target compared row by row?",
        rule=broadcast,
        when="before",
        cause="One of them has an axis of length 1 that the other lacks, so that B x B differences are taken.",
        remedy="Give both the same shape: outputs.squeeze(1), or target.unsqueeze(1).",
        thresholds={"changed": CHANGED},
        explains=("B01", "B14", "B21", "S07", "O04", "G01", "G15"),
        reads=("outputs",),
    ),
)
