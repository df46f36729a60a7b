"""Is the learning rate right? O01, O02: from the loss, from how far the weights move, and from a race of rates."""

from __future__ import annotations

import math
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Surety, Verdict
from limpid.doctor.loss_course import STRAIGHT, UNLIKELY, LossCourse, course_of, is_broken, is_past_peak
from limpid.doctor.movement import LONG_STEP, SHORT_PATH, Movement, movement_of
from limpid.doctor.rate_trial import (
    FAR_OUTRUN,
    OUTRUN,
    TIMES_OUTRUN,
    RateTrial,
    expected_steps,
    lost_to_lower,
    trial_of,
)

CALIBRATED = "ours: six small tasks, three optimisers, three schedules, rates x 1/1000 to x 100"
STUCK = Threshold(0.7, "loss at the end over that at the start", CALIBRATED, "tasks with a high floor end near it")
BURST = Threshold(2.0, "loss over that at the start", CALIBRATED, "single batches: the third largest counts")
GROWTH = Threshold(10.0, "norm of the weights over that at the start", CALIBRATED, "first weights that are tiny grow")
JOLTED = Threshold(3.0, "validation loss of the first epochs over the loss at the start", "ours", "stored statistics")
LOST = Threshold(0.15, "share of what had been gained", CALIBRATED, "healthy runs with long steps: up to 0.09")
CATAPULT = Threshold(30.0, "loss over that at the start", CALIBRATED, "outliers in the targets")
KICK = Threshold(3.0, "loss over that at the start", CALIBRATED, "healthy: below 2; the third largest counts")
HURLED = Threshold(0.1, "median |update| / |weights|", CALIBRATED, "first weights that are tiny; never alone")
LITTLE = Threshold(0.6, "share of the start loss that is gone", CALIBRATED, "tasks with a high floor")
PATH = Threshold(0.5, "sum of |update| / |weights|", CALIBRATED, "as above; only with a straight course")
BENT = Threshold(STRAIGHT, "late slope over early slope, against the sum of rates", CALIBRATED, "runs of few steps")
CRAWL = Threshold(0.25, "gain of the own rate, carried on to the run's end, over the best's", CALIBRATED, "linear")
FAR_BEST = 30.0  # times the own rate: a short race likes rates up to ten times as high in healthy runs
FEWEST_STEPS = 100  # of a straight course: a shorter run is straight because it is short
BEFORE_VERDICT = 0.5  # of the planned steps: a course is not judged by its beginning


def too_high(evidence: Evidence) -> Verdict | None:
    """Harm (the run broke, is stuck, or lost what it had gained) with violence (the weights or the loss were hurled).

    Either alone has other causes: a stuck run may have nothing to learn, and a good run may start with a jolt.
    """
    course, movement, trial = course_of(evidence), movement_of(evidence), trial_of(evidence)
    if course is None and movement is None and trial is None:
        return None
    statistics = _statistics(course, movement, trial)
    lost = None if trial is None else lost_to_lower(trial)
    raced = lost is not None
    seen = _harm_by_steps(evidence, course, movement)
    mild = seen is None and not raced
    if mild and course is not None and movement is not None:
        seen = _kick(course, movement)
    seen = seen or lost
    if seen is None:
        return Verdict(statistics)
    text, value, limit = seen
    sure: Surety = "confirmed" if raced else "established"
    finding = Finding(
        level="note" if mild and _got_over(course) else "stop" if raced and is_broken(evidence) else "warning",
        symptom=text,
        value=value,
        threshold=limit,
        n=None if course is None else course.num,
        sure=sure,
        remedy=_remedy(trial, raced),
        picture=_picture(evidence, trial if raced else None),
    )
    return Verdict(statistics, (finding,))


