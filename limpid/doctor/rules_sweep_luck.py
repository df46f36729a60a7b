"""What can be believed of a search: H03 is the winner luck; H08 which knobs mattered."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.knob_importance import FEWEST, Importance, importances
from limpid.record.trial_table import Finalist, Trial, TrialTable, active

ABOVE_LUCK = Threshold(
    2.0,
    "gain of the finalists' mean over the middle trial, in its standard errors from seed to seed",
    "two standard errors",
    "few seeds",
)
ABOVE_SEEDS = Threshold(
    2.0,
    "spread of all trials (middle half, as a deviation) over the deviation from seed to seed",
    "ours: knobs that do nothing come to 0.6 to 1.6",
    "simulated sweeps with three seeds of three finalists",
)
NO_MATTER = Threshold(
    0.1, "upper end of what a knob explains of the differences between trials", "ours", "interactions are not seen"
)
ENOUGH = 20  # trials from which on a knob that explains nothing is worth a word


def winner_by_luck(evidence: Evidence) -> Verdict | None:
    """Gain of the winner over the middle trial, spread of trials over spread of seeds, and its lead over the next."""
    trials = evidence.trials
    if trials is None or trials.winner is None:
        return None
    deviation = seed_deviation(trials.finalists)
    fresh = [figure for one in trials.finalists for figure in one.figures]
    if deviation is None:
        return None
    figures = [trials.goodness(trial.figure) for trial in trials.searched if math.isfinite(trial.figure)]
    low, middle, high = np.quantile(figures, [0.25, 0.5, 0.75])
    gain = trials.goodness(sum(fresh) / len(fresh)) - float(middle)
    error = deviation * math.sqrt(1 / len(fresh) + 1.57 / len(figures))  # a median's variance is pi/2 that of a mean
    spread = float(high - low) / 1.349
    numbers: dict[str, Any] = {"gain": gain, "seed_deviation": deviation, "spread": spread, "seeds": len(fresh)}
    numbers |= {"lead": trials.winner.get("lead"), "lead_interval": trials.winner.get("lead_interval")}
    if gain < ABOVE_LUCK.value * error and spread < ABOVE_SEEDS.value * deviation:
        than = f"{gain:.2g} better" if gain > 0 else "no better"
        text = (
            f"From {len(fresh)} fresh seeds the finalists are {than} than the middle trial, and seeds alone "
            f"move a trial by {deviation:.2g}: what these knobs do is lost in the luck of seeds."
        )
        return Verdict(numbers, (_luck("warning", text, gain / max(error, 1e-12), ABOVE_LUCK.value, len(figures)),))
    if trials.winner.get("tied"):
        lead, (least, most) = trials.winner["lead"], trials.winner["lead_interval"]
        second = f"trial {trials.winner.get('second')}"
        text = (
            f"The winner and {second} have the same mean over fresh seeds."
            if lead == 0
            else (
                f"The winner leads {second} by {abs(lead):.2g} in {trials.metric}, with a 95 % "
                f"interval from {least:.2g} to {most:.2g}: the two cannot be told apart."
            )
        )
        remedy = "Take either: the cheaper, or the one in the middle of the space; or give the finalists more seeds."
        return Verdict(numbers, (_luck("note", text, abs(lead), (most - least) / 2, len(fresh), remedy),))
    return Verdict(numbers)


def seed_deviation(finalists: tuple[Finalist, ...]) -> float | None:
    """Deviation of a figure from seed to seed, pooled over the finalists; None where none has two seeds."""
    squares, freedom = 0.0, 0
    for one in finalists:
        squares += sum((figure - one.mean) ** 2 for figure in one.figures)
        freedom += max(len(one.figures) - 1, 0)
    return math.sqrt(squares / freedom) if freedom else None


def _luck(level: Any, text: str, value: float, limit: float, n: int, remedy: str = "") -> Finding:
    return Finding(level=level, symptom=text, value=value, threshold=limit, n=n, remedy=remedy)


def knobs_that_matter(evidence: Evidence) -> Verdict | None:
    """Share of the differences between trials that each knob explains, with its interval."""
    trials = evidence.trials
    if trials is None or not trials.knobs or len(trials.ranked) < FEWEST:
        return None
    found = importances(trials)
    numbers = {one.knob: {"share": one.share, "low": one.low, "high": one.high, "trials": one.trials} for one in found}
    asked = {knob.path: len(active(trials.ranked, knob.path)) for knob in trials.knobs if knob.kind != "pattern"}
    unseen = {path: count for path, count in asked.items() if count < FEWEST}
    numbers |= {path: {"trials": count} for path, count in unseen.items()}
    findings = [_idle(found, trials)] if len(trials.ranked) >= ENOUGH else []
    findings += [_seldom(path, count, trials) for path, count in unseen.items()]
    return Verdict(numbers, tuple(finding for finding in findings if finding is not None))


def _idle(found: tuple[Importance, ...], trials: TrialTable) -> Finding | None:
    """Knobs that surely explain next to nothing, beside one that surely matters."""
    idle = [one for one in found if one.high < NO_MATTER.value]
    if not idle or not any(one.sure for one in found):
        return None
    picture = Picture(
        "least that each knob explains of the differences between trials",
        {"share": tuple(max(one.share, 0.0) for one in found)},
        tuple(one.knob for one in found),
    )
    names = ", ".join(one.knob for one in idle)
    best: Trial | None = trials.best_trial
    values = "; ".join(
        f"{one.knob} = {_told(best.params[one.knob])}" for one in idle if best and one.knob in best.params
    )
    return Finding(
        level="note",
        symptom=f"{names}: each explains less than {max(one.high for one in idle):.0%} of the differences between "
        f"trials; {found[0].knob} explains {found[0].low:.0%} to {found[0].high:.0%}.",
        value=max(one.high for one in idle),
        threshold=NO_MATTER.value,
        n=found[0].trials,
        remedy=f"Hold still what does not matter ({values}), and spend the trials on the rest.",
        picture=picture,
    )


def _told(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _seldom(path: str, count: int, trials: TrialTable) -> Finding:
    return Finding(
        level="note",
        where=path,
        symptom=f"{path} was asked for in {count} of {len(trials.ranked)} finished trials: how much it matters was not "
        "measured, which does not say that it does not.",
        value=float(count),
        threshold=float(FEWEST),
        n=count,
        sure="suspected",
        cause="It depends on the value of another knob, which was seldom drawn.",
        remedy="Search among the values of the other knob with which it is asked, or give more trials.",
    )


CHECKS = (
    Check(
        code="H03",
        name="winner-by-luck",
        question="Is the winner better than luck with its seed?",
        rule=winner_by_luck,
        when="after",
        cause="Differences between trials are no larger than those between seeds.",
        remedy="Search other knobs or wider ranges; until then the defaults are as good.",
        thresholds={"above_luck": ABOVE_LUCK, "above_seeds": ABOVE_SEEDS},
        scope="search",
    ),
    Check(
        code="H08",
        name="knob-importance",
        question="Which knobs matter, and which could be held still?",
        rule=knobs_that_matter,
        when="during",
        cause="Some knobs do nothing within the range that was searched.",
        remedy="Hold them still, and spend the trials on the rest.",
        thresholds={"no_matter": NO_MATTER},
        scope="search",
    ),
)
