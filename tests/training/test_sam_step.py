"""Sharpness-aware steps against the two passes written out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limpid.training.sam_step import sam_step
from limpid.training.step import train_step


class Squares:
    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        return (outputs - target).square().mean()


def network(norm: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(3, 5), *([nn.BatchNorm1d(5)] if norm else []), nn.Tanh(), nn.Linear(5, 1)]
    return nn.Sequential(*layers).double()


def batch(seed: int) -> Any:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(8, 3, dtype=torch.float64, generator=generator)
    return SimpleNamespace(inputs=(x,), target=x.sum(1, keepdim=True))


def gradient(model: nn.Module, weights: list[Tensor], one: Any) -> list[Tensor]:
    own = [w.detach().clone().requires_grad_() for w in weights]
    named = dict(zip([name for name, _ in model.named_parameters()], own, strict=True))
    outputs = torch.func.functional_call(model, named, one.inputs)
    return list(torch.autograd.grad(Squares().loss(outputs, one.target), own))


def worst_gradient(model: nn.Module, weights: list[Tensor], one: Any, rho: float, adaptive: bool) -> list[Tensor]:
    g = gradient(model, weights, one)
    scale = [w.abs() if adaptive else torch.ones_like(w) for w in weights]
    norm = sum((s * v).square().sum() for s, v in zip(scale, g, strict=True)) ** 0.5
    offset = [rho * s**2 * v / norm for s, v in zip(scale, g, strict=True)]
    return gradient(model, [w + e for w, e in zip(weights, offset, strict=True)], one)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("clip", [None, 0.1])
def test_descends_by_the_gradient_at_the_worst_place_nearby(adaptive: bool, clip: float | None) -> None:
    model = network()
    step = sam_step(0.3, adaptive=adaptive)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    weights = [p.detach().clone() for p in model.parameters()]
    for seed in range(4):
        one = batch(seed)
        plain = Squares().loss(model(*one.inputs), one.target).item()
        assert step(model, Squares(), optimizer, one, clip_norm=clip).item() == plain
        g = worst_gradient(model, weights, one, 0.3, adaptive)
        norm = sum(v.square().sum() for v in g) ** 0.5
        factor = min(1.0, clip / (norm.item() + 1e-6)) if clip else 1.0
        weights = [w - 0.1 * factor * v for w, v in zip(weights, g, strict=True)]
        for p, w in zip(model.parameters(), weights, strict=True):
            torch.testing.assert_close(p.detach(), w, rtol=1e-10, atol=1e-12)
            assert p.grad is None


def test_accumulated_batches_each_look_for_their_own_worst_place() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    weights = [p.detach().clone() for p in model.parameters()]
    step = sam_step(0.3)
    step(model, Squares(), optimizer, batch(0), weight=0.5, update=False)
    assert all(torch.equal(p, w) for p, w in zip(model.parameters(), weights, strict=True)), "bits are put back"
    step(model, Squares(), optimizer, batch(1), weight=0.5)
    for index, p in enumerate(model.parameters()):
        both = [worst_gradient(model, weights, batch(seed), 0.3, False)[index] for seed in (0, 1)]
        torch.testing.assert_close(p.detach(), weights[index] - 0.1 * (both[0] + both[1]) / 2)


def test_running_statistics_follow_one_pass() -> None:
    model, twin = network(norm=True), network(norm=True)
    sam_step(0.3)(model, Squares(), torch.optim.SGD(model.parameters(), lr=0.1), batch(0))
    train_step(twin, Squares(), torch.optim.SGD(twin.parameters(), lr=0.1), batch(0))
    assert torch.equal(model[1].running_mean, twin[1].running_mean)
    assert torch.equal(model[1].running_var, twin[1].running_var)
    assert model[1].momentum == 0.1


def test_a_loss_that_is_not_finite_is_told_before_anything_moves() -> None:
    model = network()
    one = batch(0)
    one.target[0] = torch.nan
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(FloatingPointError):
        sam_step(0.3)(model, Squares(), torch.optim.SGD(model.parameters(), lr=0.1), one, guard=True)
    assert all(torch.equal(p, w) and p.grad is None for p, w in zip(model.parameters(), before, strict=True))
