"""Are the steps well made? O06, O07 batch size; O08 momentum; O09 warm-up; O11 curvature; O12 forgetting."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.loss_course import course_of
from limpid.doctor.rate_trial import trial_of

HALF_THE_STEPS = Threshold(
    1.2, "gain of a batch four times as large in half the steps, over the own gain", "ours", "short races"
)
SAME_ROWS = Threshold(1.3, "gain of a quarter of the batch on the same rows, over the own gain", "ours", "short races")
MEMORY = Threshold(0.2, "steps that momentum looks back over those of the run", "USERS: a fifth", "none")
HEAVY = 0.95  # momentum up to which short runs are the habit
SETTLED = 0.9  # share of the start loss that is gone in a run that momentum did no harm
WARMED = Threshold(0.3, "share of the best gain that warm-up adds", "ours", "short races")
HELD_BACK = 0.5  # of the best gain; a rate that reaches more needs no warm-up
EDGE = Threshold(1.0, "rate times curvature over its limit", "Cohen et al. 2021", "training lives at the edge; a note")
KNEW = 0.7  # of the chance loss: a start that is better had learned something of the task
FORGOT = Threshold(1.3, "lowest validation loss over the loss at the start", "ours", "data that are far harder")


def batch_too_small(evidence: Evidence) -> Verdict | None:
    """Gain of four times the batch in half the steps over the run's own, in short runs; and B beside B_simple."""
    gains = _gains(evidence, "large")
    if gains is None:
        return None
    probe = evidence.probe("noise_scale") or {}
    numbers = {"gain": gains[0], "agreed": gains[1], "noise_scale": probe.get("noise_scale")}
    if not (gains[0] > HALF_THE_STEPS.value and gains[1]):
        return Verdict(numbers)
    size = (evidence.probe("batch_race") or {}).get("batch_size")
    text = (
        f"Batches of {4 * (size or 0)} rows gain {gains[0]:.1f} times as much in half as many steps as those of {size}."
    )
    return Verdict(numbers, (_confirmed(text, gains[0], HALF_THE_STEPS.value),))


def batch_too_large(evidence: Evidence) -> Verdict | None:
    """Gain of a quarter of the batch on the same rows over the run's own, over a whole run of few steps."""
    gains = _gains(evidence, "small")
    if gains is None:
        return None
    numbers = {"gain": gains[0], "agreed": gains[1]}
    if not (gains[0] > SAME_ROWS.value and gains[1]):
        return Verdict(numbers)
    probe = evidence.probe("batch_race") or {}
    text = (
        f"The whole run is {probe.get('num_steps')} steps of {probe.get('batch_size')} rows; with a quarter of them "
        f"to a batch the same epochs gain {gains[0]:.1f} times as much."
    )
    return Verdict(numbers, (_confirmed(text, gains[0], SAME_ROWS.value),))


