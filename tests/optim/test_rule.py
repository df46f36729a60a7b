"""No optimiser imports torch's compiler, and those of torch move as they do in torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from limpid.optim.rule import spared


def test_no_optimizer_imports_the_compiler() -> None:
    code = (
        "import sys, torch\n"
        "from limpid.catalogue.optimizers import OPTIMIZERS\n"
        "from limpid.config import OptimConfig\n"
        "from limpid.optim import build_optimizer\n"
        "kinds = set()\n"
        "for name in OPTIMIZERS:\n"
        "    model = torch.nn.Linear(3, 2)\n"
        "    o = build_optimizer(OptimConfig(name=name, lr=.1, weight_decay=0., lookahead=0), model)\n"
        "    for _ in range(2): model(torch.ones(1, 3)).sum().backward(); o.step(); o.zero_grad(); o.state_dict()\n"
        "    assert 'torch._dynamo' not in sys.modules, name\n"
        "    kinds.add(type(o).__name__)\n"
        "assert kinds >= {'FusedAdam', 'FusedSGD'}, kinds"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("kind", ["NAdam", "RAdam", "Adamax", "Adagrad", "RMSprop", "Adadelta", "Rprop", "Adafactor"])
def test_spared_steps_have_the_bits_of_torchs(kind: str) -> None:
    paths = []
    for make in (spared(getattr(torch.optim, kind)), getattr(torch.optim, kind)):
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = make(model.parameters(), lr=0.05)
        for _ in range(5):
            model(torch.randn(4, 3)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        assert all(not p.grad_fn and p.requires_grad for p in model.parameters())
        paths.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*paths, strict=True))
