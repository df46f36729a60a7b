"""Muon against singular values, and what it leaves to AdamW."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from limpid.config import OptimConfig
from limpid.optim import build_optimizer
from limpid.optim.muon import orthogonalize


def build(model: nn.Module, **options: Any) -> torch.optim.Optimizer:
    return build_optimizer(OptimConfig(**({"name": "muon", "lr": 0.02, "weight_decay": 0.0} | options)), model)


@pytest.mark.parametrize("shape", [(12, 12), (5, 30), (40, 7)])
def test_orthogonalised_singular_values_are_near_one_and_keep_their_directions(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.float64)
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    core = u.T @ orthogonalize(matrix, 5) @ vt.T
    values = core.diagonal()
    assert (core - values.diag()).abs().max() < 1e-9
    # The interval of the quintic: 0.68 to 1.13 for singular values above 0.0015 of the norm, here above 0.005.
    assert 0.65 < values.min() <= values.max() < 1.2


def twin(grads: list[torch.Tensor], w: torch.Tensor, *, lr: float, decay: float, nesterov: bool) -> torch.Tensor:
    """Jordan's rule with the polynomial applied to the singular values themselves."""
    m = torch.zeros_like(w)
    for g in grads:
        m = 0.95 * m + g
        u, s, vt = torch.linalg.svd((g + 0.95 * m) if nesterov else m, full_matrices=False)
        s = s / s.norm()
        for _ in range(5):
            s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
        scale = max(1.0, w.shape[0] / w.shape[1]) ** 0.5
        w = w * (1 - lr * decay) - lr * scale * (u * s) @ vt
    return w


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", [(8, 3, 2, 2), (5, 9), (9, 5)])
def test_steps_are_those_of_the_formula(shape: tuple[int, ...], nesterov: bool) -> None:
    torch.manual_seed(0)
    model = nn.Module()
    model.w = nn.Parameter(torch.randn(shape, dtype=torch.float64))
    first = model.w.detach().clone().flatten(1)
    optimizer = build(model, nesterov=nesterov, weight_decay=0.3, decay_all=True)
    grads = [torch.randn(shape, dtype=torch.float64) for _ in range(6)]
    for g in grads:
        model.w.grad = g.clone()
        optimizer.step()
    expected = twin([g.flatten(1) for g in grads], first, lr=0.02, decay=0.3, nesterov=nesterov)
    torch.testing.assert_close(model.w.detach().flatten(1), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("adjust", ["original", "match_rms_adamw"])
def test_matrices_agree_with_torchs_muon(adjust: str) -> None:
    """torch iterates in bfloat16, which leaves 2 to 3 digits of each update."""
    torch.manual_seed(0)
    ours, theirs = nn.Module(), nn.Module()
    ours.w = nn.Parameter(torch.randn(16, 24))
    theirs.w = nn.Parameter(ours.w.detach().clone())
    first = ours.w.detach().clone()
    optimizers = (
        build(ours, weight_decay=0.1, decay_all=True, adjust_lr=adjust),
        torch.optim.Muon([theirs.w], lr=0.02, weight_decay=0.1, adjust_lr_fn=adjust),
    )
    for _ in range(10):
        gradient = torch.randn(16, 24)
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            model.w.grad = gradient.clone()
            optimizer.step()
    moved, other = ours.w.detach() - first, theirs.w.detach() - first
    assert (moved - other).norm() < 0.03 * moved.norm()


class Transformerish(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.codes = nn.Embedding(7, 4)
        self.conv = nn.Conv2d(1, 4, 3)
        self.hidden = nn.Linear(4, 4)
        self.norm = nn.LayerNorm((2, 4))
        self.head = nn.Linear(4, 3)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("convolutions", [True, False])
def test_hidden_matrices_go_by_muon_and_the_rest_by_adamw(convolutions: bool, weight_decay: float) -> None:
    model = Transformerish()
    optimizer = build(model, convolutions=convolutions, weight_decay=weight_decay, adam_lr=0.005)
    hidden = [p for group in optimizer.param_groups if group["hidden"] for p in group["params"]]
    expected = [model.conv.weight, model.hidden.weight] if convolutions else [model.hidden.weight]
    assert [id(p) for p in hidden] == [id(p) for p in expected]
    assert {(group["hidden"], group["lr"]) for group in optimizer.param_groups} == {(True, 0.02), (False, 0.005)}
    assert optimizer.param_groups[0]["hidden"], "the rate that is recorded is that of the matrices"
    everything = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(everything) == sorted(id(p) for p in model.parameters())


def test_the_rest_moves_exactly_as_by_adamw() -> None:
    torch.manual_seed(0)
    model, other = Transformerish().double(), Transformerish().double()
    other.load_state_dict(model.state_dict())
    options = {"weight_decay": 0.1, "betas": (0.8, 0.99), "eps": 1e-6}
    optimizer = build(model, adam_lr=0.005, **options)
    adamw = build(other, **{"name": "adamw", "lr": 0.005, **options})
    for _ in range(8):
        for p, q in zip(model.parameters(), other.parameters(), strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        optimizer.step()
        adamw.step()
    for layer in ("codes", "norm", "head"):
        for p, q in zip(getattr(model, layer).parameters(), getattr(other, layer).parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-11)
    assert not torch.allclose(model.hidden.weight, other.hidden.weight)
