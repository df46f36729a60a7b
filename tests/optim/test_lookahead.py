"""Lookahead against two sequences written out, around optimisers with and without a state of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from limpid.config import OptimConfig
from limpid.optim import build_optimizer


def build(model: nn.Module, **options: Any) -> torch.optim.Optimizer:
    return build_optimizer(OptimConfig(**({"lr": 0.1, "weight_decay": 0.0} | options)), model)


@pytest.mark.parametrize("inner", [{"name": "sgd", "momentum": 0.0}, {"name": "sgd"}, {"name": "adam"}])
def test_slow_weights_follow_every_third_step(inner: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model, twin = nn.Linear(3, 2).double(), nn.Linear(3, 2).double()
    twin.load_state_dict(model.state_dict())
    wrapped, plain = build(model, **inner, lookahead=3, lookahead_alpha=0.25), build(twin, **inner)
    slow = [p.detach().clone() for p in twin.parameters()]
    for step in range(1, 11):
        x = torch.randn(5, 3, dtype=torch.float64)
        for net, optimizer in ((model, wrapped), (twin, plain)):
            net(x).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        if step % 3 == 0:
            with torch.no_grad():
                slow = [s + 0.25 * (p - s) for s, p in zip(slow, twin.parameters(), strict=True)]
                for s, p in zip(slow, twin.parameters(), strict=True):
                    p.copy_(s)
        for p, q in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)


def test_parameters_that_begin_later_are_moved_too() -> None:
    """Plain descent keeps no state, so a state that is not its own must not hide a parameter from it."""
    model = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    optimizer = build(model, name="sgd", momentum=0.0, lookahead=5)
    before = [p.detach().clone() for p in model.parameters()]
    for used in (model[:1], model, model):
        sum(layer(torch.ones(1, 2)).sum() for layer in used).backward()
        optimizer.step()
        optimizer.zero_grad()
    moves = [(p - q).abs().max().item() for p, q in zip(before, model.parameters(), strict=True)]
    assert moves == pytest.approx([0.3, 0.3, 0.2, 0.2])
