"""Reptile is its published update, and what it finds learns a new sine wave from five points."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from limpid.data.sine_tasks import SineTask
from limpid.training.reptile import adapt, reptile


class SquaredError:
    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        return nn.functional.mse_loss(outputs, target)


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))


def waves(generator: torch.Generator):
    return SineTask.drawn(generator).batches(10, generator)


def few_shot_losses(model: nn.Module, *, shots: int = 5, tasks: int = 20) -> Tensor:
    """Squared error on whole new waves after 32 steps on a few points of each."""
    generator = torch.Generator().manual_seed(99)
    x_B1 = torch.linspace(-5, 5, 50)[:, None]
    losses = []
    for _ in range(tasks):
        task, learner = SineTask.drawn(generator), copy.deepcopy(model)
        adapt(learner, SquaredError(), itertools.repeat(task.batch(shots, generator)), steps=32, lr=0.02)
        with torch.no_grad():
            losses.append(SquaredError().loss(learner(x_B1), task.at(x_B1).target))
    return torch.stack(losses)


def test_reptile_is_its_update_written_out() -> None:
    ours, theirs = network(0), network(0)
    reptile(ours, SquaredError(), waves, rounds=3, steps=2, lr=0.05, pull=0.5, seed=7)
    generator = torch.Generator().manual_seed(7)
    for number in range(3):
        task, start = waves(generator), [w.detach().clone() for w in theirs.parameters()]
        for _ in range(2):
            batch = next(task)
            loss = ((theirs(batch.inputs[0]) - batch.target) ** 2).mean()
            for w, gradient in zip(
                theirs.parameters(), torch.autograd.grad(loss, list(theirs.parameters())), strict=True
            ):
                w.data -= 0.05 * gradient
        for w, old in zip(theirs.parameters(), start, strict=True):
            w.data = old + 0.5 * (1 - number / 3) * (w.data - old)
    for w, v in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(w, v, rtol=1e-5, atol=1e-7)


@pytest.mark.spec("A64")
@pytest.mark.slow
def test_five_points_teach_more_from_reptiles_weights_than_from_random_ones() -> None:
    model = network(0)
    reptile(model, SquaredError(), waves, rounds=1000)
    learned, at_random = few_shot_losses(model), few_shot_losses(network(0))
    assert learned.mean() < 0.5 * at_random.mean()
    assert (learned < at_random).float().mean() >= 0.8


def test_the_same_seed_gives_the_same_weights() -> None:
    models = [network(0), network(0), network(0)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        reptile(model, SquaredError(), waves, rounds=2, seed=seed)
    one, same, other = (torch.cat([w.flatten() for w in model.parameters()]) for model in models)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_waves_are_what_they_say() -> None:
    batch = SineTask(2.0, math.pi / 2).at(torch.tensor([[0.0], [math.pi]]))
    torch.testing.assert_close(batch.target, torch.tensor([[2.0], [-2.0]]))
    generator = torch.Generator().manual_seed(0)
    tasks = [SineTask.drawn(generator) for _ in range(500)]
    assert all(0.1 <= task.amplitude <= 5 and 0 <= task.phase <= 2 * math.pi for task in tasks)
    assert sum(task.amplitude for task in tasks) / 500 == pytest.approx(2.55, abs=0.2)
    x_B1 = tasks[0].batch(1000, generator).inputs[0]
    assert (x_B1.shape, x_B1.min() >= -5, x_B1.max() <= 5) == ((1000, 1), True, True)
    assert x_B1.std() == pytest.approx(10 / math.sqrt(12), abs=0.2)
