"""Is the best of a search at the edge of what was searched? H01."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.knob_importance import Array, ranks
from limpid.record.trial_table import Range, Trial, TrialTable, active

AT_EDGE = Threshold(
    0.2,
    "distance of the best trials from the bound, as a share of the range on its scale",
    "Tuning Playbook, best trials at the boundary; the share is ours: a twentieth holds one of 25 trials",
    "simulated sweeps of 25 trials",
)
RISING = Threshold(
    4.0,
    "standard errors of the slope towards the bound, within the half of the range that lies there",
    "ours: idle knobs 0 of 300, an optimum a fifth inside 10 %, ranges that end short of it 93 to 97 %",
    "simulated sweeps",
)
FEWEST = 12  # trials of a knob below which no course over its range is seen


def best_at_edge(evidence: Evidence) -> Verdict | None:
    """Of each knob: how far the best trials lie from a bound, and whether figures still improve towards it."""
    trials = evidence.trials
    if trials is None or len(trials.ranked) < FEWEST:
        return None
    statistics_, findings = {}, []
    for knob in trials.knobs:
        seen = _towards_bound(trials, knob)
        if seen is None:
            continue
        statistics_[knob.path] = seen
        zero = knob.kind == "linear" and knob.low == 0.0 and seen["side"] == "low"
        if seen["distance"] <= AT_EDGE.value and seen["rising"] >= RISING.value and not zero:
            findings.append(_edge(trials, knob, seen))
    return Verdict(statistics_, tuple(findings))


def _towards_bound(trials: TrialTable, knob: Range) -> dict[str, Any] | None:
    """Side of the best tenth (three at least), its distance from the bound, and the slope towards it."""
    mine = active(trials.ranked, knob.path)
    places = ordered_places(mine, knob)
    if places is None or len(mine) < FEWEST:
        return None
    u_N = np.array(places)
    y_N = np.array([trials.goodness(trial.figure) for trial in mine])
    best = u_N[: max(3, -(-len(mine) // 10))]
    side = "high" if np.median(best) > 0.5 else "low"
    off_N = 1.0 - u_N if side == "high" else u_N
    distance = float(np.median(np.sort(off_N[: len(best)])))
    near = off_N <= 0.5
    return {"side": side, "distance": distance, "rising": _slope(-off_N[near], ranks(y_N[near])), "trials": len(mine)}


def ordered_places(mine: Sequence[Trial], knob: Range) -> list[float] | None:
    """Places of the trials from 0 to 1; those of numbers to choose from by their order. None for what has no order."""
    if knob.is_number:
        places = [knob.place(trial.params[knob.path]) for trial in mine]
        return None if None in places else [place for place in places if place is not None]
    values = sorted({v for v in knob.choices if isinstance(v, int | float) and not isinstance(v, bool)})
    if len(values) != len(knob.choices) or len(values) < 3:
        return None
    rank = {value: i / (len(values) - 1) for i, value in enumerate(values)}
    return [rank[trial.params[knob.path]] for trial in mine if trial.params[knob.path] in rank] or None


def _slope(x_N: Array, y_N: Array) -> float:
    """Slope of a straight line in its standard errors; 0 where there is none to speak of."""
    if len(x_N) < 5 or x_N.std() == 0.0 or y_N.std() == 0.0:
        return 0.0
    dx, dy = x_N - x_N.mean(), y_N - y_N.mean()
    slope = float(dx @ dy / (dx @ dx))
    left = float(((dy - slope * dx) ** 2).sum()) / (len(x_N) - 2)
    return slope / math.sqrt(max(left, 1e-12) / float(dx @ dx))


def _edge(trials: TrialTable, knob: Range, seen: dict[str, Any]) -> Finding:
    high = seen["side"] == "high"
    mine = active(trials.ranked, knob.path)
    count = max(3, -(-len(mine) // 10))
    places = ordered_places(mine, knob) or []
    there = [i for i in range(count) if abs(places[i] - high) <= AT_EDGE.value]
    values = sorted(mine[i].params[knob.path] for i in there)
    if knob.is_number:
        bound = knob.high if high else knob.low
        low, high_ = extended(knob, seen["side"])
        remedy = f"{knob.path}: extend to {low:g}..{high_:g} (now {knob.low:g}..{knob.high:g})."
    else:
        bound = max(knob.choices) if high else min(knob.choices)
        remedy = f"{knob.path}: offer values {'above' if high else 'below'} {bound:g} as well."
    return Finding(
        level="warning",
        where=knob.path,
        symptom=f"Of the best {count} of {len(mine)} trials {len(there)} have {knob.path} from {values[0]:.3g} to "
        f"{values[-1]:.3g}, and {trials.metric} still improves towards the bound, {bound:g}.",
        value=seen["distance"],
        threshold=AT_EDGE.value,
        n=len(mine),
        remedy=remedy,
    )


def extended(knob: Range, side: str) -> tuple[float, float]:
    """Bounds that reach further on one side: by ten times on a log scale, by half the width on another.

    A range that reaches 0 on a linear scale ends there.
    """
    if knob.on_log:
        low, high = (knob.low / 10, knob.high) if side == "low" else (knob.low, knob.high * 10)
    else:
        half = (knob.high - knob.low) / 2
        low, high = (knob.low - half, knob.high) if side == "low" else (knob.low, knob.high + half)
        low = max(low, 0.0) if knob.low >= 0 else low
    if knob.kind == "whole":
        low, high = max(1.0, math.floor(low)) if knob.low >= 1 else math.floor(low), math.ceil(high)
    return float(f"{low:.4g}"), float(f"{high:.4g}")


CHECKS = (
    Check(
        code="H01",
        name="best-at-the-edge",
        question="Does the best lie inside the ranges that were searched?",
        rule=best_at_edge,
        when="during",
        cause="The range ends before the best value does.",
        remedy="Extend the range on that side, and search again.",
        thresholds={"at_edge": AT_EDGE, "rising": RISING},
        explains=("H02", "H03"),
        scope="search",
    ),
)
