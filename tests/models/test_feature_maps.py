"""Features that make a plane enough, and networks that are no more than a plane (A7, A8, A9, A10, A13)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from limpid.config import DataConfig, ModelConfig
from limpid.data.builtin import load_builtin
from limpid.data.dataset import ResidentRows
from limpid.errors import ModelError
from limpid.models.feature_maps import Polar, Products, build_features
from limpid.models.registry import build_model
from limpid.models.relu_interpolant import relu_interpolant
from limpid.spec import DataSpec


def vectors(num_features: int, num_outputs: int = 1, task: str = "regression") -> DataSpec:
    return DataSpec.model_validate(
        {"name": "rows", "kind": "vector", "task": task, "input_shape": (num_features,), "num_outputs": num_outputs}
    )


def test_products_written_out() -> None:
    x_BF = torch.randn(5, 4)
    expected = [[*x.tolist(), *(float(x[i] * x[j]) for i in range(4) for j in range(i, 4))] for x in x_BF]
    layer = Products(4)
    assert layer.width == 14
    torch.testing.assert_close(layer(x_BF), torch.tensor(expected))
    assert build_features("poly2", vectors(4))[1] == 14


def test_polar_there_and_back() -> None:
    x_B2 = torch.randn(50, 2)
    r, phi = Polar()(x_B2).unbind(1)
    torch.testing.assert_close(torch.stack((r * phi.cos(), r * phi.sin()), 1), x_B2)
    assert (phi.abs() <= math.pi).all()


@pytest.mark.parametrize(("features", "shape"), [("polar", (3,)), ("poly2", (1, 28, 28))])
def test_features_that_do_not_fit_are_refused(features: str, shape: tuple[int, ...]) -> None:
    spec = vectors(1).model_copy(update={"input_shape": shape, "name": "pictures"})
    with pytest.raises(ModelError, match=f"model.features={features}"):
        build_features(features, spec)


@pytest.mark.spec("A7")
@pytest.mark.parametrize(
    ("data", "features", "reached"),
    [
        ("xor", "poly2", True), ("annulus", "poly2", True), ("annulus", "polar", True), ("polar", "polar", True),
        ("xor", "none", False), ("annulus", "none", False), ("polar", "none", False),
    ],
)  # fmt: skip
def test_curved_boundaries_become_planes(data: str, features: str, reached: bool) -> None:
    dataset = load_builtin(data, DataConfig(size=400), seed=0)
    assert isinstance(dataset.train.rows, ResidentRows)
    x, target = dataset.train.rows.tensors[0], dataset.train.target
    config = ModelConfig.model_validate({"name": "linear", "features": features})
    network = build_model(config, dataset.spec, seed=0)
    # The exclusive or has no gap between its classes, so the plane has to turn to within a point of its place.
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = nn.functional.binary_cross_entropy_with_logits(network(x), target)
        value.backward()
        return value

    for _ in range(5):
        optimizer.step(loss)  # type: ignore[arg-type]
    accuracy = ((network(x) > 0).float() == target).float().mean().item()
    assert accuracy == 1.0 if reached else accuracy < 0.9


@pytest.mark.spec("A8")
def test_two_layers_in_index_form_and_in_matrix_form() -> None:
    config = ModelConfig(name="mlp", hidden=(4,), activation="tanh", norm="none", dropout=0.0)
    body = build_model(config, vectors(3, 2), seed=0).body
    first, second = (layer for layer in body.double() if isinstance(layer, nn.Linear))  # type: ignore[union-attr]
    x_BD = torch.randn(5, 3, dtype=torch.float64)
    out = torch.empty(5, 2, dtype=torch.float64)
    for b in range(5):
        for k in range(2):
            total = second.bias[k].item()
            for i in range(4):
                inner = first.bias[i].item() + sum((first.weight[i, j] * x_BD[b, j]).item() for j in range(3))
                total += second.weight[k, i].item() * math.tanh(inner)
            out[b, k] = total
    torch.testing.assert_close(body(x_BD), out, rtol=1e-13, atol=1e-14)


@pytest.mark.spec("A9")
@pytest.mark.parametrize(
    ("width", "error"), [(4, 0.21051), (8, 0.070378), (16, 0.018846), (32, 0.0047921), (64, 0.0012031)]
)
def test_a_built_network_approximates_the_sine(width: int, error: float) -> None:
    def sine(x: torch.Tensor) -> torch.Tensor:
        return torch.sin(2 * math.pi * x)

    network = relu_interpolant(sine, 0.0, 1.0, width)
    x = torch.linspace(0, 1, 200_001, dtype=torch.float64)[:, None]
    found = (network(x) - sine(x)).abs().max().item()
    assert found == pytest.approx(error, rel=2e-4)
    assert found <= (2 * math.pi) ** 2 / (8 * width**2)
    knots = torch.linspace(0, 1, width + 1, dtype=torch.float64)[:, None]
    torch.testing.assert_close(network(knots), sine(knots), rtol=0, atol=1e-12)


@pytest.mark.spec("A10")
def test_a_linear_hidden_layer_collapses() -> None:
    first, second = nn.Linear(7, 3, bias=False).double(), nn.Linear(3, 5, bias=False).double()
    x = torch.randn(20, 7, dtype=torch.float64)
    product = first.weight.t() @ second.weight.t()
    torch.testing.assert_close(nn.Sequential(first, nn.Identity(), second)(x), x @ product, rtol=0, atol=1e-14)
    assert torch.linalg.matrix_rank(product) <= 3
    assert (nn.Sequential(first, nn.Tanh(), second)(x) - x @ product).abs().max() > 0.01
    # With whole numbers the two orders of multiplication agree to the last bit.
    with torch.no_grad():
        first.weight.copy_(torch.randint(-4, 5, (3, 7)))
        second.weight.copy_(torch.randint(-4, 5, (5, 3)))
    x = x.mul(8).round()
    assert torch.equal(nn.Sequential(first, second)(x), x @ (first.weight.t() @ second.weight.t()))


@pytest.mark.spec("A13")
def test_a_network_is_its_layers_as_plain_functions() -> None:
    config = ModelConfig(name="mlp", hidden=(8, 6, 5), activation="relu", norm="none", dropout=0.0)
    body = build_model(config, vectors(4, 2), seed=0).body
    layers = list(body)  # type: ignore[call-overload]
    assert [type(layer) for layer in layers] == [nn.Linear, nn.ReLU] * 3 + [nn.Linear]
    x = torch.randn(9, 4)
    value = x
    for layer in layers:
        value = (
            value.clamp(min=0) if isinstance(layer, nn.ReLU) else nn.functional.linear(value, layer.weight, layer.bias)
        )
    assert torch.equal(value, body(x))
