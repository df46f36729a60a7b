"""What the race of rates says: how far the run's own rate gets, beside the best of those that were tried."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from limpid.doctor.evidence import Evidence
from limpid.doctor.numbers import comparable


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


def expected_steps(evidence: Evidence) -> float:
    """Updates of the whole run by its options; 1 where they are not known."""
    rows, size = evidence.spec.get("num_train"), evidence.option("training.batch_size")
    epochs, steps = evidence.option("training.epochs"), evidence.option("training.steps")
    if not (isinstance(rows, int) and isinstance(size, int) and isinstance(epochs, int) and size > 0):
        return 1.0
    num_steps = rows / size * epochs
    return float(min(num_steps, steps)) if isinstance(steps, int) else num_steps
