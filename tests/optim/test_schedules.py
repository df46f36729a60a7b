"""Multipliers of the learning rate against torch's schedulers and golden values, and what every schedule promises."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.catalogue.schedules import SCHEDULES
from limpid.commands.course import course_line
from limpid.config import OptimConfig
from limpid.errors import ConfigError
from limpid.optim import build_schedule
from limpid.optim.cycles import one_cycle
from limpid.optim.decays import step_decay
from limpid.optim.schedules import constant

every_schedule = pytest.mark.parametrize("name", list(SCHEDULES))


def schedule_of(num_steps: int, steps_per_epoch: int = 1, **options: object) -> Callable[[int], float]:
    config = OptimConfig(**({"warmup": 0.0} | options))
    return build_schedule(config, num_steps=num_steps, steps_per_epoch=steps_per_epoch)


def ours(num_steps: int, steps_per_epoch: int = 1, *, count: int | None = None, **options: object) -> list[float]:
    schedule = schedule_of(num_steps, steps_per_epoch, **options)
    return [schedule(step) for step in range(count or num_steps)]


def torchs(kind: type[Any], num_steps: int, *args: Any, lr: float = 1.0, **options: Any) -> list[float]:
    """The rates of torch's scheduler, stepped after every update."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=lr)
    scheduler = kind(optimizer, *args, **options)
    rates = []
    for _ in range(num_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


# What every schedule promises


@every_schedule
@pytest.mark.parametrize("num_steps", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0.0, 0.3])
def test_shortest_runs_have_a_rate(name: str, num_steps: int, warmup: float) -> None:
    rates = ours(num_steps, schedule=name, warmup=warmup)
    assert all(0.0 <= rate <= 1.0 for rate in rates)
    assert rates[0] > 0


@given(
    name=st.sampled_from(list(SCHEDULES)),
    num_steps=st.integers(1, 300),
    steps_per_epoch=st.integers(1, 40),
    warmup=st.floats(0.0, 0.9),
    final=st.floats(0.0, 1.0),
    step=st.integers(0, 400),
)
def test_multiplier_never_exceeds_the_peak(
    name: str, num_steps: int, steps_per_epoch: int, warmup: float, final: float, step: int
) -> None:
    options = {"final_lr": final} if "final_lr" in SCHEDULES[name].options else {}
    schedule = schedule_of(num_steps, steps_per_epoch, schedule=name, warmup=warmup, **options)
    assert 0.0 <= schedule(step) <= 1.0 + 1e-12


@every_schedule
def test_a_rate_is_a_function_of_the_step(name: str) -> None:
    """Asked in another order, or again after a resume, the answers are the same."""
    schedule = schedule_of(60, 5, schedule=name, warmup=0.2)
    forwards = [schedule(step) for step in range(60)]
    assert [schedule(step) for step in reversed(range(60))] == forwards[::-1]
    assert ours(60, 5, schedule=name, warmup=0.2) == forwards


@every_schedule
def test_the_warm_up_leads_up_to_the_peak(name: str) -> None:
    rates = ours(100, 10, schedule=name, warmup=0.2)
    assert rates[0] < 0.1
    if name != "cyclic":  # whose first flank is its own warm-up
        assert max(rates) == pytest.approx(1.0)
        assert rates[:20] == sorted(rates[:20])


@every_schedule
def test_options_are_exactly_the_builders(name: str) -> None:
    part = SCHEDULES[name]
    given = set(inspect.signature(part.load()).parameters) - {"num_steps", "steps_per_epoch", "warmup"}
    assert given == set(part.options)


def test_no_option_is_an_optimisers_too() -> None:
    """Both stand in section optim: one word there has one meaning."""
    theirs = {option for part in OPTIMIZERS.values() for option in part.options}
    assert not theirs & {option for part in SCHEDULES.values() for option in part.options}


# Golden values


