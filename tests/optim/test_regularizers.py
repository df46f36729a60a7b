"""Penalties and limits against their formulas, autograd and closed solutions; all in float64."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limpid.config import OptimConfig, RegularizeConfig
from limpid.errors import ConfigError
from limpid.optim import build_optimizer
from limpid.optim.regularizers import MaxNorm, Penalty, SoftThreshold, attach_regularizers, chosen_parameters


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Tanh(), nn.Linear(7, 3)).double()


def gradients_after(config: RegularizeConfig, model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """The gradients that the optimiser sees: those of the data and of the penalty."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    attach_regularizers(config, model, optimizer)
    nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def train(config: RegularizeConfig, steps: int = 20, **options: Any) -> nn.Module:
    torch.manual_seed(1)
    model, x, y = network(), torch.randn(30, 5).double(), torch.randn(30, 3).double()
    settings = {"name": "sgd", "lr": 0.1, "weight_decay": 0.0, "warmup": 0.0, **options}
    optimizer = build_optimizer(OptimConfig(**settings), model)
    attach_regularizers(config, model, optimizer)
    for _ in range(steps):
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


@pytest.mark.spec("C12", "X11")
@pytest.mark.parametrize(
    ("options", "penalty"),
    [
        ({"l2": 0.3}, lambda w: 0.3 / 2 * w.square().sum()),  # gradient lambda w
        ({"l2_sum": 0.3}, lambda w: 0.3 * w.square().sum()),  # gradient 2 alpha w; of ridge: 2 Gamma theta
        ({"l2": 0.7}, lambda w: 0.7 * 0.5 * w.norm() ** 2),  # gradient beta w
        ({"l1": 0.3}, lambda w: 0.3 * w.abs().sum()),  # gradient alpha sign(w)
        ({"l1": 0.2, "l2": 0.3}, lambda w: 0.2 * w.abs().sum() + 0.15 * w.square().sum()),  # elastic net
    ],
    ids=["half", "full", "norm", "l1", "elastic"],
)
def test_gradients_are_those_of_the_penalised_loss(options: dict[str, float], penalty: Any) -> None:
    model, x, y = network(), torch.randn(9, 5).double(), torch.randn(9, 3).double()
    twin = copy.deepcopy(model)
    loss = nn.functional.mse_loss(twin(x), y) + sum(penalty(p) for p in twin.parameters() if p.ndim > 1)
    loss.backward()
    found = gradients_after(RegularizeConfig(**options), model, x, y)
    for name, p in twin.named_parameters():
        torch.testing.assert_close(found[name], p.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.spec("C12")
def test_the_forms_convert_and_equal_torchs_weight_decay() -> None:
    """alpha = lambda / 2; torch's weight_decay lambda is the penalty lambda / 2 |w|^2; w <- (1 - eta lambda) w - ..."""
    half = train(RegularizeConfig(l2=0.2, on="all"))
    full = train(RegularizeConfig(l2_sum=0.1, on="all"))
    decay = train(RegularizeConfig(), weight_decay=0.2, decay_all=True)
    for a, b, c in zip(half.parameters(), full.parameters(), decay.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(a, c, rtol=1e-12, atol=1e-14)
    w = nn.Parameter(torch.randn(4, 4).double())
    before = w.detach().clone()
    w.grad = torch.zeros_like(w)
    Penalty([w], l2=0.5).add_gradient()
    torch.optim.SGD([w], lr=0.1).step()
    torch.testing.assert_close(w.detach(), (1 - 0.1 * 0.5) * before, rtol=1e-15, atol=0)


@pytest.mark.spec("C13")
def test_soft_thresholding_gives_exact_zeros() -> None:
    w = nn.Parameter(torch.tensor([[0.3, -0.3, 0.05, -0.05, 0.1, 0.0]], dtype=torch.float64))
    before = w.detach().clone()
    SoftThreshold([w], l1=2.0).apply([{"params": [w], "lr": 0.05}])  # eta alpha = 0.1
    expected = torch.nn.functional.softshrink(before, 0.1)
    torch.testing.assert_close(w.detach(), expected, rtol=1e-15, atol=1e-15)
    assert (w == 0).sum() == 4
    plain, sparse = (train(RegularizeConfig(l1=0.1, proximal=form), steps=200) for form in (False, True))
    zeros = [int(sum((p == 0).sum() for p in model.parameters() if p.ndim > 1)) for model in (plain, sparse)]
    assert zeros[0] == 0, "the subgradient steps over zero"
    assert zeros[1] > 5


@pytest.mark.spec("C14", "G7")
def test_only_weights_are_penalised_unless_told_otherwise() -> None:
    model, x, y = network(), torch.randn(9, 5).double(), torch.randn(9, 3).double()
    free = gradients_after(RegularizeConfig(), copy.deepcopy(model), x, y)
    held = gradients_after(RegularizeConfig(l2=0.5, l1=0.1), copy.deepcopy(model), x, y)
    for name, gradient in free.items():
        is_weight = name in ("0.weight", "3.weight")
        assert torch.equal(held[name], gradient) is not is_weight, name
    everything = gradients_after(RegularizeConfig(l2=0.5, on="all"), copy.deepcopy(model), x, y)
    for name in ("1.weight", "0.weight"):
        torch.testing.assert_close(everything[name], free[name] + 0.5 * dict(model.named_parameters())[name])
    one = gradients_after(RegularizeConfig(l2=0.5, on="3"), copy.deepcopy(model), x, y)
    assert [name for name in free if not torch.equal(one[name], free[name])] == ["3.weight", "3.bias"]


@pytest.mark.spec("C14")
def test_strength_zero_is_the_training_without_a_penalty_bit_for_bit() -> None:
    free, none = train(RegularizeConfig()), train(RegularizeConfig(l1=0.0, l2=0.0, on="all"))
    for a, b in zip(free.parameters(), none.parameters(), strict=True):
        assert torch.equal(a, b)
    optimizer = torch.optim.SGD(network().parameters(), lr=0.1)
    attach_regularizers(RegularizeConfig(), network(), optimizer)
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def minimum(x: Tensor, y: Tensor, config: RegularizeConfig, *, lr: float, steps: int) -> Tensor:
    """Weights of a linear model without bias after so many steps of gradient descent on 1/(2N) |X w - y|^2."""
    model = nn.Linear(x.shape[1], 1, bias=False).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    attach_regularizers(config, model, optimizer)
    for _ in range(steps):
        optimizer.zero_grad()
        (nn.functional.mse_loss(model(x), y) / 2).backward()
        optimizer.step()
    return model.weight.detach()[0]


@pytest.mark.spec("G5")
def test_ridge_shrinks_each_eigenvector_of_the_hessian_by_its_own_share() -> None:
    x = torch.randn(200, 4).double() * torch.tensor([3.0, 1.0, 0.5, 0.2])
    y = x @ torch.randn(4, 1).double() + torch.randn(200, 1).double()
    alpha = 0.3
    curvature, directions = torch.linalg.eigh(x.T @ x / len(x))
    least_squares = torch.linalg.lstsq(x, y).solution[:, 0]
    expected = directions @ (curvature / (curvature + alpha) * (directions.T @ least_squares))
    found = minimum(x, y, RegularizeConfig(l2=alpha), lr=0.1, steps=2000)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.spec("G6")
def test_lasso_on_an_orthonormal_design_is_soft_thresholded_least_squares() -> None:
    x = torch.linalg.qr(torch.randn(64, 8).double()).Q * 8.0  # X^T X / N = I
    y = x @ torch.linspace(-1, 1, 8).double()[:, None] + 0.1 * torch.randn(64, 1).double()
    least_squares = (x.T @ y / len(x))[:, 0]
    expected = nn.functional.softshrink(least_squares, 0.4)
    found = minimum(x, y, RegularizeConfig(l1=0.4, proximal=True), lr=0.5, steps=100)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(found == 0, expected == 0)
    assert 0 < (found == 0).sum() < 8
    # The lectures' example: scale 0.005, mean squared error, descent at 0.05, on all trainable variables.
    example = minimum(x, y, RegularizeConfig(l1=0.005, on="all"), lr=0.05, steps=2000)
    torch.testing.assert_close(example, least_squares - 0.005 * least_squares.sign(), rtol=0, atol=5e-4)


def test_max_norm_projects_the_incoming_weights_of_every_unit() -> None:
    dense = nn.Parameter(torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]]).double())
    kernels = nn.Parameter(torch.randn(6, 2, 3, 3).double().to(memory_format=torch.channels_last))
    bias = nn.Parameter(torch.full((3,), 9.0).double())
    before = kernels.detach().clone()
    MaxNorm([dense, kernels, bias], 2.0).apply()
    torch.testing.assert_close(dense.detach(), torch.tensor([[1.2, 1.6], [0.3, 0.4], [0.0, 0.0]]).double())
    torch.testing.assert_close(kernels.detach(), torch.renorm(before, 2, 0, 2.0), rtol=1e-6, atol=1e-7)
    assert kernels.is_contiguous(memory_format=torch.channels_last)
    assert (bias == 9).all()
    model = train(RegularizeConfig(max_norm=0.3))
    norms = torch.cat([p.detach().norm(dim=1) for p in model.parameters() if p.ndim > 1])
    assert norms.max() <= 0.3 * (1 + 1e-12)
    assert norms.max() > 0.29


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_every_optimiser_obeys(name: str) -> None:
    free, held = train(RegularizeConfig(), name=name), train(RegularizeConfig(l1=1e-2, max_norm=0.5), name=name)
    assert not torch.equal(free[0].weight, held[0].weight)
    assert held[0].weight.norm(dim=1).max() <= 0.5 * (1 + 1e-12)


def test_what_is_chosen() -> None:
    model = nn.Sequential(nn.Embedding(9, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    names = {id(p): name for name, p in model.named_parameters()}

    def chosen(on: str) -> list[str]:
        return [names[id(p)] for p in chosen_parameters(model, on)]

    assert chosen("weights") == ["2.weight"]
    assert chosen("all") == list(names.values())
    assert chosen("*.bias") == ["1.bias", "2.bias"]
    assert chosen("2") == ["2.weight", "2.bias"]
    with pytest.raises(ConfigError, match=r"regularize\.on=2\.wieght names no parameter.*2\.weight"):
        chosen("2.wieght")


def test_proximal_without_strength_and_parameters_without_gradient() -> None:
    with pytest.raises(ConfigError, match=r"set regularize\.l1"):
        attach_regularizers(RegularizeConfig(proximal=True), network(), torch.optim.SGD(network().parameters(), lr=1))
    unused = nn.Parameter(torch.ones(2, 2))
    Penalty([unused], l2=1.0).add_gradient()
    assert unused.grad is None
