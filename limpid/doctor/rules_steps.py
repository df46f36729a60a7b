"""Are the steps well made? O08 momentum; O09 warm-up; O11 curvature; O12 forgetting."""

from __future__ import annotations

import math
import statistics

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.loss_course import course_of
from limpid.doctor.movement import LONG_STEP, movement_of
from limpid.doctor.numbers import comparable
from limpid.doctor.rate_trial import trial_of

MEMORY = Threshold(0.2, "steps that momentum looks back over those of the run", "USERS: a fifth", "none")
HEAVY = 0.95  # momentum up to which short runs are the habit
SETTLED = 0.9  # share of the start loss that is gone in a run that momentum did no harm
WARMED = Threshold(0.3, "share of the best gain that warm-up adds", "ours", "short races")
UPHILL = Threshold(0.05, "first twentieth of the losses over the start, less 1", "ours", "dropout, augmentation")
SLOW_AFTER = 0.2  # share of the start loss; a run that falls further has got over its start
HELD_BACK = 0.5  # of the best gain; a rate that reaches more needs no warm-up
EDGE = Threshold(1.0, "rate times curvature over its limit", "Cohen et al. 2021", "training lives at the edge; a note")
KNEW = 0.7  # of the chance loss: a start that is better had learned something of the task
FORGOT = Threshold(1.3, "lowest validation loss over the loss at the start", "ours", "data that are far harder")


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
    """What a warm-up adds to the gain of the own rate in short runs, as a share of the best rate's gain.

    Without a race: a cold start whose first steps are long and lead uphill, in a run that hardly falls afterwards.
    """
    probe = evidence.probe("rate_race") or evidence.probe("start_race") or {}
    trial, warmed = trial_of(evidence), comparable(probe.get("warmed") or ())
    if trial is None or not warmed:
        return _cold_start(evidence)
    start = statistics.median(comparable(probe["starts"]))
    own = comparable(probe["losses"][list(probe["factors"]).index(1.0)])
    best = start - min(*trial.medians, statistics.median(warmed))
    added = (min(start, statistics.median(own)) - statistics.median(warmed)) / best
    agreed = all(a < b for a, b in zip(warmed, own, strict=False))
    numbers = {"added": added, "reached": trial.reached, "agreed": agreed}
    if not (added > WARMED.value and agreed and trial.reached < HELD_BACK):
        return Verdict(numbers)
    text = f"A warm-up adds {added:.0%} of what can be gained in {trial.num_steps} steps at the rate {trial.lr:.3g}."
    return Verdict(numbers, (_confirmed(text, added, WARMED.value),))


def _cold_start(evidence: Evidence) -> Verdict | None:
    """The first steps of a run that began at its full rate."""
    course, movement, rates = course_of(evidence), movement_of(evidence), evidence.curve.lrs
    if course is None or movement is None or evidence.ended is None:
        return None
    cold = bool(rates) and rates[0] > 0.5 * max(rates)
    rise = course.bins[0] / course.start - 1
    doubt = 2 * course.noise / math.sqrt(max(1, course.num // len(course.bins))) / course.start
    jolt = movement.ratios[0] / max(movement.usual, 1e-12)
    numbers = {"rise": rise, "doubt": doubt, "first_step": movement.ratios[0], "jolt": jolt, "fall": course.fall}
    uphill = rise > max(UPHILL.value, doubt) and movement.ratios[0] > LONG_STEP.value and jolt > 3
    if not (cold and uphill and course.fall < SLOW_AFTER):
        return Verdict(numbers)
    finding = Finding(
        level="warning",
        symptom=f"The first steps changed the weights by {movement.ratios[0]:.1%} each and raised the loss by "
        f"{rise:.0%}; it fell by {course.fall:.0%} since.",
        value=rise,
        threshold=UPHILL.value,
        step=0,
        sure="suspected",
    )
    return Verdict(numbers, (finding,))


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
    known, chance = comparable([probe.get("loss"), probe.get("chance")])
    losses = comparable([epoch.valid.get("loss") for epoch in evidence.epochs if epoch.valid is not None])
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


def _confirmed(text: str, value: float, threshold: float) -> Finding:
    return Finding(level="warning", symptom=text, value=value, threshold=threshold, sure="confirmed")


CHECKS = (
    Check(
        code="O08",
        name="momentum-unfit",
        question="Is the run much longer than the optimiser's memory?",
        rule=momentum,
        when="during",
        cause="Momentum adds up the gradients of more steps than the run can wait for, and overshoots.",
        remedy="Use a momentum near 0.9; in steps that is a memory of ten.",
        thresholds={"memory": MEMORY},
        treatments=("less-momentum", "lower-rate"),
        explains=("O03", "O04", "O05", "S08", "G01", "G06", "G15"),
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
        thresholds={"warmed": WARMED, "uphill": UPHILL, "long_step": LONG_STEP},
        treatments=("warm-up", "lower-rate"),
        explains=("O03", "O04"),
        reads=("rate_race", "start_race", "update_norm", "weight_norm"),
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
        explains=("S05", "S07", "S08", "O01", "O03", "O04", "G01", "G15"),
        reads=("loss_at_start",),
    ),
)
