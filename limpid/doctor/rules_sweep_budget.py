"""Were trials trained for the right time? H05 does the pruner end late bloomers; H06 is the budget of epochs right."""

from __future__ import annotations

import math
import statistics

import numpy as np

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.knob_importance import Array, ranks
from limpid.record.trial_table import Trial, TrialTable

FORETELLS = Threshold(
    0.3,
    "rank correlation of the figures when trials were let go and at the end, among those that went on",
    "ours",
    "only those that went on are seen, and among these the correlation is lower",
)
SURELY_LOW = Threshold(
    0.6,
    "upper end of its 95 % interval (Fisher's z)",
    "ours: early figures that tell nothing, ten trials",
    "few trials",
)
SOON = Threshold(
    0.1,
    "share of the planned epochs after which the best trials are at their best",
    "ours",
    "early stopping saves most",
)
LATE = Threshold(
    0.75, "share of the planned epochs after which the best trials are at their best", "Tuning Playbook",
    "under a rate that falls to zero the best epoch is always late"
)  # fmt: skip
STILL_RISING = Threshold(
    0.05, "gain of the last quarter of the epochs, as a share of the gain so far", "ours", "noise of the figures"
)
FEWEST = 8  # trials behind a correlation
FEWEST_EPOCHS = 10  # of a plan, of which a tenth can be told
STEADY = ("constant", "plateau", "inverse_sqrt", "step", "multistep")  # schedules that do not end a run by themselves


def pruner_too_early(evidence: Evidence) -> Verdict | None:
    """Rank correlation between the figure at the epoch at which trials were let go and the one they end with."""
    trials = evidence.trials
    if trials is None:
        return None
    let_go = [trial for trial in trials.searched if trial.state == "pruned" and "time was over" not in trial.reason]
    if not let_go:
        return None
    epoch = statistics.mode(trial.epochs for trial in let_go)
    pairs = [(dict(trial.curve)[epoch], trial) for trial in trials.ranked if epoch in dict(trial.curve)]
    pairs = [(early, trial) for early, trial in pairs if math.isfinite(early)]
    if len(pairs) < FEWEST:
        return None
    early = np.array([trials.goodness(figure) for figure, _ in pairs])
    end = np.array([trials.goodness(trial.figure) for _, trial in pairs])
    correlation = _correlation(ranks(early), ranks(end))
    high = math.tanh(math.atanh(min(correlation, 0.999)) + 1.645 / math.sqrt(len(pairs) - 3))
    numbers = {"correlation": correlation, "high": high, "epoch": epoch, "let_go": len(let_go), "trials": len(pairs)}
    if correlation >= FORETELLS.value or high >= SURELY_LOW.value:
        return Verdict(numbers)
    longest = max(trial.epochs for _, trial in pairs)
    text = (
        f"{len(let_go)} trials were let go, most after epoch {epoch} of {longest}, where figures foretell little: rank "
        f"correlation with the end {correlation:.2f} in the {len(pairs)} trials that went on."
    )
    later = min(longest, max(epoch + 1, math.ceil(longest / 2)))
    finding = Finding(
        level="warning",
        symptom=text,
        value=correlation,
        threshold=FORETELLS.value,
        n=len(pairs),
        remedy=f"Let no trial go before epoch {later}, or search without a pruner (--pruner none).",
    )
    return Verdict(numbers, (finding,))


def budget_misset(evidence: Evidence) -> Verdict | None:
    """Share of the planned epochs after which the best trials (a fifth, five at least) are at their best."""
    trials = evidence.trials
    if trials is None:
        return None
    best = trials.ranked[: max(5, len(trials.ranked) // 5)]
    planned = [(trial, trials.planned_epochs(trial)) for trial in best]
    planned = [(trial, epochs) for trial, epochs in planned if epochs >= FEWEST_EPOCHS and trial.best_epoch]
    if len(planned) < 3:
        return None
    share = statistics.median(trial.best_epoch / epochs for trial, epochs in planned)
    gain = statistics.median(_late_gain(trials, trial) for trial, _ in planned)
    steady = trials.option("optim.schedule") in STEADY
    epochs = round(statistics.median(epochs for _, epochs in planned))
    numbers = {"share": share, "late_gain": gain, "steady": steady, "epochs": epochs, "trials": len(planned)}
    at = round(statistics.median(trial.best_epoch for trial, _ in planned))
    if share < SOON.value:
        text = f"The best trials are at their best after epoch {at} of {epochs}, and what follows makes them worse."
        remedy = f"Plan about {max(2, 3 * at)} epochs, under which the rate falls in time; or lower the rate."
        return Verdict(numbers, (_misset(text, share, SOON, len(planned), remedy),))
    if share > LATE.value and steady and gain > STILL_RISING.value:
        text = (
            f"The best trials are at their best after epoch {at} of {epochs}, at a rate that does not fall; the last "
            f"quarter still brought {gain:.0%} of all that they gained."
        )
        remedy = f"Plan {2 * epochs} epochs, or let the rate fall towards the end (optim.schedule = cosine)."
        return Verdict(numbers, (_misset(text, share, LATE, len(planned), remedy),))
    return Verdict(numbers)


def _late_gain(trials: TrialTable, trial: Trial) -> float:
    """Best figure of all over the best of the first three quarters, as a share of the gain since the first epoch."""
    figures = [trials.goodness(figure) for _, figure in trial.curve if math.isfinite(figure)]
    if len(figures) < 4:
        return 0.0
    whole, earlier = max(figures) - figures[0], max(figures[: max(1, (3 * len(figures)) // 4)])
    return (max(figures) - earlier) / whole if whole > 0 else 0.0


def _misset(text: str, value: float, limit: Threshold, n: int, remedy: str) -> Finding:
    return Finding(level="warning", symptom=text, value=value, threshold=limit.value, n=n, remedy=remedy)


def _correlation(one: Array, other: Array) -> float:
    """Pearson's; 0 where one of them does not vary."""
    if one.std() == 0.0 or other.std() == 0.0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


CHECKS = (
    Check(
        code="H05",
        name="pruner-too-early",
        question="Do the figures by which trials were let go foretell how they would have ended?",
        rule=pruner_too_early,
        when="during",
        cause="Trials that begin slowly end well here, and the pruner decides before they can.",
        remedy="Let trials go later, or search without a pruner.",
        thresholds={"foretells": FORETELLS, "surely_low": SURELY_LOW},
        explains=("H01", "H03"),
        scope="search",
    ),
    Check(
        code="H06",
        name="budget-misset",
        question="Were trials trained for about as long as the best of them need?",
        rule=budget_misset,
        when="during",
        cause="The epochs of a trial do not fit what it learns in them.",
        remedy="Plan fewer or more epochs.",
        thresholds={"soon": SOON, "late": LATE, "still_rising": STILL_RISING},
        scope="search",
    ),
)
