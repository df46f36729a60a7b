"""Learning rates that rise as well as fall: multipliers of the peak as functions of the step."""

from __future__ import annotations

import math

from limpid.optim.schedules import Schedule, with_warmup


def build_one_cycle(
    *, num_steps: int, steps_per_epoch: int, warmup: float, start_lr: float, final_lr: float, anneal: str
) -> Schedule:
    return one_cycle(num_steps, warmup, final_lr, start=start_lr, anneal=anneal)


def build_cosine_restarts(
    *, num_steps: int, steps_per_epoch: int, warmup: float, cycle_epochs: int, cycle_growth: int, final_lr: float
) -> Schedule:
    warmup_steps = round(warmup * num_steps)
    course = cosine_restarts(cycle_epochs * steps_per_epoch, cycle_growth, final_lr, start=warmup_steps)
    return with_warmup(course, warmup_steps)


def build_cyclic(
    *, num_steps: int, steps_per_epoch: int, warmup: float, rise_epochs: int, start_lr: float, cycle_form: str
) -> Schedule:
    return with_warmup(cyclic(rise_epochs * steps_per_epoch, start_lr, form=cycle_form), round(warmup * num_steps))


def one_cycle(
    num_steps: int, warmup: float, final: float = 0.0, *, start: float = 0.04, anneal: str = "cosine"
) -> Schedule:
    """From `start` up to 1 within the `warmup` share of the steps, then down to `final` at the last.

    Both ways on half a cosine, or with anneal="linear" on a straight line.
    """
    peak = max(warmup * num_steps - 1.0, 0.0)
    last = max(num_steps - 1.0, peak + 1.0)

    def at(step: int) -> float:
        if step < peak:
            return 1.0 + (start - 1.0) * _remaining(step / peak, anneal)
        return final + (1.0 - final) * _remaining(min((step - peak) / (last - peak), 1.0), anneal)

    return at


def cosine_restarts(first_steps: int, growth: int = 1, final: float = 0.0, *, start: int = 0) -> Schedule:
    """final + (1 - final) (1 + cos(pi t / T_i)) / 2 with t from the last restart, T_i = first_steps growth^i.

    >>> [round(cosine_restarts(2, 2)(step), 4) for step in range(7)]
    [1.0, 0.5, 1.0, 0.8536, 0.5, 0.1464, 1.0]
    """

    def at(step: int) -> float:
        t, width = max(step - start, 0), first_steps
        if growth == 1:
            t %= width
        while t >= width:
            t, width = t - width, width * growth
        return final + (1.0 - final) * _remaining(t / width, "cosine")

    return at


def cyclic(rise_steps: int, low: float, *, form: str = "triangular") -> Schedule:
    """A saw with equal flanks of `rise_steps` between `low` and 1; with "triangular2" each tooth is half as high.

    >>> [round(cyclic(2, 0.0)(step), 2) for step in range(5)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    def at(step: int) -> float:
        cycle = step // (2 * rise_steps)
        height = 1.0 - abs(step / rise_steps - 2 * cycle - 1.0)
        return low + (1.0 - low) * height * (0.5**cycle if form == "triangular2" else 1.0)

    return at


def _remaining(progress: float, anneal: str) -> float:
    """How much of the way is left at this share of the time: 1 at the start, 0 at the end."""
    return 1.0 - progress if anneal == "linear" else (1.0 + math.cos(math.pi * progress)) / 2.0
