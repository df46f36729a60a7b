"""Was the space of a search covered? H02 too few trials, or few that can work; H07 batch sizes at one rate."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.rules_sweep_stability import RATES, failing_side
from limpid.record.trial_table import TrialTable, key_of

LIKELY_BEST = Threshold(
    0.2,
    "share of the space: the best trial is likely (95 %) to lie in the best so much of it",
    "1 - 0.05^(1/n) for n trials at random; a fifth is what 14 trials come to",
    "samplers that learn do better",
)
FEASIBLE = Threshold(
    0.5, "share of trials that ended better than knowing nothing", "ours", "a space that is half barren can be meant"
)
SPREAD = Threshold(
    4.0, "largest over smallest batch size", "ours: the best rate moves by 2 to 4 with it", "by linear or root scaling"
)
FEWEST = 8  # trials of which a share says something
RELATED = ("optim.weight_decay", "model.dropout", "regularize.l2", "objective.label_smoothing")
BATCH = "training.batch_size"


def under_sampled(evidence: Evidence) -> Verdict | None:
    """1 - 0.05^(1/n), the share of the space that the best of n trials is likely among; and how many ended well."""
    trials = evidence.trials
    if trials is None or not trials.searched:
        return None
    done = len(trials.ranked)
    tried = [trial for trial in trials.searched if trial.state != "pruned"]
    share = 1 - 0.05 ** (1 / done) if done else 1.0
    sound = [trial for trial in tried if trials.has_learned(trial)]
    feasible = len(sound) / len(tried) if tried else 1.0
    numbers = {"trials": len(trials.searched), "finished": done, "likely_best": share, "feasible": feasible}
    if not trials.ended or _exhausted(trials):
        return Verdict(numbers)
    judged = done + sum(trial.state == "pruned" for trial in trials.searched)  # a pruned trial was looked at too
    likely = 1 - 0.05 ** (1 / judged) if judged else 1.0
    findings = []
    if len(tried) >= FEWEST and feasible < FEASIBLE.value:
        lost = [trial for trial in tried if trial not in sound]
        reason = statistics.mode("they learned nothing." if t.has_figure else _short(t.reason) for t in lost)
        text = f"{len(lost)} of {len(tried)} trials failed, or ended no better than knowing nothing; most: {reason}"
        findings.append(_warning(text, feasible, FEASIBLE, len(tried), remedy=_where_they_fail(trials)))
    elif likely > LIKELY_BEST.value:
        count, knobs = f"{judged} trial{'s' * (judged != 1)}", len(trials.knobs)
        text = (
            f"{count} of {knobs} knob{'s' * (knobs != 1)} are likely to reach but the best {likely:.0%} of the space."
        )
        findings.append(
            _warning(text, likely, LIKELY_BEST, judged, remedy="Go on with more trials (25 reach the best 11 %), or "
                     "search fewer knobs.")
        )  # fmt: skip
    return Verdict(numbers, tuple(findings))


def _exhausted(trials: TrialTable) -> bool:
    """Whether every combination of a small space was tried."""
    counts = [len(knob.choices) if knob.kind == "choice" else knob.high - knob.low + 1 for knob in trials.knobs]
    if not trials.knobs or any(knob.kind not in ("choice", "whole") for knob in trials.knobs):
        return False
    return len({key_of(trial.params) for trial in trials.searched}) >= math.prod(counts)


def _where_they_fail(trials: TrialTable) -> str:
    rate = failing_side(trials)
    if rate is not None:
        return f"{rate[0].path}: end below {rate[1]:.2g}, above which training breaks down."
    return "Read the reasons in the table of trials, and take what cannot work out of the space."


def _short(reason: str) -> str:
    """The first sentence of a reason, without numbers of steps."""
    sentence = reason.split(". ")[0].rstrip(".")
    return (sentence.split(" after step")[0] or "no reason was given") + "."


def _warning(text: str, value: float, limit: Threshold, n: int, *, remedy: str = "", where: str = "") -> Finding:
    return Finding(level="warning", symptom=text, value=value, threshold=limit.value, n=n, remedy=remedy, where=where)


def batch_untuned(evidence: Evidence) -> Verdict | None:
    """Largest over smallest batch size of a search, and whether rate and regularisation were searched beside it."""
    trials = evidence.trials
    if trials is None or not trials.knobs:
        return None
    knob = next((knob for knob in trials.knobs if knob.path == BATCH), None)
    if knob is None:
        return Verdict({"spread": 1.0})
    sizes = [float(size) for size in knob.choices if isinstance(size, int | float)] or [knob.low, knob.high]
    spread = max(sizes) / max(min(sizes), 1.0)
    paths = {other.path for other in trials.knobs}
    rate, regular = bool(paths & set(RATES)), bool(paths & set(RELATED))
    numbers = {"spread": spread, "rate": rate, "regularisation": regular}
    if spread < SPREAD.value or (rate and regular):
        return Verdict(numbers)
    held = "one learning rate" if not rate else "one strength of regularisation"
    text = f"Batches of {min(sizes):g} to {max(sizes):g} rows were compared at {held}."
    wanted = ["optim.lr"] * (not rate) + ["optim.weight_decay"] * (not regular)
    remedy = f"Search {' and '.join(wanted)} beside it, on a log scale around the value that was used."
    finding = _warning(text, spread, SPREAD, len(trials.searched), where=BATCH, remedy=remedy)
    return Verdict(numbers, (replace(finding, level="note") if rate else finding,))


CHECKS = (
    Check(
        code="H02",
        name="space-under-sampled",
        question="Were there enough trials, and could enough of them work?",
        rule=under_sampled,
        when="during",
        cause="The space is larger than so few trials can cover.",
        remedy="Go on with more trials, or search fewer knobs.",
        thresholds={"likely_best": LIKELY_BEST, "feasible": FEASIBLE},
        explains=("H08",),
        scope="search",
    ),
    Check(
        code="H07",
        name="batch-untuned",
        question="Was the rate searched beside the batch size?",
        rule=batch_untuned,
        when="before",
        cause="The best rate and decay depend on the batch size: at one rate, sizes are not compared on equal terms.",
        remedy="Search optim.lr beside it.",
        thresholds={"spread": SPREAD},
        scope="search",
    ),
)
