"""What did the training loss do? O03 divergence, O04 a plateau from the start, O05 a plateau late."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Epoch, Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.loss_course import LossCourse, course_of, is_past_peak
from limpid.doctor.movement import SHORT_PATH, movement_of
from limpid.doctor.numbers import number

ROSE = Threshold(2.0, "mean loss of the last tenth over the lowest mean", "TheDeepChecker: 2", "losses near zero")
GAVE_BACK = Threshold(0.5, "share of what had been gained", "ours", "restarts of the rate")
LOST_ALL = Threshold(
    0.9, "share of what had been gained", "ours: healthy runs up to 0.13; a loss can hardly rise above chance", "-"
)
NO_FALL = Threshold(
    0.01, "share of the start loss", "USERS: 1 % after an epoch or 200 steps", "tasks hard to learn at all"
)
NO_STEPS = 200  # before which a plateau is none
BETTER = Threshold(0.9, "share of pairs of late and earlier epochs", "ours: by luck 1 run in 60, of 15 epochs", "-")
FLAT_EPOCHS = Threshold(3, "epochs", "USERS", "noise of small validation splits")
FORK_GAIN = Threshold(
    0.02,
    "share of the validation loss",
    "ours: 28 healthy runs at a constant rate gain up to 0.07, which is little of the start loss",
    "small validation splits",
)
LARGE_GAIN = Threshold(
    0.015,
    "share of the start loss",
    "ours: a noisy target at a rate that is too high 0.037 to 0.064; healthy runs at a constant rate up to 0.006",
    "as above",
)
ANNEALED = 0.5  # of the peak: below it the rate has fallen already
ERRORS = 2.0  # standard errors


def divergence(evidence: Evidence) -> Verdict | None:
    """Loss at the end over the lowest before it, and the share of the gain that is lost."""
    course = course_of(evidence)
    if course is None:
        return None
    rise = course.end / course.lowest if course.lowest > 0 else math.inf
    numbers = {"rise": rise, "given_back": course.given_back, "end": course.end, "lowest": course.lowest}
    above = course.end > ROSE.value * course.start
    much = course.given_back > LOST_ALL.value or (rise > ROSE.value and course.given_back > GAVE_BACK.value)
    lost = course.rose_again and much and course.lowest < 0.9 * course.start
    if not (above or lost) or not is_past_peak(evidence):
        return Verdict(numbers)
    doubled = above or rise > ROSE.value
    text = f"The loss rose to {course.end:.3g}, {rise:.3g} times its lowest mean of {course.lowest:.3g}"
    finding = Finding(
        level="warning",
        symptom=text + ("." if doubled else f": {course.given_back:.0%} of what had been gained is lost."),
        value=rise if doubled else course.given_back,
        threshold=(ROSE if doubled else LOST_ALL).value,
        step=_step_of_lowest(evidence, course),
        n=course.num,
        picture=_losses(evidence),
    )
    return Verdict(numbers, (finding,))


def plateau_from_start(evidence: Evidence) -> Verdict | None:
    """(L0 - lowest) / L0 after an epoch and 200 steps, where the slope says nothing of a fall either."""
    course = course_of(evidence)
    steps = evidence.curve.steps
    if course is None or not steps:
        return None
    gain = (course.bins[0] - course.lowest) / course.start
    numbers = {"gain": gain, "late_slope": course.late, "late_error": course.late_error}
    planned = evidence.planned_steps or 0
    enough = steps[-1] >= max(NO_STEPS, planned // 5) or evidence.ended is not None
    doubt = ERRORS * course.noise / math.sqrt(max(1, course.num // 10)) / course.start
    flat = max(gain, course.fall) < NO_FALL.value + doubt and not course.still_falling and course.fall < 0.1
    movement = movement_of(evidence)
    crawls = evidence.ended is None and movement is not None and (movement.path or 0.0) < SHORT_PATH.value
    if not (enough and flat and evidence.epochs) or crawls or course.broken or course.fall < -1:
        return Verdict(numbers)
    finding = Finding(
        level="warning",
        symptom=f"After {steps[-1]:,} steps the loss is {course.end:.3g}, and it was {course.start:.3g} at the start.",
        value=gain,
        threshold=NO_FALL.value,
        n=course.num,
        picture=_losses(evidence),
    )
    return Verdict(numbers, (finding,))


def plateau_late(evidence: Evidence) -> Verdict | None:
    """What a tenth of the last rate gains from the end on, where the rate was held and nothing was gained any more.

    Without the fork there is no verdict: a run that has reached its floor is as flat.
    """
    course, epochs = course_of(evidence), evidence.epochs
    gain, error = fork_gain(evidence)
    if course is None or gain is None or error is None or len(epochs) < 2 * FLAT_EPOCHS.value:
        return None
    last = epochs[-max(int(FLAT_EPOCHS.value), len(epochs) // 3) :]
    rates = [epoch.lr for epoch in epochs if math.isfinite(epoch.lr)]
    held = bool(rates) and rates[-1] >= ANNEALED * max(rates)
    better = _lower_now(epochs, len(last))
    numbers = {"better": better, "held": held, "fork_gain": gain, "fork_error": error}
    if not (held and not better >= BETTER.value and gain > max(ERRORS * error, FORK_GAIN.value)):
        return Verdict(numbers)
    before = number(((evidence.probe("rate_fork") or {}).get("before") or {}).get("valid"))
    large = gain * before > LARGE_GAIN.value * course.start
    finding = Finding(
        level="warning" if large else "note",
        symptom=f"Nothing was gained in the last {len(last)} epochs, while the rate stayed at {rates[-1]:.2g}; one "
        f"epoch at a tenth of it lowers the validation loss by {gain:.1%}.",
        value=gain,
        threshold=FORK_GAIN.value,
        step=last[0].step,
        n=len(last),
        sure="confirmed",
        picture=_losses(evidence),
    )
    return Verdict(numbers, (finding,))


def fork_gain(evidence: Evidence) -> tuple[float | None, float | None]:
    """What a tenth of the last rate gains from the end on, as a share of the validation loss there.

    Returns the mean over the seeds and its standard error; 0 and 0 where the last rate itself gains as much, so that
    it is time that was missing. None where no fork was made.
    """
    probe = evidence.probe("rate_fork") or {}
    train, valid = (_pairs(probe.get(key)) for key in ("train", "valid"))
    before = number((probe.get("before") or {}).get("valid"))
    if len(valid) < 2 or len(train) < 2 or not before > 0:
        return None, None
    gains = [(before - short) / before for short, _ in valid]
    error = statistics.stdev(gains) / math.sqrt(len(gains))
    if any(statistics.mean(long for _, long in p) <= statistics.mean(short for short, _ in p) for p in (valid, train)):
        return 0.0, 0.0
    return statistics.mean(gains), error


def _pairs(losses: Any) -> list[tuple[float, float]]:
    """Losses with the short and with the long steps, of the seeds for which both are numbers."""
    if not losses or len(losses) < 2:
        return []
    pairs = [(number(a), number(b)) for a, b in zip(losses[0], losses[1], strict=False)]
    return [(a, b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]


def _lower_now(epochs: Sequence[Epoch], num_last: int) -> float:
    """Share of the pairs of one of the last epochs and one of as many before them in which the last one has the lower
    validation loss (Mann-Whitney); NaN where it was not looked at. A slope drowns where losses leap between epochs."""
    losses = [number((epoch.valid or {}).get("loss")) for epoch in epochs]
    pairs = [
        late < early
        for early in losses[-2 * num_last : -num_last]
        for late in losses[-num_last:]
        if not math.isnan(early) and not math.isnan(late)
    ]
    return sum(pairs) / len(pairs) if pairs else math.nan


def _step_of_lowest(evidence: Evidence, course: LossCourse) -> int:
    """The step at which the lowest mean was reached."""
    steps = evidence.curve.steps
    place = (course.bins.index(course.lowest) + 1) / len(course.bins)
    return steps[min(len(steps) - 1, int(place * len(steps)))]


def _losses(evidence: Evidence) -> Picture:
    return Picture("training loss", {"loss": evidence.curve.losses}, evidence.curve.steps)


CHECKS = (
    Check(
        code="O03",
        name="divergence",
        question="Does the training loss keep what it has gained?",
        rule=divergence,
        when="during",
        cause="Steps lead uphill: the rate is too high for where the weights have come to, or gradients explode.",
        remedy="Go back to the weights before the rise, and go on with a third of the rate and clipped gradients.",
        thresholds={"rose": ROSE, "gave_back": GAVE_BACK, "lost_all": LOST_ALL},
        treatments=("lower-rate", "clip", "warm-up"),
        explains=("O04",),
        reads=("loss_at_start",),
    ),
    Check(
        code="O04",
        name="plateau-from-start",
        question="Does the training loss fall at all?",
        rule=plateau_from_start,
        when="during",
        cause="Nothing is learned: no signal reaches the weights, there is none in the inputs, or the rate is far off.",
        remedy="See whether one batch can be memorised (`limpid check`); if it can, look at the labels and the rate.",
        thresholds={"no_fall": NO_FALL},
        treatments=("raise-rate", "lower-rate", "he-init", "normalise-layers"),
        reads=("loss_at_start",),
    ),
    Check(
        code="O05",
        name="plateau-late",
        question="Has the rate fallen by the time that nothing is gained any more?",
        rule=plateau_late,
        when="after",
        cause="The steps are too long for the valley that the weights are in, and leap from side to side.",
        remedy="Let the rate fall towards the end (schedule=cosine), average the weights, or stop earlier.",
        thresholds={"flat_epochs": FLAT_EPOCHS, "better": BETTER, "fork_gain": FORK_GAIN, "large_gain": LARGE_GAIN},
        treatments=("lower-rate", "early-stop"),
        reads=("rate_fork",),
    ),
)
