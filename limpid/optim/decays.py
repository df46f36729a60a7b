"""Learning rates that only fall: multipliers of the peak as functions of the step.

T is the number of steps over which a rate falls, t = step - start the steps since it began to.
"""

from __future__ import annotations

import math

from limpid.errors import ConfigError
from limpid.optim.schedules import Schedule, with_warmup


def build_linear(*, num_steps: int, steps_per_epoch: int, warmup: float, tau: int, final_lr: float) -> Schedule:
    warmup_steps = round(warmup * num_steps)
    return with_warmup(linear(tau or num_steps - warmup_steps, final_lr, start=warmup_steps), warmup_steps)


def build_step(
    *, num_steps: int, steps_per_epoch: int, warmup: float, step_epochs: int, step_updates: int, gamma: float
) -> Schedule:
    period = step_updates or step_epochs * steps_per_epoch
    return with_warmup(step_decay(period, gamma), round(warmup * num_steps))


def build_multistep(
    *, num_steps: int, steps_per_epoch: int, warmup: float, milestones: tuple[float, ...], gamma: float
) -> Schedule:
    for milestone in milestones:
        if not isinstance(milestone, int | float):
            raise ConfigError(
                f"optim.milestones holds {milestone!r}: expected epochs such as 30,60,90 or shares of the run, below 1."
            )
    steps = [round(m * num_steps) if m < 1 else round(m * steps_per_epoch) for m in milestones]
    return with_warmup(multistep(steps, gamma), round(warmup * num_steps))


def build_exponential(*, num_steps: int, steps_per_epoch: int, warmup: float, gamma: float) -> Schedule:
    warmup_steps = round(warmup * num_steps)
    return with_warmup(exponential(steps_per_epoch, gamma, start=warmup_steps), warmup_steps)


def build_inverse_time(*, num_steps: int, steps_per_epoch: int, warmup: float, time_decay: float) -> Schedule:
    warmup_steps = round(warmup * num_steps)
    return with_warmup(inverse_time(steps_per_epoch, time_decay, start=warmup_steps), warmup_steps)


def build_inverse_sqrt(*, num_steps: int, steps_per_epoch: int, warmup: float) -> Schedule:
    warmup_steps = round(warmup * num_steps)
    return with_warmup(inverse_sqrt(warmup_steps), warmup_steps)


def build_polynomial(*, num_steps: int, steps_per_epoch: int, warmup: float, power: float, final_lr: float) -> Schedule:
    warmup_steps = round(warmup * num_steps)
    return with_warmup(polynomial(num_steps - warmup_steps, power, final_lr, start=warmup_steps), warmup_steps)


def build_cosine(*, num_steps: int, steps_per_epoch: int, warmup: float, final_lr: float) -> Schedule:
    warmup_steps = round(warmup * num_steps)
    return with_warmup(cosine(num_steps - warmup_steps, final_lr, start=warmup_steps), warmup_steps)


def build_trapezoid(
    *, num_steps: int, steps_per_epoch: int, warmup: float, decay_share: float, decay_form: str, final_lr: float
) -> Schedule:
    decay_steps = min(round(decay_share * num_steps), num_steps - round(warmup * num_steps))
    fall = trapezoid(num_steps, decay_steps, final_lr, form=decay_form)
    return with_warmup(fall, round(warmup * num_steps))


def linear(num_steps: int, final: float = 0.0, *, start: int = 0) -> Schedule:
    """(1 - t / T) + (t / T) final until t = T, then `final`.

    >>> [round(0.1 * linear(100, 0.01)(step), 6) for step in (0, 50, 100, 200)]
    [0.1, 0.0505, 0.001, 0.001]
    """
    return polynomial(num_steps, 1.0, final, start=start)


def step_decay(period: int, gamma: float) -> Schedule:
    """gamma ^ floor(step / period)

    >>> [round(0.1 * step_decay(10, 0.65)(epoch), 6) for epoch in (0, 9, 10, 25)]
    [0.1, 0.1, 0.065, 0.04225]
    """

    def at(step: int) -> float:
        return float(gamma ** (step // period))

    return at


def multistep(milestones: list[int], gamma: float) -> Schedule:
    """gamma ^ (number of milestones reached)

    >>> [round(multistep([3, 5], 0.1)(step), 6) for step in (2, 3, 4, 5)]
    [1.0, 0.1, 0.1, 0.01]
    """

    def at(step: int) -> float:
        return float(gamma ** sum(step >= milestone for milestone in milestones))

    return at


def exponential(steps_per_epoch: int, gamma: float, *, start: int = 0) -> Schedule:
    """gamma ^ (t / steps per epoch): smooth, and gamma ^ epoch at the start of every epoch."""

    def at(step: int) -> float:
        return float(gamma ** (max(step - start, 0) / steps_per_epoch))

    return at


def inverse_time(steps_per_epoch: int, decay: float, *, start: int = 0) -> Schedule:
    """1 / (1 + decay t / steps per epoch): half the peak after 1 / decay epochs."""

    def at(step: int) -> float:
        return 1.0 / (1.0 + decay * max(step - start, 0) / steps_per_epoch)

    return at


def inverse_sqrt(warmup_steps: int) -> Schedule:
    """sqrt(W / (step + 1)) beyond the W steps of the warm-up, the peak up to there; W counts as 1 without warm-up."""
    width = max(warmup_steps, 1)

    def at(step: int) -> float:
        return math.sqrt(width / max(step + 1, width))

    return at


def polynomial(num_steps: int, power: float, final: float = 0.0, *, start: int = 0) -> Schedule:
    """final + (1 - final) (1 - t / T) ^ power, held at `final` beyond T steps.

    >>> [polynomial(4, 2)(step) for step in range(6)]
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """

    def at(step: int) -> float:
        return float(final + (1.0 - final) * (1.0 - _progress(step - start, num_steps)) ** power)

    return at


def cosine(num_steps: int, final: float = 0.0, *, start: int = 0) -> Schedule:
    """final + (1 - final) (1 + cos(pi t / T)) / 2, held at `final` beyond T steps.

    >>> [round(cosine(4)(step), 4) for step in range(5)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0]
    """

    def at(step: int) -> float:
        return final + (1.0 - final) * (1.0 + math.cos(math.pi * _progress(step - start, num_steps))) / 2.0

    return at


def trapezoid(num_steps: int, decay_steps: int, final: float = 0.0, *, form: str = "linear") -> Schedule:
    """1 up to the last `decay_steps` steps, then down to `final`: by 1 - t / T, or by 1 - sqrt(t / T).

    >>> [trapezoid(8, 4)(step) for step in range(9)]
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    power = {"linear": 1.0, "sqrt": 0.5}[form]

    def at(step: int) -> float:
        return final + (1.0 - final) * (1.0 - _progress(step - (num_steps - decay_steps), decay_steps) ** power)

    return at


def _progress(t: int, num_steps: int) -> float:
    """t / T within 0 and 1."""
    return min(max(t / max(num_steps, 1), 0.0), 1.0)
