"""Schedule-free rules against the three sequences of the paper, written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limpid.config import OptimConfig
from limpid.errors import ConfigError
from limpid.optim import build_average, build_optimizer

MIX = torch.tensor([[1.0, 0.3], [0.2, 2.0]], dtype=torch.float64)


def loss_of(w: Tensor) -> Tensor:
    return ((MIX @ w).tanh() ** 2 + 0.05 * w**2).sum()


def gradient(w: Tensor) -> Tensor:
    w = w.detach().requires_grad_()
    return torch.autograd.grad(loss_of(w), w)[0]


def rates(steps: int) -> list[float]:
    """A warm-up of 10 steps, then constant."""
    return [0.05 * min((t + 1) / 10, 1.0) for t in range(steps)]


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", ["schedule_free_sgd", "schedule_free_adamw"])
def test_evaluation_sees_x_and_training_sees_y(name: str, decay: float) -> None:
    first = torch.tensor([[1.0, -2.0], [0.5, 1.5]], dtype=torch.float64)
    model = nn.Module()
    model.w = nn.Parameter(first.clone())
    config = OptimConfig(name=name, lr=0.05, weight_decay=decay, decay_all=True, ema=0.0)
    optimizer = build_optimizer(config, model)
    average = build_average(config, model, optimizer, num_steps=60, steps_per_epoch=60)
    assert average is not None
    with average.averaged(model):
        assert torch.equal(model.w, first), "before the first step"

    z = x = first.clone()
    weights, square = 0.0, torch.zeros_like(first)
    for t, lr in enumerate(rates(60), 1):
        optimizer.param_groups[0]["lr"] = lr
        loss_of(model.w).backward()
        optimizer.step()
        optimizer.zero_grad()

        y = 0.1 * z + 0.9 * x
        g = gradient(y)
        if name == "schedule_free_adamw":
            square = 0.999 * square + 0.001 * g**2
            g = g / ((square / (1 - 0.999**t)).sqrt() + 1e-8)
        z = z - lr * (g + decay * y)
        weights += lr**2  # the rate only rises, so its largest value so far is itself
        x = x + lr**2 / weights * (z - x)

        torch.testing.assert_close(model.w.detach(), 0.1 * z + 0.9 * x, rtol=1e-9, atol=1e-10)
        trained = model.w.detach().clone()
        with average.averaged(model):
            torch.testing.assert_close(model.w.detach(), x, rtol=1e-8, atol=1e-9)
        assert torch.equal(model.w, trained)


@pytest.mark.parametrize("own", ["schedule_free_adamw", "nesterov", "asgd"])
@pytest.mark.parametrize("other", [{"ema": 0.9}, {"swa": 0.5}])
def test_a_second_average_is_refused(own: str, other: dict[str, Any]) -> None:
    model = nn.Linear(2, 2)
    config = OptimConfig(**({"name": own, "lr": 0.1, "weight_decay": 0.0, "ema": 0.0} | other))
    with pytest.raises(ConfigError, match=f"optim.{next(iter(other))}: {own} has evaluation weights of its own"):
        build_average(config, model, build_optimizer(config, model), num_steps=9, steps_per_epoch=3)


def test_lookahead_around_such_an_optimiser_is_refused() -> None:
    config = OptimConfig(name="schedule_free_sgd", lr=0.1, weight_decay=0.0, lookahead=5)
    with pytest.raises(ConfigError, match="optim.lookahead cannot pull schedule_free_sgd back"):
        build_optimizer(config, nn.Linear(2, 2))


def test_averaged_descent_is_judged_at_its_mean() -> None:
    model = nn.Module()
    model.w = nn.Parameter(torch.ones(2, 2, dtype=torch.float64))
    config = OptimConfig(name="asgd", lr=0.1, weight_decay=0.0, ema=0.0, t0=5.0)
    optimizer = build_optimizer(config, model)
    average = build_average(config, model, optimizer, num_steps=20, steps_per_epoch=20)
    assert average is not None
    visited = []
    for _ in range(20):
        loss_of(model.w).backward()
        optimizer.step()
        optimizer.zero_grad()
        visited.append(model.w.detach().clone())
    # torch weighs step t by 1 / max(1, t - 1 - t0): the mean of the last 14 of 20 steps.
    with average.averaged(model):
        torch.testing.assert_close(model.w.detach(), torch.stack(visited[6:]).mean(0))