def momentum(evidence: Evidence) -> Verdict | None:
    """1 / (1 - momentum), the steps that it looks back, over the steps of the run. Adam mends its own start."""
    options = evidence.option("optim.options") or {}
    value, planned = options.get("momentum"), evidence.planned_steps
    if not isinstance(value, int | float) or not 0 <= value < 1 or not planned:
        return None
    share = 1 / (1 - value) / planned
    course = course_of(evidence)
    numbers = {"momentum": value, "share": share}
    if share <= MEMORY.value or value <= HEAVY:
        return Verdict(numbers)
    harmed = course is None or course.broken or course.fall < SETTLED or course.given_back > 1 - SETTLED
    judged = evidence.ended is not None or (bool(evidence.curve.steps) and evidence.curve.steps[-1] >= planned // 4)
    if not judged:
        return Verdict(numbers)
    finding = Finding(
        level="warning" if harmed else "note",
        symptom=f"Momentum {value:g} looks back {1 / (1 - value):,.0f} steps, and the whole run is {planned:,}.",
        value=share,
        threshold=MEMORY.value,
        n=planned,
    )
    return Verdict(numbers, (finding,))


def warm_up(evidence: Evidence) -> Verdict | None:
    """What a warm-up adds to the gain of the own rate in short runs, as a share of the best rate's gain."""
    probe = evidence.probe("rate_race") or evidence.probe("start_race") or {}
    trial, warmed = trial_of(evidence), _numbers(probe.get("warmed") or ())
    if trial is None or not warmed:
        return None
    start = statistics.median(_numbers(probe["starts"]))
    own = _numbers(probe["losses"][list(probe["factors"]).index(1.0)])
    best = start - min(*trial.medians, statistics.median(warmed))
    added = (min(start, statistics.median(own)) - statistics.median(warmed)) / best
    agreed = all(a < b for a, b in zip(warmed, own, strict=False))
    numbers = {"added": added, "reached": trial.reached, "agreed": agreed}
    if not (added > WARMED.value and agreed and trial.reached < HELD_BACK):
        return Verdict(numbers)
    text = f"A warm-up adds {added:.0%} of what can be gained in {trial.num_steps} steps at the rate {trial.lr:.3g}."
    return Verdict(numbers, (_confirmed(text, added, WARMED.value),))


def curvature(evidence: Evidence) -> Verdict | None:
    """The last rate times the largest curvature, over the limit of the optimiser: 1 is the edge of stability."""
    probe = evidence.probe("curvature") or {}
    product = probe.get("product")
    rates = [lr for lr in evidence.curve.lrs if math.isfinite(lr)]
    if not isinstance(product, int | float) or not rates or not max(rates) > 0:
        return None
    at_end = product * rates[-1] / max(rates)
    numbers = {"product": product, "at_end": at_end, "lambda_max": probe.get("lambda_max")}
    if not at_end > EDGE.value:
        return Verdict(numbers)
    finding = Finding(
        level="note",
        symptom=f"At the end the rate is {at_end:.2g} times the one that the curvature of the loss allows.",
        value=at_end,
        threshold=EDGE.value,
    )
    return Verdict(numbers, (finding,))


def forgetting(evidence: Evidence) -> Verdict | None:
    """Lowest validation loss over the loss with the weights that the run began with, where these knew the task."""
    start = (evidence.header.get("model") or {}).get("start")
    probe = evidence.probe("loss_at_start") or {}
    known, chance = _numbers([probe.get("loss"), probe.get("chance")])
    losses = _numbers([epoch.valid.get("loss") for epoch in evidence.epochs if epoch.valid is not None])
    if not start or math.isinf(known) or math.isinf(chance) or not (losses or evidence.ended is not None):
        return None
    lowest = min(losses, default=math.inf)
    ratio = lowest / max(known, 1e-12)
    numbers = {"ratio": ratio, "start": known, "chance": chance}
    lost = ratio > FORGOT.value and lowest > known + 0.1 * (chance - known)
    if not (known < KNEW * chance and lost and (len(losses) >= 2 or evidence.ended is not None)):
        return Verdict(numbers)
    finding = Finding(
        level="warning",
        symptom=f"With the weights that the run began with the loss was {known:.3g}; it is {lowest:.3g} at best since.",
        value=ratio,
        threshold=FORGOT.value,
        n=len(losses),
    )
    return Verdict(numbers, (finding,))


def _gains(evidence: Evidence, which: str) -> tuple[float, bool] | None:
    """Median gain of the other batch over that of the own one, and whether it is larger with every seed."""
    probe: Mapping[str, Any] = evidence.probe("batch_race") or {}
    starts, own, other = (_numbers(probe.get(key) or ()) for key in ("starts", "own", which))
    if not starts or not len(starts) == len(own) == len(other):
        return None
    gained = statistics.median(a - b for a, b in zip(starts, own, strict=True))
    gains = statistics.median(a - b for a, b in zip(starts, other, strict=True))
    if not gains > 0:
        return 0.0, False
    ratio = gains / max(gained, 0.01 * gains)
    return ratio, all(a < b for a, b in zip(other, own, strict=True))


def _confirmed(text: str, value: float, threshold: float) -> Finding:
    return Finding(level="warning", symptom=text, value=value, threshold=threshold, sure="confirmed")


def _numbers(values: Sequence[Any]) -> list[float]:
    """Losses; what broke down is worse than any."""
    return [float(v) if _is_number(v) else math.inf for v in values]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


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
    Check(
        code="O08",
        name="momentum-unfit",
        question="Is the run much longer than the optimiser's memory?",
        rule=momentum,
        when="during",
        cause="Momentum adds up the gradients of more steps than the run can wait for, and overshoots.",
        remedy="Use a momentum near 0.9; in steps that is a memory of ten.",
        thresholds={"memory": MEMORY},
        treatments=("lower-rate",),
        explains=("O03", "O04", "O05", "G01", "G06", "G15"),
        reads=("plan",),
    ),
    Check(
        code="O09",
        name="needs-warm-up",
        question="Can the network take the full rate from the first step on?",
        rule=warm_up,
        when="before",
        cause="The first steps meet a steep loss, and what they break is not mended at this rate.",
        remedy="Let the rate warm up over the first tenth of the run (optim.warmup=0.1).",
        thresholds={"warmed": WARMED},
        treatments=("warm-up", "lower-rate"),
        explains=("O03", "O04"),
        reads=("rate_race", "start_race"),
    ),
    Check(
        code="O11",
        name="sharp-minimum",
        question="Is the last rate below the one that the curvature allows?",
        rule=curvature,
        when="after",
        cause="The weights stand where the loss is steep on both sides; long steps hold them at the edge.",
        remedy="Nothing by itself; if validation suffers, try a higher rate earlier, weight decay or averaging.",
        thresholds={"edge": EDGE},
        reads=("curvature",),
    ),
    Check(
        code="O12",
        name="forgetting",
        question="Does a fine-tuned network keep what it knew?",
        rule=forgetting,
        when="during",
        cause="The first steps were long enough to overwrite the weights that the run began with.",
        remedy="Take a tenth of the rate, or let the new layer learn first (model.freeze, then model.thaw).",
        thresholds={"forgot": FORGOT},
        treatments=("lower-rate", "warm-up"),
        explains=("O01", "O03", "O04", "G01", "G15"),
        reads=("loss_at_start",),
    ),
)
