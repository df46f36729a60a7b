"""Explicit solutions against their equations, NumPy, scikit-learn and gradient descent (A5, A6, G5, G6, G17)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from limpid.config import ModelConfig, ObjectiveConfig
from limpid.models.normal_equations import STRENGTHS_PER_ROW, Sums, solve, solve_gram, validation_errors
from limpid.models.registry import build_model
from limpid.models.ridge import solve_step
from limpid.objectives.registry import build_objective
from limpid.optim.regularizers import SoftThreshold
from limpid.optim.still import Still
from limpid.spec import DataSpec


def rows(num: int = 80, features: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num, features, generator=generator, dtype=torch.float64) @ torch.randn(
        features, features, generator=generator, dtype=torch.float64
    )
    y = x @ torch.randn(features, 2, generator=generator, dtype=torch.float64) + 3
    return x, y + torch.randn(num, 2, generator=generator, dtype=torch.float64)


@pytest.mark.spec("A5")
def test_a_column_of_ones_absorbs_the_bias() -> None:
    x, _ = rows()
    w, b = torch.randn(6, 2, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
    with_ones, stacked = torch.cat((x, torch.ones(80, 1, dtype=torch.float64)), 1), torch.cat((w, b[None]))
    torch.testing.assert_close(with_ones @ stacked, x @ w + b, rtol=0, atol=1e-13)
    # Whole numbers leave no rounding: then the two are equal to the last bit.
    x, w, b = (torch.round(t * 8) for t in (x, w, b))
    assert torch.equal(torch.cat((x, torch.ones_like(x[:, :1])), 1) @ torch.cat((w, b[None])), x @ w + b)


@pytest.mark.spec("A6")
@pytest.mark.parametrize("strength", [0.1, 3.0, 1000.0])
def test_ridge_satisfies_its_equation(strength: float) -> None:
    a, y = rows()
    (theta,) = solve_gram(a.t() @ a, a.t() @ y, (strength,))
    left = (a.t() @ a + strength * torch.eye(6, dtype=torch.float64)) @ theta
    assert (left - a.t() @ y).abs().max() <= 1e-10 * (a.t() @ y).abs().max()
    from sklearn.linear_model import Ridge

    oracle = Ridge(alpha=strength).fit(a.numpy(), y.numpy())
    ((theta, b),) = solve(Sums.of(a, y), (strength,))
    np.testing.assert_allclose(theta.t().numpy(), oracle.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(b.numpy(), oracle.intercept_, rtol=1e-9)


@pytest.mark.spec("A6")
def test_least_squares_is_the_pseudo_inverse_even_where_columns_repeat() -> None:
    x, y = rows()
    x = torch.cat((x, x[:, :2]), dim=1)
    ((theta, b),) = solve(Sums.of(x, y), (0.0,))
    centred = x - x.mean(0)
    torch.testing.assert_close(theta, torch.linalg.pinv(centred) @ (y - y.mean(0)), rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(b, y.mean(0) - x.mean(0) @ theta)


@pytest.mark.spec("A6")
def test_gradient_descent_arrives_at_the_explicit_solution() -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(60, 4, generator=generator, dtype=torch.float64)
    y = x @ torch.randn(4, 1, generator=generator, dtype=torch.float64) + torch.randn(
        60, 1, generator=generator, dtype=torch.float64
    )
    ((theta, b),) = solve(Sums.of(x, y), (0.0,))
    layer = torch.nn.Linear(4, 1, dtype=torch.float64)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.2)
    for _ in range(2000):
        optimizer.zero_grad()
        (layer(x) - y).square().mean().backward()
        optimizer.step()
    assert (layer.weight.t() - theta).abs().max() <= 1e-6
    assert (layer.bias - b).abs().max() <= 1e-6


@pytest.mark.spec("G5")
def test_ridge_shrinks_along_the_eigenvectors_of_the_hessian() -> None:
    a, y = rows()
    gram, moment, strength = a.t() @ a, a.t() @ y, 5.0
    plain, shrunk = solve_gram(gram, moment, (0.0, strength))
    value, vector = torch.linalg.eigh(gram)
    ratio = (vector.t() @ shrunk) / (vector.t() @ plain)
    torch.testing.assert_close(ratio, (value / (value + strength))[:, None].expand_as(ratio), rtol=1e-8, atol=0)


@pytest.mark.spec("G6")
def test_on_an_orthonormal_design_l1_soft_thresholds_the_least_squares_solution() -> None:
    generator = torch.Generator().manual_seed(4)
    a = torch.linalg.qr(torch.randn(50, 8, generator=generator, dtype=torch.float64)).Q
    y = torch.randn(50, 1, generator=generator, dtype=torch.float64) * 2
    (plain,) = solve_gram(a.t() @ a, a.t() @ y, (0.0,))
    strength = plain.abs().median().item()
    expected = plain.sign() * (plain.abs() - strength).clamp(min=0)
    assert 0 < (expected == 0).sum() < 8

    # Our proximal step arrives there at once: a full gradient step solves least squares on such a design.
    weight = torch.nn.Parameter(torch.zeros(8, 1, dtype=torch.float64))
    (0.5 * (a @ weight - y).square().sum()).backward()
    optimizer = torch.optim.SGD([weight], lr=1.0)
    optimizer.step()
    SoftThreshold([weight], strength).apply(optimizer.param_groups)
    torch.testing.assert_close(weight.detach(), expected, rtol=0, atol=1e-13)
    from sklearn.linear_model import Lasso

    # 1 / (2 N) |y - A w|^2 + alpha |w|_1, so that alpha = strength / N
    oracle = Lasso(alpha=strength / 50, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(a.numpy(), y.numpy())
    np.testing.assert_allclose(expected[:, 0].numpy(), oracle.coef_, atol=1e-9)


@pytest.mark.spec("G17")
def test_the_strength_has_the_lowest_mean_validation_error() -> None:
    from sklearn.linear_model import Ridge

    x, y = rows(40, 12, seed=5)
    y = y[:, :1] * 0.01 + torch.randn(40, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    fold_N = torch.arange(40) % 5
    strengths = tuple(share * 40 for share in STRENGTHS_PER_ROW)
    found_L = validation_errors([Sums.of(x[fold_N == d], y[fold_N == d]) for d in range(5)], strengths)
    naive_L = []
    for strength in strengths:
        errors = []
        for d in range(5):
            model = Ridge(alpha=strength).fit(x[fold_N != d].numpy(), y[fold_N != d].numpy())
            left = model.predict(x[fold_N == d].numpy()).reshape(-1, 1) - y[fold_N == d].numpy()
            errors.append((left**2).mean())
        naive_L.append(np.mean(errors))
    np.testing.assert_allclose(found_L.numpy(), naive_L, rtol=1e-7)

    network, _ = trained("ridge", x, y, batch=40)
    assert network.body.strength.item() == pytest.approx(strengths[int(np.argmin(naive_L))])


def trained(name: str, x: torch.Tensor, y: torch.Tensor, *, batch: int, **options: object):  # type: ignore[no-untyped-def]
    spec = DataSpec(
        name="rows", kind="vector", task="regression", input_shape=(x.shape[1],), num_outputs=y.shape[1],
        target_mean=tuple(y.mean(0).tolist()), target_std=tuple(y.std(0, correction=0).tolist()), num_train=len(x),
    )  # fmt: skip
    network = build_model(ModelConfig.model_validate({"name": name, **options}), spec, seed=0)
    optimizer = Still(network.parameters(), lr=1.0)
    objective = build_objective(ObjectiveConfig(), spec)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    losses = []
    for index in order.split(batch):
        part = SimpleNamespace(inputs=(x[index].float(),), target=y[index].float(), index=index)
        losses.append(solve_step(network, objective, optimizer, part).item())
    assert optimizer.param_groups[0]["memory"] == {}
    return network, losses


@pytest.mark.parametrize("name", ["least-squares", "ridge"])
def test_batches_give_the_solution_of_all_rows(name: str) -> None:
    x, y = rows()
    whole, _ = trained(name, x, y, batch=80)
    parts, losses = trained(name, x, y, batch=13)
    torch.testing.assert_close(whole.body.linear.weight, parts.body.linear.weight, rtol=1e-4, atol=1e-6)
    assert losses[-1] < 0.5 * losses[0], "solved with the last row"
    fitted = whole(x.float()).double().detach() * y.std(0, correction=0) + y.mean(0)
    if name == "least-squares":
        direct = torch.linalg.lstsq(torch.cat((x, torch.ones_like(x[:, :1])), 1), y).solution
        torch.testing.assert_close(fitted, x @ direct[:-1] + direct[-1], rtol=1e-3, atol=1e-3)


def test_too_many_inputs_are_refused() -> None:
    spec = DataSpec(name="photos", kind="image", task="binary", input_shape=(3, 224, 224), num_outputs=1)
    with pytest.raises(Exception, match=r"150,528 numbers per sample.*model.name=linear"):
        build_model(ModelConfig(name="ridge"), spec, seed=0)
