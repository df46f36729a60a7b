"""The course of the training loss in numbers, and its shape in a word.

    L0      loss before the first step
    L_1..n  losses of single steps as recorded, with the rate lr_t of each
    S_t     sum of lr up to step t over that of all recorded steps: how far the rate has carried, 0 to 1
    bins    means of 20 stretches of equally many losses

Against S instead of t a schedule does not bend the course: while the rate is too low for the loss to bend, the loss is
a straight line in S, whether the rate is constant, warmed up or annealed to zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from limpid.doctor.evidence import Evidence

Shape = Literal["low", "good", "high", "very high"]

NUM_BINS = 20
FEWEST = 20  # losses; fewer have no shape
STRAIGHT = 0.4  # slope of the late course over that of the early one; falling exponentially to a tenth gives 0.13
FALLING = -3.0  # slope over its standard error
RISING = 4.0  # difference over its standard error; the lowest of 20 means is two of them below by luck alone
UNLIKELY = 2.5  # the same, where what was lost again is much
STUCK = 0.5  # of the start loss, at which a course ends that has stopped falling
BURST = 2.0  # times the start loss
EARLY = 0.25  # of the planned steps
ANNEALED = 0.5  # of the highest rate


@dataclass(frozen=True)
class LossCourse:
    """Numbers of one course; losses in the unit of the loss, all else without unit.

    Attributes:
        num: of losses.
        start: L0.
        bins: means of stretches.
        broken: the run ended with a loss that is no number.
        early, late: slopes of the loss against S, for S below a third and above a half.
        early_error, late_error: their standard errors.
        noise: standard deviation of the late losses around their line.
        highest: the third largest of the losses: a single odd batch or two do not count.
    """

    num: int
    start: float
    bins: tuple[float, ...]
    broken: bool
    early: float
    early_error: float
    late: float
    late_error: float
    noise: float
    highest: float

    @property
    def end(self) -> float:
        """Mean of the last tenth."""
        return sum(self.bins[-2:]) / len(self.bins[-2:])

    @property
    def lowest(self) -> float:
        return min(self.bins)

    @property
    def burst(self) -> float:
        """Highest loss over the start loss."""
        return self.highest / self.start

    @property
    def fall(self) -> float:
        """Share of the start loss that is gone at the end."""
        return 1 - self.end / self.start

    @property
    def given_back(self) -> float:
        """(end - lowest) / (start - lowest): the share of what had been gained that was lost again."""
        gained = self.start - self.lowest
        return (self.end - self.lowest) / gained if gained > 0 else 0.0

    @property
    def rose_by(self) -> float:
        """How far the end is above the lowest stretch, in standard errors of that difference by the luck of batches."""
        rows = max(1, self.num // NUM_BINS)
        error = self.noise * math.sqrt(1.5 / rows)
        if self.end <= self.lowest:
            return 0.0
        return (self.end - self.lowest) / error if error > 0 else math.inf

    @property
    def rose_again(self) -> bool:
        """Whether the end is above the lowest stretch by more than the luck of the batches, of 20 stretches."""
        return self.rose_by > RISING

    @property
    def straightness(self) -> float:
        """Late slope over early slope: 1 for a straight line, near 0 for a course that has flattened out."""
        return self.late / self.early if self.early < 0 else math.nan

    @property
    def still_falling(self) -> bool:
        """Whether the late slope is negative beyond its own noise."""
        return self.late < FALLING * self.late_error


def course_of(evidence: Evidence) -> LossCourse | None:
    """The course of a run so far; None where too few losses are recorded, or the loss is not a positive one."""
    curve = evidence.curve
    probe = evidence.probe("loss_at_start") or {}
    known = probe.get("loss")
    start = known if isinstance(known, int | float) else None
    return read_course(curve.losses, curve.lrs, curve.steps, start=start, broken=is_broken(evidence))


def read_course(
    losses: Sequence[float],
    lrs: Sequence[float] = (),
    steps: Sequence[int] = (),
    *,
    start: float | None = None,
    broken: bool = False,
) -> LossCourse | None:
    """The numbers of a course.

    Args:
        losses: of single steps, oldest first; NaN and infinite ones are left out and make the course a broken one.
        lrs: rate of each; left out: constant.
        steps: number of each; left out: 1, 2, 3 ...
        start: loss before the first step, if it was measured on more than the first batch.
        broken: the run ended with a loss that is no number.

    Returns None for fewer than 20 finite losses, or where the first is not positive: all numbers are relative to it.
    """
    lrs = lrs if len(lrs) == len(losses) and all(map(math.isfinite, lrs)) else [1.0] * len(losses)
    steps = steps if len(steps) == len(losses) else range(1, len(losses) + 1)
    rows = [(loss, lr, step) for loss, lr, step in zip(losses, lrs, steps, strict=True) if math.isfinite(loss)]
    broken = broken or len(rows) < len(losses)
    if len(rows) < FEWEST:
        return None
    first = start if start is not None and math.isfinite(start) else rows[0][0]
    if first <= 0:
        return None
    finite = [loss for loss, _, _ in rows]
    gaps = [rows[0][2], *(later[2] - earlier[2] for earlier, later in zip(rows, rows[1:], strict=False))]
    carried = list(accumulate(lr * gap for (_, lr, _), gap in zip(rows, gaps, strict=True)))
    whole = carried[-1] if carried[-1] > 0 else 1.0
    spans = [s / whole for s in carried]
    early, early_error, _ = _line(*_part(spans, finite, 0.0, 1 / 3))
    late, late_error, noise = _line(*_part(spans, finite, 0.5, 1.0))
    edges = [round(i * len(finite) / NUM_BINS) for i in range(NUM_BINS + 1)]
    bins = tuple(sum(finite[a:b]) / (b - a) for a, b in zip(edges, edges[1:], strict=False))
    return LossCourse(len(finite), first, bins, broken, early, early_error, late, late_error, noise, sorted(finite)[-3])


def is_broken(evidence: Evidence) -> bool:
    """Whether the run ended with a loss that is no number."""
    ended = evidence.ended or {}
    return ended.get("status") == "failed" and "NaN" in str(ended.get("reason", ""))


def is_past_peak(evidence: Evidence) -> bool:
    """Whether a rise of the loss can be held against the run: it is over, or the rate has left its peak or is constant.

    At the peak of a cycle and after a restart the loss rises for a while in healthy runs too.
    """
    rates = [lr for lr in evidence.curve.lrs if math.isfinite(lr)]
    if evidence.ended is not None or not rates:
        return evidence.ended is not None
    planned, steps = evidence.planned_steps, evidence.curve.steps
    recent = rates[-max(1, len(rates) // 5) :]
    constant = max(recent) <= 1.01 * min(recent)
    far = planned is not None and steps[-1] >= EARLY * planned
    return far and (constant or rates[-1] < ANNEALED * max(rates))


def shape_of(course: LossCourse) -> Shape:
    """The shape of a training loss by learning rate, as Karpathy draws the four in CS231n.

    low: falls on a straight line to the end; very high: leaves the start upwards; high: stops falling far above zero,
    or gives back what it had gained; good: falls fast, then ever more slowly.
    """
    if course.broken or course.end > BURST * course.start:
        return "very high"
    if course.still_falling and course.straightness > STRAIGHT:
        return "low"
    if course.end > STUCK * course.start or course.given_back > STUCK:
        return "high"
    return "good"


def _part(spans: Sequence[float], losses: Sequence[float], low: float, high: float) -> tuple[list[float], list[float]]:
    chosen = [(s, loss) for s, loss in zip(spans, losses, strict=True) if low <= s <= high]
    return [s for s, _ in chosen], [loss for _, loss in chosen]


def _line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Slope of the least-squares line, its standard error, and the standard deviation around it."""
    n = len(x)
    if n < 3:
        return 0.0, math.inf, 0.0
    x_mean, y_mean = math.fsum(x) / n, math.fsum(y) / n
    spread = math.fsum((a - x_mean) ** 2 for a in x)
    if spread == 0:
        return 0.0, math.inf, 0.0
    slope = math.fsum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True)) / spread
    rest = math.fsum((b - y_mean - slope * (a - x_mean)) ** 2 for a, b in zip(x, y, strict=True)) / (n - 2)
    return slope, math.sqrt(rest / spread), math.sqrt(rest)
