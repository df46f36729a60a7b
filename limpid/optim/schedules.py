"""The course of the learning rate: pure functions from the number of finished steps to a multiplier of the peak.

Step 0 is the first update, step T - 1 the last. `final` is the last multiplier.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from limpid.catalogue.schedules import SCHEDULES
from limpid.config import OptimConfig

Schedule = Callable[[int], float]

# One-cycle starts at this share of the peak (Smith & Topin 2018, arXiv 1708.07120, and torch's OneCycleLR).
ONE_CYCLE_START = 1 / 25


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


def build_step(*, num_steps: int, steps_per_epoch: int, warmup: float, step_epochs: int, gamma: float) -> Schedule:
    return with_warmup(step_decay(step_epochs * steps_per_epoch, gamma), round(warmup * num_steps))


def build_cosine(*, num_steps: int, steps_per_epoch: int, warmup: float, final_lr: float) -> Schedule:
    warmup_steps = round(warmup * num_steps)
    return with_warmup(cosine(num_steps - warmup_steps, final_lr, start=warmup_steps), warmup_steps)


def build_one_cycle(*, num_steps: int, steps_per_epoch: int, warmup: float, final_lr: float) -> Schedule:
    return one_cycle(num_steps, warmup, final_lr)


def constant(step: int) -> float:
    """1 at every step."""
    return 1.0


def step_decay(period: int, gamma: float) -> Schedule:
    """gamma ^ floor(step / period)

    >>> [round(0.1 * step_decay(10, 0.65)(epoch), 6) for epoch in (0, 9, 10, 25)]
    [0.1, 0.1, 0.065, 0.04225]
    """

    def at(step: int) -> float:
        return float(gamma ** (step // period))

    return at


def cosine(num_steps: int, final: float = 0.0, *, start: int = 0) -> Schedule:
    """final + (1 - final) (1 + cos(pi t / T)) / 2 with t = step - start, held at `final` beyond T steps.

    >>> [round(cosine(4)(step), 4) for step in range(5)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0]
    """

    def at(step: int) -> float:
        progress = min(max((step - start) / max(num_steps, 1), 0.0), 1.0)
        return final + (1.0 - final) * (1.0 + math.cos(math.pi * progress)) / 2.0

    return at


def one_cycle(num_steps: int, warmup: float, final: float = 0.0) -> Schedule:
    """From 1/25 up to 1 within the `warmup` share of the steps, then down to `final` at the last, both on a cosine."""
    peak = max(warmup * num_steps - 1.0, 0.0)
    last = max(num_steps - 1.0, peak + 1.0)

    def at(step: int) -> float:
        if step < peak:
            return 1.0 + (ONE_CYCLE_START - 1.0) * (1.0 + math.cos(math.pi * step / peak)) / 2.0
        progress = min((step - peak) / (last - peak), 1.0)
        return final + (1.0 - final) * (1.0 + math.cos(math.pi * progress)) / 2.0

    return at


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
