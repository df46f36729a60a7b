"""Piecewise-linear codes of numbers against the formula, and inside the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from limpid.config import ModelConfig
from limpid.data.encode import LEAST_BIN, MOST_BINS, TableEncoder
from limpid.models import build_model, layer_table, totals
from limpid.models.number_encoding import SIZE, NumberEncoding
from limpid.spec import DataSpec

# Feature 1 is an indicator, without edges.
SPEC = DataSpec(
    name="rows",
    kind="table",
    task="classification",
    input_shape=(3,),
    num_outputs=2,
    scale_mean=(10.0, 0.0, -2.0),
    scale_std=(4.0, 1.0, 0.5),
    quantiles=((2.0, 5.0, 6.0, 30.0), (), (-3.0, -1.0)),
)


def formula(x_BF: np.ndarray, module: NumberEncoding) -> np.ndarray:
    """Row by row, feature by feature, edge by edge, on raw numbers."""
    weight, bias = module.weight.detach().numpy(), module.bias.detach().numpy().reshape(-1, SIZE)
    rows = []
    for x_F in x_BF:
        row = [(x - m) / s for x, m, s in zip(x_F, SPEC.scale_mean, SPEC.scale_std, strict=True)]
        for c, i in enumerate((0, 2)):
            edges = SPEC.quantiles[i]
            v = bias[c].astype(float)
            for t in range(len(edges) - 1):
                share = (x_F[i] - edges[t]) / (edges[t + 1] - edges[t])
                v = v + min(max(share, 0.0), 1.0) * weight[c, t]
            row += list(np.maximum(v, 0.0))
        rows.append(row)
    return np.array(rows)


def test_equals_the_formula_at_inside_and_outside_the_edges() -> None:
    module = NumberEncoding(SPEC)
    torch.nn.init.normal_(module.bias)
    x_BF = np.array([[2, 0, -3], [5, 1, -1], [5.5, 0, -2.25], [-100, 1, -50], [1000, 0, 50], [30, 1, -1.5]], np.float64)
    z_BF = (x_BF - np.array(SPEC.scale_mean)) / np.array(SPEC.scale_std)
    got = module(torch.tensor(z_BF, dtype=torch.float32)).detach().numpy()
    assert got.shape == (6, module.width)
    np.testing.assert_allclose(got, formula(x_BF, module), rtol=1e-5, atol=1e-5)


def test_padding_never_learns() -> None:
    module = NumberEncoding(SPEC)
    module(torch.randn(50, 3) * 3).square().sum().backward()
    assert module.weight.grad is not None
    assert torch.count_nonzero(module.weight[1, 1:]) == 0
    assert torch.count_nonzero(module.weight.grad[1, 1:]) == 0
    assert torch.count_nonzero(module.weight.grad[1, :1]) > 0


def test_network_takes_raw_numbers_counts_its_cost_and_travels_as_weights() -> None:
    spec = SPEC.model_copy(update={"cardinalities": (4,), "category_names": ("a",)})
    config = ModelConfig(name="mlp", hidden=(8,), numbers="piecewise")
    network, other = build_model(config, spec, seed=0).eval(), build_model(config, spec, seed=1).eval()
    inputs = torch.tensor([[3.0, 1.0, -2.0], [20.0, 0.0, -1.5]]), torch.tensor([[1], [3]])
    other.load_state_dict(network.state_dict())
    assert torch.equal(network(*inputs), other(*inputs))
    parameters, macs = totals(layer_table(network, spec))
    assert parameters == sum(p.numel() for p in network.parameters())
    width = 3 + 2 * SIZE + network.body.embedding.width  # type: ignore[union-attr]
    assert macs == 2 * 3 * SIZE + width * 8 + 8 * 2
    plain = build_model(ModelConfig(name="mlp", hidden=(8,), numbers="plain"), spec, seed=0)
    assert not any(isinstance(module, NumberEncoding) for module in plain.modules())


def quantiles(*columns: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return TableEncoder((), onehot=False).quantiles(np.stack(columns, axis=1).astype(np.float32))


def test_edges_at_every_value_when_there_are_few_and_none_for_two() -> None:
    few, two = quantiles(np.tile([3.0, 1.0, 7.0], 10), np.tile([0.0, 1.0, 1.0], 10))
    assert few == (1.0, 3.0, 7.0)
    assert two == ()


def test_edges_follow_rows_and_tell_rare_values_apart() -> None:
    random = np.random.default_rng(0)
    heavy = np.where(random.random(5000) < 0.9, 0.0, np.round(random.uniform(1, 1e5, 5000)))
    (edges,) = quantiles(heavy)
    assert MOST_BINS // 2 - 1 <= len(edges) - 1 <= MOST_BINS
    assert all(np.diff(edges) > LEAST_BIN * heavy.std())
    assert np.diff(edges).max() < 4 * 1e5 / (MOST_BINS // 2)  # though nine rows of ten hold one value


def test_edges_too_close_for_float32_are_merged() -> None:
    (edges,) = quantiles(np.array([0.0, 1e-7, 2e-7, 1.0, 2.0] * 4))
    assert edges == pytest.approx((0.0, 1.0, 2.0))
