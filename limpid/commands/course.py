"""The course of a learning rate as one line of blocks, for those who look a schedule up."""

from __future__ import annotations

from typing import Any

from limpid.catalogue.part import Part

NUM_EPOCHS = 60
STEPS_PER_EPOCH = 10
BLOCKS = "▁▂▃▄▅▆▇█"
WARMUP = {"one_cycle": 0.25, "inverse_sqrt": 0.1, "trapezoid": 0.1}  # share of the run, where the course has a rise


def course_line(part: Part) -> str:
    """Rates of a run of 60 epochs under the schedule's default options, one block for each, the peak being full.

    A schedule that answers to results is shown one that never improves.
    """
    return f"  course over {NUM_EPOCHS} epochs: {''.join(_block(rate) for rate in _rates(part))}"


def _rates(part: Part) -> list[float]:
    schedule: Any = part.load()(
        num_steps=NUM_EPOCHS * STEPS_PER_EPOCH,
        steps_per_epoch=STEPS_PER_EPOCH,
        warmup=WARMUP.get(part.name, 0.0),
        **part.accept({}, "optim"),
    )
    figures: list[float] = []
    if hasattr(schedule, "follow"):
        schedule.follow(figures, higher_is_better=False)
    rates = []
    for epoch in range(NUM_EPOCHS):
        rates.append(schedule(epoch * STEPS_PER_EPOCH))
        figures.append(1.0)
    return rates


def _block(rate: float) -> str:
    return BLOCKS[min(int(rate * len(BLOCKS)), len(BLOCKS) - 1)]
