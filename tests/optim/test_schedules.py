"""Multipliers of the learning rate against torch's schedulers and golden values."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from limpid.config import OptimConfig
from limpid.optim import build_schedule
from limpid.optim.schedules import ONE_CYCLE_START, constant, one_cycle, step_decay


def schedule_of(num_steps: int, steps_per_epoch: int = 1, **options: object) -> Callable[[int], float]:
    config = OptimConfig(**({"warmup": 0.0} | options))
    return build_schedule(config, num_steps=num_steps, steps_per_epoch=steps_per_epoch)


def rates_of(make: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler], num_steps: int) -> list[float]:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(num_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_step_decay_equals_torch_and_the_lambda_example() -> None:
    ours = schedule_of(90, steps_per_epoch=3, schedule="step", step_epochs=10, gamma=0.65)
    expected = rates_of(lambda optimizer: lr_scheduler.StepLR(optimizer, 30, 0.65), 90)
    assert [ours(step) for step in range(90)] == pytest.approx(expected)
    example = step_decay(10, 0.65)
    rates = [0.1 * example(epoch) for epoch in (0, 9, 10, 25, 99)]
    assert rates == pytest.approx([0.1, 0.1, 0.065, 0.04225, 0.0020711913], abs=1e-10)


@pytest.mark.parametrize("final", [0.0, 0.05])
def test_cosine_equals_torch(final: float) -> None:
    ours = schedule_of(50, schedule="cosine", final_lr=final)
    expected = rates_of(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 50, eta_min=final), 50)
    assert [ours(step) for step in range(50)] == pytest.approx(expected)


@pytest.mark.parametrize("warmup", [0.1, 0.25, 0.3])
@pytest.mark.parametrize("final", [1e-4, 0.1])
def test_one_cycle_equals_torch(warmup: float, final: float) -> None:
    ours = schedule_of(200, schedule="one_cycle", warmup=warmup, final_lr=final)

    def make(optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        return lr_scheduler.OneCycleLR(
            optimizer, 1.0, 200, pct_start=warmup, div_factor=25, final_div_factor=1 / (25 * final)
        )

    assert [ours(step) for step in range(199)] == pytest.approx(rates_of(make, 199))
    assert ours(199) == pytest.approx(final)


def test_warm_up_rises_in_equal_steps_to_the_peak() -> None:
    ours = schedule_of(100, schedule="cosine", warmup=0.1)
    assert [ours(step) for step in range(11)] == pytest.approx([*(i / 10 for i in range(1, 11)), 1.0])
    assert schedule_of(100, schedule="constant", warmup=0.04)(1) == 0.5
    assert schedule_of(100, schedule="constant")(0) == 1.0
    assert constant(7) == 1.0


@pytest.mark.parametrize("num_steps", [1, 2, 3])
@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "one_cycle"])
def test_shortest_runs_have_a_rate(schedule: str, num_steps: int) -> None:
    ours = schedule_of(num_steps, schedule=schedule, warmup=0.3)
    rates = [ours(step) for step in range(num_steps)]
    assert all(0.0 <= rate <= 1.0 for rate in rates)
    assert rates[0] > 0


@given(
    schedule=st.sampled_from(["constant", "step", "cosine", "one_cycle"]),
    num_steps=st.integers(1, 300),
    warmup=st.floats(0.0, 0.9),
    final=st.floats(0.0, 1.0),
    step=st.integers(0, 400),
)
def test_multiplier_never_exceeds_the_peak(
    schedule: str, num_steps: int, warmup: float, final: float, step: int
) -> None:
    ours = schedule_of(num_steps, schedule=schedule, warmup=warmup, final_lr=final)
    assert 0.0 <= ours(step) <= 1.0 + 1e-12


def test_one_cycle_peaks_once() -> None:
    rates = [one_cycle(100, 0.25)(step) for step in range(100)]
    assert rates[0] == pytest.approx(ONE_CYCLE_START)
    assert rates.index(max(rates)) == 24
    assert rates[:25] == sorted(rates[:25])
    assert rates[24:] == sorted(rates[24:], reverse=True)


def test_open_options_are_for_the_defaults_to_fill() -> None:
    with pytest.raises(AssertionError):
        build_schedule(OptimConfig(), num_steps=10, steps_per_epoch=1)
