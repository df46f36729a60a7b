"""Is the batch of the right size? O06 too small, O07 too large for the steps of the run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.numbers import comparable, is_number

HALF_THE_STEPS = Threshold(
    1.3,
    "own loss over that of a batch four times as large in half the steps",
    "ours: healthy batches of 4 and 8 rows 1.02 to 1.14, batch statistics of 2 rows 1.5 to 1.8",
    "short races",
)
SAME_ROWS = Threshold(1.5, "own loss over that of a quarter of the batch on the same rows", "ours", "short races")
FEW_BATCHES = 8  # to an epoch; runs of more take many steps if they take many epochs


def batch_too_small(evidence: Evidence) -> Verdict | None:
    """The run's own loss over that of four times the batch in half the steps, in short runs; and B_simple."""
    raced = _ratio(evidence, "large")
    if raced is None:
        return None
    ratio, agreed = raced
    size = (evidence.probe("batch_race") or {}).get("batch_size") or 0
    scale = (evidence.probe("noise_scale") or {}).get("noise_scale")
    numbers = {"ratio": ratio, "agreed": agreed, "noise_scale": scale}
    if not (ratio > HALF_THE_STEPS.value and agreed):
        return Verdict(numbers)
    text = f"Batches of {4 * size} rows get to {1 / ratio:.0%} of the loss in half as many steps as batches of {size}."
    return Verdict(numbers, (_confirmed(text, ratio, HALF_THE_STEPS.value),))


def batch_too_large(evidence: Evidence) -> Verdict | None:
    """Loss at the end over that with a quarter of the batch on the same rows, over a whole run of few steps."""
    probe: Mapping[str, Any] = evidence.probe("batch_race") or {}
    per_epoch = (evidence.probe("plan") or {}).get("batches_per_epoch")
    raced = _ratio(evidence, "small")
    if raced is None:
        return None
    ratio, agreed = raced
    numbers = {"ratio": ratio, "agreed": agreed, "batches_per_epoch": per_epoch}
    many = is_number(per_epoch) and float(per_epoch or 0) > FEW_BATCHES
    if not (ratio > SAME_ROWS.value and agreed) or many:
        return Verdict(numbers)
    text = (
        f"The whole run is {probe.get('num_steps')} steps of {probe.get('batch_size')} rows; with a quarter of them "
        f"to a batch the same epochs end at {1 / ratio:.0%} of its loss."
    )
    return Verdict(numbers, (_confirmed(text, ratio, SAME_ROWS.value),))


def _ratio(evidence: Evidence, which: str) -> tuple[float, bool] | None:
    """Median loss of the own batch over that of the other one, and whether it is larger with every seed."""
    probe: Mapping[str, Any] = evidence.probe("batch_race") or {}
    own, other = comparable(probe.get("own") or ()), comparable(probe.get(which) or ())
    if not own or len(own) != len(other) or math.isinf(statistics.median(other)):
        return None
    ratio = statistics.median(own) / max(statistics.median(other), 1e-12)
    return ratio, all(a < b for a, b in zip(other, own, strict=True))


def _confirmed(text: str, value: float, threshold: float) -> Finding:
    return Finding(level="warning", symptom=text, value=value, threshold=threshold, sure="confirmed")


CHECKS = (
    Check(
        code="O06",
        name="batch-too-small",
        question="Are batches large enough for a step to point the right way?",
        rule=batch_too_small,
        when="after",
        cause="So few rows to a batch point anywhere, and batch statistics of so few mean little.",
        remedy="Take batches four times as large, or accumulate the gradients of several.",
        thresholds={"half_the_steps": HALF_THE_STEPS},
        treatments=("larger-batch", "lower-rate"),
        reads=("batch_race", "noise_scale"),
    ),
    Check(
        code="O07",
        name="batch-too-large",
        question="Does the run take enough steps?",
        rule=batch_too_large,
        when="after",
        cause="The batches are so large that the epochs are over after a few steps.",
        remedy="Take smaller batches, which makes more steps of the same epochs; or train longer.",
        thresholds={"same_rows": SAME_ROWS},
        treatments=("smaller-batch", "longer", "raise-rate"),
        explains=("G01", "G06", "G15"),
        reads=("batch_race",),
    ),
)