@pytest.mark.spec("O21", "K52")
def test_the_golden_values_of_the_ledger() -> None:
    linear = schedule_of(500, schedule="linear", tau=100, final_lr=0.01)
    assert [0.1 * linear(k) for k in (0, 50, 100, 200)] == pytest.approx([0.1, 0.0505, 0.001, 0.001], abs=1e-15)
    assert ours(300, schedule="linear", tau=100, final_lr=0.01) == pytest.approx(
        torchs(lr_scheduler.LinearLR, 300, start_factor=1.0, end_factor=0.01, total_iters=100)
    )
    example = schedule_of(100, schedule="step", step_epochs=10, gamma=0.65)
    rates = [0.1 * example(epoch) for epoch in range(100)]
    assert [rates[epoch] for epoch in (0, 9, 10, 25, 99)] == pytest.approx(
        [0.1, 0.1, 0.065, 0.04225, 0.0020711913], abs=1e-10
    )
    assert rates == pytest.approx(
        torchs(lr_scheduler.LambdaLR, 100, lambda epoch: 0.65 ** (epoch // 10), lr=0.1), abs=1e-15
    )
    divided = schedule_of(90, schedule="step", step_epochs=30)
    assert [0.01 * divided(epoch) for epoch in (0, 30, 60)] == pytest.approx([1e-2, 1e-3, 1e-4])
    assert ours(5, schedule="fixed") == torchs(lr_scheduler.ConstantLR, 5, factor=1.0)
    wanted = "constant step multistep exponential inverse_time polynomial cosine cosine_restarts cyclic one_cycle"
    assert {*wanted.split(), "linear", "plateau"} <= set(SCHEDULES)


@pytest.mark.spec("O21")
def test_every_schedule_has_its_picture() -> None:
    """`limpid show NAME` draws the course, one block an epoch."""
    lines = {name: course_line(part).split(": ")[1] for name, part in SCHEDULES.items()}
    assert all(len(line) == 60 and set(line) <= set("▁▂▃▄▅▆▇█") for line in lines.values())
    assert lines["constant"] == "█" * 60
    assert lines["step"] == "█" * 30 + "▁" * 30
    assert lines["plateau"] == "█" * 12 + "▁" * 48  # one epoch improves on nothing, eleven do not improve
    assert lines["cyclic"][:9] == "▁▃▅▇█▇▅▃▁"
    assert len(set(lines.values())) >= len(lines) - 1, "step and multistep differ below an eighth only"


def test_step_decay_equals_torch() -> None:
    expected = torchs(lr_scheduler.StepLR, 90, 30, 0.65)
    assert ours(90, 3, schedule="step", step_epochs=10, gamma=0.65) == pytest.approx(expected)
    assert ours(90, 7, schedule="step", step_updates=30, gamma=0.65) == pytest.approx(expected)
    assert step_decay(10, 0.5)(20) == 0.25


def test_multistep_equals_torch() -> None:
    expected = torchs(lr_scheduler.MultiStepLR, 100, [50, 75], 0.1)
    assert ours(100, schedule="multistep") == pytest.approx(expected), "by default after half and three quarters"
    assert ours(100, 5, schedule="multistep", milestones=(10, 15)) == pytest.approx(expected)
    with pytest.raises(ConfigError, match="milestones holds 'late'"):
        schedule_of(10, schedule="multistep", milestones=("late",))


def test_exponential_equals_torch_at_the_start_of_every_epoch() -> None:
    epochs = ours(200, 10, schedule="exponential", gamma=0.9)[::10]
    assert epochs == pytest.approx(torchs(lr_scheduler.ExponentialLR, 20, 0.9))
    assert schedule_of(10, 2, schedule="exponential", gamma=0.81)(1) == pytest.approx(0.9)


def test_inverse_time_is_its_formula() -> None:
    expected = torchs(lr_scheduler.LambdaLR, 30, lambda epoch: 1 / (1 + 0.25 * epoch))
    assert ours(90, 3, schedule="inverse_time", time_decay=0.25)[::3] == pytest.approx(expected)
    assert schedule_of(9, schedule="inverse_time", time_decay=0.25)(4) == 0.5


def test_inverse_sqrt_is_the_transformers() -> None:
    """Section 5.3 of the paper: d^-1/2 min(n^-1/2, n W^-3/2), here as a share of its peak (d W)^-1/2."""
    noam = [min(n**-0.5, n * 400**-1.5) / 400**-0.5 for n in range(1, 4001)]
    assert ours(4000, schedule="inverse_sqrt", warmup=0.1) == pytest.approx(noam)


@pytest.mark.parametrize("power", [0.9, 1.0, 2.0])
def test_polynomial_equals_torch(power: float) -> None:
    expected = torchs(lr_scheduler.PolynomialLR, 60, total_iters=50, power=power)
    assert ours(50, count=60, schedule="polynomial", power=power) == pytest.approx(expected)


@pytest.mark.parametrize("final", [0.0, 0.05])
def test_cosine_equals_torch(final: float) -> None:
    expected = torchs(lr_scheduler.CosineAnnealingLR, 50, 50, eta_min=final)
    assert ours(50, schedule="cosine", final_lr=final) == pytest.approx(expected)


@pytest.mark.parametrize("growth", [1, 2, 3])
def test_cosine_restarts_equal_torch(growth: int) -> None:
    expected = torchs(lr_scheduler.CosineAnnealingWarmRestarts, 200, 14, growth, eta_min=0.01)
    got = ours(200, 2, schedule="cosine_restarts", cycle_epochs=7, cycle_growth=growth, final_lr=0.01)
    assert got == pytest.approx(expected)


@pytest.mark.parametrize("form", ["triangular", "triangular2"])
def test_cyclic_equals_torch(form: str) -> None:
    expected = torchs(lr_scheduler.CyclicLR, 100, 0.1, 1.0, 12, mode=form, cycle_momentum=False)
    got = ours(100, 3, schedule="cyclic", rise_epochs=4, start_lr=0.1, cycle_form=form)
    assert got == pytest.approx(expected)


@pytest.mark.parametrize("anneal", ["cosine", "linear"])
@pytest.mark.parametrize("warmup", [0.1, 0.25, 0.3])
@pytest.mark.parametrize(("start", "final"), [(0.04, 1e-4), (0.1, 0.1)])
def test_one_cycle_equals_torch(warmup: float, start: float, final: float, anneal: str) -> None:
    got = ours(200, schedule="one_cycle", warmup=warmup, start_lr=start, final_lr=final, anneal=anneal)
    expected = torchs(
        lr_scheduler.OneCycleLR,
        199,
        1.0,
        200,
        pct_start=warmup,
        div_factor=1 / start,
        final_div_factor=start / final,
        anneal_strategy={"cosine": "cos"}.get(anneal, anneal),
    )
    assert got[:199] == pytest.approx(expected)
    assert got[199] == pytest.approx(final)


def test_one_cycle_peaks_once() -> None:
    rates = [one_cycle(100, 0.25)(step) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 25)
    assert rates.index(max(rates)) == 24
    assert rates[:25] == sorted(rates[:25])
    assert rates[24:] == sorted(rates[24:], reverse=True)


def test_warm_up_equals_torch_and_rises_in_equal_steps() -> None:
    expected = torchs(lr_scheduler.LinearLR, 30, start_factor=1 / 10, end_factor=1.0, total_iters=9)
    assert ours(100, count=30, schedule="constant", warmup=0.1) == pytest.approx(expected)
    assert ours(100, count=11, schedule="cosine", warmup=0.1) == pytest.approx([*(i / 10 for i in range(1, 11)), 1.0])
    assert constant(7) == 1.0


@pytest.mark.parametrize("form", ["linear", "sqrt"])
def test_trapezoid_is_warm_up_level_and_fall(form: str) -> None:
    rates = ours(100, schedule="trapezoid", warmup=0.1, decay_share=0.2, decay_form=form, final_lr=0.1)
    fall = [i / 20 if form == "linear" else (i / 20) ** 0.5 for i in range(20)]
    expected = [*((i + 1) / 10 for i in range(10)), *[1.0] * 70, *(0.1 + 0.9 * (1 - share) for share in fall)]
    assert rates == pytest.approx(expected)


def test_open_options_are_for_the_defaults_to_fill() -> None:
    with pytest.raises(AssertionError):
        build_schedule(OptimConfig(), num_steps=10, steps_per_epoch=1)
