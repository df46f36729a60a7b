"""Short runs with a quarter and with four times the batch: is the run short of steps, or drowned in noise?

    own     n steps of B rows
    large   n / 2 steps of 4 B rows, with the rate and with twice the rate: fewer steps, better ones
    small   4 n steps of B / 4 rows, with the rate and with half of it: the same rows, more steps

`large` is tried where B is small, `small` where the whole run is n steps. Each keeps the better of its two rates.
"""

from __future__ import annotations

from typing import Any

from limpid.probes.short_run import ShortRun, begins_elsewhere, can_run
from limpid.probes.subject import Subject

SEEDS = 3
MOST_STEPS = 50
FEW_STEPS = 100  # of a whole run, up to which it may be short of them
SMALL_BATCH = 8  # rows, up to which noise is suspected
SMALLEST = 4  # rows


def measure(subject: Subject) -> dict[str, Any] | None:
    """{batch_size, num_steps, starts, own, large, small}: losses by seed, None where a run broke down.

    `large` or `small` is None where it was not tried. None for batches and lengths of which nothing is suspected.
    """
    if not can_run(subject) or begins_elsewhere(subject) or subject.config is None:
        return None
    size, rate = subject.config.training.batch_size, subject.config.optim.lr
    if size is None or rate is None:
        return None
    planned = ShortRun(subject, {}, 0).wiring.plan.num_steps
    small, large = planned <= FEW_STEPS and size >= 4 * SMALLEST, size <= SMALL_BATCH and planned >= MOST_STEPS
    if not (small or large):
        return None
    num_steps = min(planned, FEW_STEPS if small else MOST_STEPS)
    size = min(size, len(subject.dataset.train)) if subject.dataset is not None else size
    own = [_race(subject, size, rate, num_steps, seed) for seed in range(SEEDS)]
    return {
        "batch_size": size,
        "num_steps": num_steps,
        "starts": [start for start, _ in own],
        "own": [end for _, end in own],
        "large": _better(subject, 4 * size, (rate, 2 * rate), num_steps // 2) if large else None,
        "small": _better(subject, size // 4, (rate, rate / 2), 4 * num_steps) if small else None,
    }


def _better(subject: Subject, size: int, rates: tuple[float, ...], num_steps: int) -> list[float | None]:
    """The lower of the losses of these rates, seed by seed."""
    tried = [[_race(subject, size, rate, num_steps, seed)[1] for seed in range(SEEDS)] for rate in rates]
    return [min((loss for loss in losses if loss is not None), default=None) for losses in zip(*tried, strict=True)]


def _race(subject: Subject, size: int, rate: float, num_steps: int, seed: int) -> tuple[float | None, float | None]:
    """Losses before and after."""
    options = {
        "training__batch_size": size,
        "optim__lr": rate,
        "training__steps": num_steps,
        "training__epochs": None,
    }
    run = ShortRun(subject, options, seed)
    start = run.loss()
    return start, run.loss() if run.train(num_steps) else None
