"""A rate for each depth."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from limpid.config import OptimConfig
from limpid.optim.layer_decay import rate_scales, split_by_rate
from limpid.optim.optimizers import build_optimizer


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))


@pytest.mark.spec("A60")
def test_each_block_moves_at_its_own_rate() -> None:
    model = net()
    blocks = [list(model[i].parameters()) for i in (0, 2, 4)]
    config = OptimConfig(name="sgd", lr=0.1, weight_decay=0.01, schedule="constant", warmup=0.0, momentum=0.0)
    optimizer = build_optimizer(config, model, rate_scales=rate_scales(blocks, 0.5))
    before = [p.detach().clone() for p in model.parameters()]
    model(torch.ones(4, 3)).square().sum().backward()
    grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    optimizer.step()
    for i, (p, old, g) in enumerate(zip(model.parameters(), before, grads, strict=True)):
        decay = 0.01 if p.ndim > 1 else 0.0
        expected = old - 0.1 * 0.5 ** (2 - i // 2) * (g + decay * old)
        torch.testing.assert_close(p.detach(), expected)
    assert optimizer.param_groups[0]["lr"] == 0.1  # the one that the record shows is the head's


def test_groups_keep_their_decay_and_every_parameter_once() -> None:
    model = net()
    parameters = list(model.parameters())
    groups = [{"params": parameters[::2], "weight_decay": 0.1}, {"params": parameters[1::2], "weight_decay": 0.0}]
    divided = split_by_rate(groups, 1.0, rate_scales([parameters[:2], parameters[2:]], 0.1))
    assert [(g["lr"], g["weight_decay"], len(g["params"])) for g in divided] == [
        (1.0, 0.1, 2), (1.0, 0.0, 2), (0.1, 0.1, 1), (0.1, 0.0, 1),
    ]  # fmt: skip
    assert {id(p) for g in divided for p in g["params"]} == {id(p) for p in parameters}
