"""What the race of rates says: how far the run's own rate gets, beside the best of those that were tried."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from limpid.doctor.check import Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.numbers import comparable

CALIBRATED = "ours: six small tasks, three optimisers, three schedules, rates x 1/1000 to x 100"
OUTRUN = Threshold(0.5, "gain of the own rate over the best rate's", CALIBRATED, "short races flatter high rates")
FAR_OUTRUN = Threshold(0.85, "the same, where a tenth of the rate or less is best", CALIBRATED, "healthy: 0.3 or more")
TIMES_OUTRUN = Threshold(
    3.0,
    "own loss over the loss of a tenth of the rate or less, if that is best and gains 5 % more",
    "ours: sick 3.4 to 260; healthy runs have their best rate no lower than 0.3 of their own, with a ratio of 1.3",
    "gains of nearly all there is leave no room in FAR_OUTRUN",
)
FAR_LOWER = 0.11  # of the own rate
ALMOST_ALL = 0.95  # of the best gain: beyond it a loss of many times nearly nothing is nothing too


@dataclass(frozen=True)
class RateTrial:
    """The race in numbers.

    Attributes:
        lr: the run's own rate.
        best: factor of the rate that got furthest.
        reached: what the own rate gained over what the best gained, of the loss at the start; negative when it lost.
        agreed: whether the best beats the own rate with every seed.
        num_steps, num_seeds: of each of the short runs.
        factors, medians: for a picture; a median is infinite where most seeds broke down.
    """

    lr: float
    best: float
    reached: float
    agreed: bool
    num_steps: int
    num_seeds: int
    factors: tuple[float, ...]
    medians: tuple[float, ...]

    @property
    def times(self) -> float:
        """Own loss over the best rate's, at the end of the short runs: a gain is bounded by the loss there was to lose,
        this is not."""
        own, least = self.medians[self.factors.index(1.0)], min(self.medians)
        return own / least if least > 0 else math.inf


def trial_of(evidence: Evidence) -> RateTrial | None:
    """The race of this run; None where none was made, or nothing was gained by any rate."""
    probe = evidence.probe("rate_race") or evidence.probe("start_race")
    if probe is None:
        return None
    factors = [float(factor) for factor in probe.get("factors", ())]
    losses = dict(zip(factors, (comparable(row) for row in probe.get("losses", ())), strict=False))
    starts = [start for start in comparable(probe.get("starts", ())) if math.isfinite(start)]
    if 1.0 not in losses or not starts or not all(losses.values()):
        return None
    medians = {factor: statistics.median(tried) for factor, tried in losses.items()}
    best = min(sorted(medians), key=medians.__getitem__)
    start = statistics.median(starts)
    gained = start - medians[best]
    if not gained > 0:
        return None
    agreed = all(a < b for a, b in zip(losses[best], losses[1.0], strict=False))
    return RateTrial(
        lr=float(probe.get("lr") or math.nan),
        best=best,
        reached=max(-9.0, (start - medians[1.0]) / gained),
        agreed=agreed,
        num_steps=int(probe.get("num_steps") or 0),
        num_seeds=len(losses[1.0]),
        factors=tuple(sorted(medians)),
        medians=tuple(medians[factor] for factor in sorted(medians)),
    )


def lost_to_lower(trial: RateTrial) -> tuple[str, float, float] | None:
    """That a lower rate won the race by far, if it did: a sentence, the statistic, and its limit."""
    if not (trial.best < 1 and trial.agreed):
        return None
    far = trial.best < FAR_LOWER
    limit = FAR_OUTRUN.value if far else OUTRUN.value
    lower, seeds = f"{trial.lr * trial.best:.3g}", f"with each of {trial.num_seeds} seeds"
    if trial.reached < limit:
        gained = f"{max(0.0, trial.reached):.0%} of what {lower} gains"
        return f"In {trial.num_steps} steps the rate {trial.lr:.3g} gains {gained}, {seeds}.", trial.reached, limit
    if far and trial.reached < ALMOST_ALL and trial.times > TIMES_OUTRUN.value:
        behind = f"{trial.times:.1f} times the loss of {lower}, which is ahead {seeds}"
        text = f"After {trial.num_steps} steps the rate {trial.lr:.3g} stands at {behind}."
        return text, trial.times, TIMES_OUTRUN.value
    return None


def expected_steps(evidence: Evidence) -> float:
    """Updates of the whole run by its options; 1 where they are not known."""
    rows, size = evidence.spec.get("num_train"), evidence.option("training.batch_size")
    epochs, steps = evidence.option("training.epochs"), evidence.option("training.steps")
    if not (isinstance(rows, int) and isinstance(size, int) and isinstance(epochs, int) and size > 0):
        return 1.0
    num_steps = rows / size * epochs
    return float(min(num_steps, steps)) if isinstance(steps, int) else num_steps
