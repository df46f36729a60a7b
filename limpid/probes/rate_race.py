"""P6: short runs from the start that differ in nothing but the peak rate, and what each of them has reached.

    rates   f * lr for f in 0.1, 0.3, 1, 3, 10; where the best of them stands at an end, up to three decades further
    course  the run's own schedule and warm-up, squeezed into N steps
    loss    of fixed training rows in evaluation mode; None where the run broke down

A short run flatters high rates: it ends before the noise that they leave matters. That a lower rate wins it therefore
says much, that a slightly higher one wins says little. Source: Godbole et al. 2023, "Deep Learning Tuning Playbook".
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from limpid.probes.short_run import ShortRun, begins_elsewhere, can_run
from limpid.probes.subject import Subject

FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)
FURTHER = 3  # decades beyond the ends, one at a time
SEEDS = 3
STEPS = (100, 50, 25)  # the first whose race of five rates is expected to end in time
WARMUP = 0.3  # share of the steps
SECONDS = 6.0  # for the race of five rates with all seeds

Losses = Mapping[float, Sequence[float | None]]


def measure(subject: Subject) -> dict[str, Any] | None:
    """{lr, num_steps, num_seeds, batch_size, factors, losses, starts, warmed, best}; None where it cannot be run.

    losses[k] are the losses of factors[k], one for each seed; starts the losses before the first step; warmed those of
    the own rate with a warm-up, where the run has none. `best` is the factor with the lowest median.
    """
    config = subject.config
    if not can_run(subject) or begins_elsewhere(subject) or config is None:
        return None
    num_steps = _affordable_steps(subject)
    if num_steps is None:
        return None
    cold = not config.optim.warmup
    starts: list[float | None] = []
    losses: dict[float, list[float | None]] = {}
    for factor in FACTORS:
        pairs = [race(subject, factor, seed, num_steps) for seed in range(SEEDS)]
        starts = [start for start, _ in pairs]
        losses[factor] = [end for _, end in pairs]
    for _ in range(FURTHER):
        best = best_of(losses)
        if best not in (min(losses), max(losses)):
            break
        factor = best * 10 if best == max(losses) else best / 10
        losses[factor] = [race(subject, factor, seed, num_steps)[1] for seed in range(SEEDS)]
    factors = sorted(losses)
    warmed = [race(subject, 1.0, seed, num_steps, warmup=WARMUP)[1] for seed in range(SEEDS)] if cold else None
    return {
        "lr": config.optim.lr,
        "num_steps": num_steps,
        "num_seeds": SEEDS,
        "batch_size": config.training.batch_size,
        "factors": factors,
        "losses": [losses[factor] for factor in factors],
        "starts": starts,
        "warmed": warmed,
        "best": best_of(losses),
    }


def race(
    subject: Subject, factor: float, seed: int, num_steps: int, *, warmup: float | None = None
) -> tuple[float | None, float | None]:
    """Losses before and after one short run; the second is None where it became NaN or infinite."""
    assert subject.config is not None and subject.config.optim.lr is not None
    options = {
        "optim__lr": subject.config.optim.lr * factor,
        "training__steps": num_steps,
        "training__epochs": None,
        **({} if warmup is None else {"optim__warmup": warmup}),
    }
    run = ShortRun(subject, options, seed)
    start = run.loss()
    return start, run.loss() if run.train(num_steps) else None


def best_of(losses: Losses) -> float:
    """The factor whose median loss is lowest; of equals the lowest factor."""
    medians = {f: statistics.median(math.inf if x is None else x for x in tried) for f, tried in losses.items()}
    return min(sorted(medians), key=medians.__getitem__)


def _affordable_steps(subject: Subject) -> int | None:
    """The longest race that is expected to end in time, from the duration of a few steps; None: not even the short."""
    options = {"training__steps": STEPS[0], "training__epochs": None}
    run = ShortRun(subject, options, 0)
    run.train(2)  # what only the first steps of a process cost
    durations = []
    for _ in range(2):
        started = time.perf_counter()
        run.train(5)
        durations.append((time.perf_counter() - started) / 5)
    return next((n for n in STEPS if n * min(durations) * len(FACTORS) * SEEDS <= SECONDS), None)
