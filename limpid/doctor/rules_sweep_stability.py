"""Does training break down beside the best rate of a search? H04."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.record.trial_table import Range, Trial, TrialTable, active

CLOSE = Threshold(
    0.5,
    "decades between the best rate and those at which training breaks down",
    "Tuning Playbook, best rate at the edge of the infeasible; the distance is ours: a factor of 3",
    "the edge is known to the spacing of the trials",
)
SPLIT = Threshold(
    0.9,
    "chance that of a trial that broke down and one that did not, the former had the higher rate",
    "ours: breakdowns at random come to 0.5",
    "few breakdowns",
)
FEW_BROKEN = 2  # breakdowns that may be chance
RATES = ("optim.lr",)


def stability_limits(evidence: Evidence) -> Verdict | None:
    """Decades between the best rates and those at which training breaks down, where that is a matter of the rate."""
    trials = evidence.trials
    if trials is None or len(trials.ranked) < 3:
        return None
    found = failing_side(trials)
    if found is None:
        broken = sum(trial_broke(trial) for trial in trials.searched)
        return Verdict({"broken": broken}) if any(knob.path in RATES for knob in trials.knobs) else None
    knob, edge, split = found
    best = statistics.median(trial.params[knob.path] for trial in active(trials.ranked, knob.path)[:3])
    gap = math.log10(edge / best)
    numbers = {"decades": gap, "split": split, "edge": edge, "best": best}
    if gap > CLOSE.value:
        return Verdict(numbers)
    text = f"The best trials have {knob.path} near {best:.2g}, and from about {edge:.2g} on training breaks down."
    finding = Finding(
        level="warning", where=knob.path, symptom=text, value=gap, threshold=CLOSE.value, n=len(trials.searched)
    )
    return Verdict(numbers, (finding,))


def trial_broke(trial: Trial) -> bool:
    """Whether its loss became NaN or infinite."""
    return trial.state == "failed" and any(word in trial.reason for word in ("NaN", "infinite", "never a number"))


def failing_side(trials: TrialTable) -> tuple[Range, float, float] | None:
    """The rate, the value above which training breaks down or learns nothing, and how cleanly that divides; or None."""
    for knob in trials.knobs:
        if knob.path not in RATES:
            continue
        mine = [trial for trial in trials.searched if isinstance(trial.params.get(knob.path), int | float)]
        learned = (trial for trial in active(trials.ranked, knob.path) if trials.has_learned(trial))
        best = next((trial.params[knob.path] for trial in learned), math.inf)
        lost = [trial for trial in mine if trial.has_figure and not trials.has_learned(trial)]
        above = [trial for trial in lost if trial.params[knob.path] > best]  # those below it learn too slowly
        broken = sorted(trial.params[knob.path] for trial in (*filter(trial_broke, mine), *above))
        ended = [trial for trial in mine if trial.state in ("finished", "pruned") and trial not in lost]
        sound = sorted(trial.params[knob.path] for trial in ended)
        if len(broken) < FEW_BROKEN or not sound:
            continue
        pairs = [(one > other) + 0.5 * (one == other) for one in broken for other in sound]
        split = sum(pairs) / len(pairs)
        if split >= SPLIT.value:
            return knob, _edge_between(sound, broken), split
    return None


def _edge_between(sound: Sequence[float], broken: Sequence[float]) -> float:
    """The threshold that misplaces fewest trials; the geometric middle of the rates around it."""
    rates = sorted({*sound, *broken})
    cuts = [math.sqrt(a * b) for a, b in zip(rates, rates[1:], strict=False)] or [rates[0]]
    return min(cuts, key=lambda cut: sum(rate > cut for rate in sound) + sum(rate < cut for rate in broken))


CHECKS = (
    Check(
        code="H04",
        name="stability-limits",
        question="Is the best rate away from those at which training breaks down?",
        rule=stability_limits,
        when="during",
        cause="Higher rates would be better still, but training does not survive them.",
        remedy="Make training stable, then search the rate again: optim.warmup 0..0.2, optim.clip_norm 0.1..10 (log), "
        "or normalisation in the network.",
        thresholds={"close": CLOSE, "split": SPLIT},
        scope="search",
    ),
)
