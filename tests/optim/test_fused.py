"""The bare fused optimisers against torch's own, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from limpid.optim.fused import FusedAdam, FusedSGD


def train(optimizer: torch.optim.Optimizer, model: nn.Module, steps: int = 12) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    for number in range(steps):
        image = torch.randn(4, 2, 6, 6, generator=generator)
        outputs = model[:3](image) if number == 2 else model(image)  # the last layer has no gradient in one step
        outputs.square().mean().backward()
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * 0.9
        optimizer.step()
        optimizer.zero_grad()
    return [p.detach().clone() for p in model.parameters()]


def make_model() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 3))
    return model.to(memory_format=torch.channels_last)


def groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    weights = [p for p in model.parameters() if p.ndim > 1]
    biases = [p for p in model.parameters() if p.ndim == 1]
    return [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd_equals_torch(momentum: float, nesterov: bool, decay: float) -> None:
    ours, theirs = make_model(), make_model()
    options = {"lr": 0.1, "momentum": momentum, "nesterov": nesterov, "weight_decay": decay}
    found = train(FusedSGD(groups(ours, decay), **options), ours)  # type: ignore[arg-type]
    expected = train(torch.optim.SGD(groups(theirs, decay), fused=True, **options), theirs)  # type: ignore[arg-type]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_and_adamw_equal_torch(decoupled: bool, decay: float) -> None:
    ours, theirs = make_model(), make_model()
    options: dict[str, Any] = {"lr": 0.05, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": decay}
    found = train(FusedAdam(groups(ours, decay), decoupled=decoupled, **options), ours)
    twin = torch.optim.AdamW if decoupled else torch.optim.Adam
    expected = train(twin(groups(theirs, decay), fused=True, **options), theirs)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
