"""The course of the learning rate: pure functions from the number of finished steps to a multiplier of the peak.

Step 0 is the first update, step T - 1 the last. A warm-up holds any course down during the first W steps; the courses
that fall over the whole run start to fall after it. The courses themselves stand in decays.py, cycles.py, plateau.py.
"""

from __future__ import annotations

from collections.abc import Callable

from limpid.catalogue.schedules import SCHEDULES
from limpid.config import OptimConfig

Schedule = Callable[[int], float]


def build_schedule(config: OptimConfig, *, num_steps: int, steps_per_epoch: int) -> Schedule:
    """The configured schedule over `num_steps` updates, as a function of the step."""
    assert config.schedule != "auto" and config.warmup is not None, "defaults.py resolves schedule and warm-up"
    part = SCHEDULES.find(config.schedule)
    schedule: Schedule = part.load()(
        num_steps=num_steps,
        steps_per_epoch=steps_per_epoch,
        warmup=config.warmup,
        **part.accept(config.options, "optim"),
    )
    return schedule


def build_constant(*, num_steps: int, steps_per_epoch: int, warmup: float) -> Schedule:
    return with_warmup(constant, round(warmup * num_steps))


def constant(step: int) -> float:
    """1 at every step."""
    return 1.0


def with_warmup(schedule: Schedule, warmup_steps: int) -> Schedule:
    """The schedule, held down to (step + 1) / W of itself during the first W steps.

    >>> [with_warmup(constant, 4)(step) for step in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    if warmup_steps == 0:
        return schedule

    def at(step: int) -> float:
        return schedule(step) * min((step + 1) / warmup_steps, 1.0)

    return at