def too_low(evidence: Evidence) -> Verdict | None:
    """A loss that falls on a straight line, against the sum of rates, to the end; or weights that hardly moved.

    A race in which much higher rates win takes the place of both; one in which the own rate does well refutes them.
    """
    course, movement, trial = course_of(evidence), movement_of(evidence), trial_of(evidence)
    if course is None and trial is None:
        return None
    statistics = _statistics(course, movement, trial)
    planned = evidence.planned_steps
    raced, reached = False, math.nan
    if trial is not None:
        reached = trial.reached * max(1.0, (planned or expected_steps(evidence)) / max(1, trial.num_steps))
        statistics["reached_by_end"] = reached
        raced = trial.best >= FAR_BEST and trial.agreed and reached < CRAWL.value
    seen = _crawl(evidence, course, movement)
    if trial is not None and not raced and trial.best < FAR_BEST:
        seen = None
    if seen is None and not raced:
        return Verdict(statistics)
    got_there = seen is None and _settled(evidence, course)
    if seen is None:
        assert trial is not None
        text = (
            f"In {trial.num_steps} steps {trial.lr * trial.best:.3g} gains {_times(trial.reached)} the rate "
            f"{trial.lr:.3g} does, with each of {trial.num_seeds} seeds."
        )
        seen = (text, reached, CRAWL.value)
    text, value, limit = seen
    started = bool((evidence.header.get("model") or {}).get("start")) or bool(evidence.option("model.pretrained"))
    finding = Finding(
        level="note" if got_there or (started and not raced) else "warning",
        symptom=text,
        value=value,
        threshold=limit,
        n=None if course is None else course.num,
        sure="confirmed" if raced else "established",
        remedy=_remedy(trial, raced),
        picture=_picture(evidence, trial if raced else None),
    )
    return Verdict(statistics, (finding,))


def _harm_by_steps(
    evidence: Evidence, course: LossCourse | None, movement: Movement | None
) -> tuple[str, float, float] | None:
    """What the steps did, if they did harm: a sentence, the statistic, and its limit."""
    most, growth = (movement.most, movement.growth) if movement is not None else (0.0, 1.0)
    burst = course.burst if course is not None else 0.0
    if is_broken(evidence):
        if most > HURLED.value or math.isnan(most):
            return f"A step changed the weights by {most:.3g} times their size, and the loss broke.", most, HURLED.value
        if growth > GROWTH.value:
            return f"The weights grew to {growth:.3g} times their size, and the loss broke.", growth, GROWTH.value
        if burst > BURST.value:
            return f"The loss rose to {burst:.3g} times that at the start, and broke.", burst, BURST.value
        return None
    if course is None:
        return None
    if burst > CATAPULT.value:
        return f"The loss rose to {burst:.3g} times that at the start.", burst, CATAPULT.value
    jolted = _early_valid(evidence) / course.start
    if jolted > JOLTED.value and growth > GROWTH.value:
        text = f"After the first epochs the validation loss was {jolted:.3g} times that at the start."
        return text, jolted, JOLTED.value
    if not (_ripe(evidence, course) and is_past_peak(evidence)):
        return None
    level = course.end / course.start
    if level > STUCK.value and not (course.still_falling and course.straightness > STRAIGHT):
        if burst > BURST.value:
            text = f"The loss rose to {burst:.3g} times that at the start, and is stuck at {course.end:.3g}."
            return text, burst, BURST.value
        if growth > GROWTH.value:
            text = f"The weights grew to {growth:.3g} times their size, and the loss is stuck at {course.end:.3g}."
            return text, growth, GROWTH.value
    gained = course.start - course.lowest
    beyond_luck = course.rose_again or (course.given_back > 2 * LOST.value and course.rose_by > UNLIKELY)
    lost = beyond_luck and course.given_back > LOST.value and gained > 0.1 * course.start
    if lost and (most > LONG_STEP.value or burst > BURST.value):
        text = f"The loss had fallen to {course.lowest:.3g} and lost {course.given_back:.0%} of that gain again."
        return text, course.given_back, LOST.value
    return None


def _kick(course: LossCourse, movement: Movement) -> tuple[str, float, float] | None:
    """How high the loss was thrown by long steps, if it was: a sentence, the statistic, and its limit."""
    if course.burst > KICK.value and movement.most > HURLED.value:
        return f"The loss rose to {course.burst:.3g} times that at the start.", course.burst, KICK.value
    return None


def _got_over(course: LossCourse | None) -> bool:
    """Whether the loss has fallen a good way below its start all the same."""
    return course is not None and course.fall > LITTLE.value


def _crawl(evidence: Evidence, course: LossCourse | None, movement: Movement | None) -> tuple[str, float, float] | None:
    """How slowly it goes, if it goes too slowly: a sentence, the statistic, and its limit."""
    if course is None or course.broken or course.fall > LITTLE.value or not _ripe(evidence, course):
        return None
    path = None if movement is None else movement.path
    gathers_speed = evidence.ended is None and course.straightness > 1 / BENT.value  # a saddle: it is being left
    still = course.still_falling and course.straightness > BENT.value and not gathers_speed
    if path is not None and path < SHORT_PATH.value:
        text = f"All steps together moved the weights by {path:.2g} of their size; the loss fell by {course.fall:.1%}."
        return text, path, SHORT_PATH.value
    if still and evidence.curve.steps[-1] >= FEWEST_STEPS and (path is None or path < PATH.value):
        text = (
            f"The loss falls on a straight line, by {course.fall:.0%} so far: its late slope is "
            f"{course.straightness:.2g} of the early one."
        )
        return text, course.straightness, BENT.value
    return None


