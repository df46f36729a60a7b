"""P6 from the trained state: short runs that go on from the final weights, with the last rate and with a tenth of it.

A run that stands still because its steps are too long for the valley gains at once by shorter ones. One that stands
still because there is nothing left to gain does not. Both forks begin with an empty memory of the optimiser.
"""

from __future__ import annotations

from typing import Any

from limpid.probes.short_run import ShortRun, can_run
from limpid.probes.subject import Subject

FACTORS = (0.1, 1.0)
SEEDS = 3
MOST_STEPS = 100  # or an epoch
LEAST_RATE = 0.3  # of the peak, at the last step; a run that has annealed further has had its short steps


def measure(subject: Subject) -> dict[str, Any] | None:
    """{rate, num_steps, factors, train, valid, before}, with lists of losses by factor and seed.

    None for a run whose rate has fallen at its end, and where short runs cannot be made.
    """
    if not can_run(subject) or subject.config is None or subject.config.optim.lr is None:
        return None
    weights = {name: tensor.detach().clone() for name, tensor in subject.network.state_dict().items()}
    start = ShortRun(subject, {}, 0, weights)
    parts, plan = start.wiring.parts, start.wiring.plan
    last = float(parts.schedule(max(0, plan.num_steps - 1)))
    if last < LEAST_RATE:
        return None
    valid = start.valid_rows()
    num_steps = min(MOST_STEPS, -(-parts.train.num_batches // plan.accumulate))
    train_losses: list[list[float | None]] = []
    valid_losses: list[list[float | None]] = []
    for factor in FACTORS:
        runs = [ShortRun(subject, {}, seed, weights) for seed in range(SEEDS)]
        ended = [run.train(num_steps, share=last * factor) for run in runs]
        train_losses.append([run.loss() if good else None for run, good in zip(runs, ended, strict=True)])
        valid_losses.append(
            [run.loss(valid) if good and valid else None for run, good in zip(runs, ended, strict=True)]
        )
    return {
        "rate": subject.config.optim.lr * last,
        "num_steps": num_steps,
        "factors": list(FACTORS),
        "train": train_losses,
        "valid": valid_losses if valid else None,
        "before": {"train": start.loss(), "valid": start.loss(valid) if valid else None},
    }