def _early_valid(evidence: Evidence) -> float:
    """Highest validation loss of the first fifth of the epochs, but at least one."""
    epochs = evidence.epochs
    planned = (evidence.probe("plan") or {}).get("num_epochs")
    first = max(1, (planned if isinstance(planned, int) else len(epochs)) // 5)
    losses = [epoch.valid.get("loss") for epoch in epochs[:first] if epoch.valid is not None]
    return max((float(loss) for loss in losses if isinstance(loss, int | float)), default=0.0)


def _ripe(evidence: Evidence, course: LossCourse) -> bool:
    """Whether enough of the run is over, and the rate has not just begun to fall."""
    if evidence.ended is not None:
        return True
    planned, steps = evidence.planned_steps, evidence.curve.steps
    return planned is not None and bool(steps) and steps[-1] >= BEFORE_VERDICT * planned


def _settled(evidence: Evidence, course: LossCourse | None) -> bool:
    """Whether the run itself ended well enough, whatever a race may say."""
    return course is not None and evidence.ended is not None and not course.broken and _got_over(course)


def _times(share: float) -> str:
    return f"{1 / share:.0f} times what" if share > 0 else "much where nothing is gained by what"


def _remedy(trial: RateTrial | None, raced: bool) -> str:
    """The rate that won, where one was found."""
    if trial is None or not raced:
        return ""
    return f"Begin with a rate near {trial.lr * trial.best:.2g}, which got furthest in the race."


def _statistics(course: LossCourse | None, movement: Movement | None, trial: RateTrial | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if course is not None:
        values |= {
            "fall": course.fall,
            "given_back": course.given_back,
            "burst": course.burst,
            "straightness": course.straightness,
            "still_falling": course.still_falling,
        }
    if movement is not None:
        values |= {"path": movement.path, "most": movement.most, "growth": movement.growth}
    if trial is not None:
        values |= {"best": trial.best, "reached": trial.reached, "times": trial.times, "agreed": trial.agreed}
    return values


def _picture(evidence: Evidence, trial: RateTrial | None) -> Picture | None:
    """The race where there was one, else the loss."""
    if trial is not None:
        medians = tuple(m if math.isfinite(m) else math.nan for m in trial.medians)
        rates = tuple(f"{trial.lr * factor:.2g}" for factor in trial.factors)
        return Picture(f"loss after {trial.num_steps} steps", {"loss": medians}, rates, "peak rate")
    curve = evidence.curve
    return Picture("training loss", {"loss": curve.losses}, curve.steps) if len(curve) else None


RATE_RACE = ("rate_race", "start_race", "update_norm", "weight_norm", "loss_at_start")
CHECKS = (
    Check(
        code="O01",
        name="rate-too-high",
        question="Is the learning rate low enough for the loss to settle?",
        rule=too_high,
        when="before",
        cause="The learning rate is too high: steps leap over the valleys, or hurl the weights where nothing learns.",
        remedy="Lower the rate to a third or a tenth, or let it warm up and clip the gradients.",
        thresholds={
            "stuck": STUCK,
            "burst": BURST,
            "growth": GROWTH,
            "jolted": JOLTED,
            "lost": LOST,
            "long_step": LONG_STEP,
            "catapult": CATAPULT,
            "kick": KICK,
            "hurled": HURLED,
            "outrun": OUTRUN,
            "far_outrun": FAR_OUTRUN,
            "times_outrun": TIMES_OUTRUN,
        },
        treatments=("lower-rate", "warm-up", "clip"),
        explains=("N01", "S05", "S06", "S07", "S08", "O03", "O04", "O05", "O08", "O09", "O10", "G01", "G06", "G15"),
        reads=RATE_RACE,
    ),
    Check(
        code="O02",
        name="rate-too-low",
        question="Is the learning rate high enough to get there in the steps of the run?",
        rule=too_low,
        when="before",
        cause="The learning rate is too low for so few steps: the weights stay near where they began.",
        remedy="Raise the rate three- to tenfold, and again while that helps; or train longer.",
        thresholds={"little": LITTLE, "short_path": SHORT_PATH, "path": PATH, "bent": BENT, "crawl": CRAWL},
        treatments=("raise-rate", "longer"),
        explains=("O04", "G01", "G06", "G15"),
        reads=RATE_RACE,
    ),
)
