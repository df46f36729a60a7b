"""k nearest neighbours against scikit-learn and brute force (A63)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from limpid.config import ModelConfig, ObjectiveConfig
from limpid.models import neighbours
from limpid.models.neighbours import store_step
from limpid.models.registry import build_model
from limpid.objectives.registry import build_objective
from limpid.optim.still import Still
from limpid.spec import DataSpec

OUTPUTS = {"classification": 3, "binary": 1, "regression": 2}


def stored(x: torch.Tensor, target: torch.Tensor, task: str, k: int, *, batch: int = 1000):  # type: ignore[no-untyped-def]
    spec = DataSpec.model_validate(
        {"name": "rows", "kind": "vector", "task": task, "input_shape": (x.shape[1],), "num_train": len(x)}
        | {"num_outputs": OUTPUTS[task]}
        | ({"target_mean": (1.0, 2.0), "target_std": (2.0, 0.0)} if task == "regression" else {})
    )
    objective = build_objective(ObjectiveConfig(), spec)
    network = build_model(ModelConfig.model_validate({"name": "knn", "k": k}), spec, seed=0)
    optimizer = Still(network.parameters(), lr=1.0)
    for index in torch.randperm(len(x), generator=torch.Generator().manual_seed(1)).split(batch):
        part = SimpleNamespace(inputs=(x[index],), target=target[index], index=index)
        loss = store_step(network, objective, optimizer, part)
    return network.eval(), loss


def points(num: int = 300, seed: int = 0) -> torch.Tensor:
    return torch.randn(num, 4, generator=torch.Generator().manual_seed(seed))


@pytest.mark.spec("A63")
def test_one_neighbour_has_no_training_error_even_on_points_that_nearly_coincide() -> None:
    # Away from the origin and a thousandth apart: |x|^2 - 2 x.r + |r|^2 mistakes the nearest of these in float32.
    line = torch.linspace(0, 0.4, 400)[:, None] + torch.tensor([[3.0, -4.0]])
    assert (torch.addmm(line.square().sum(1), line, line.t(), alpha=-2.0).argmin(1) != torch.arange(400)).any()
    label_N = torch.randint(0, 3, (400,), generator=torch.Generator().manual_seed(2))
    network, loss = stored(line, label_N, "classification", 1)
    assert (network(line).argmax(1) == label_N).all()
    assert loss.item() == pytest.approx(-np.log((1 + 1 / 3) / 2), rel=1e-4)


@pytest.mark.parametrize("k", [1, 4, 15])
def test_shares_and_means_equal_scikit_learn(k: int) -> None:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    x, fresh = points(), points(50, seed=9)
    label_N = (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()
    network, _ = stored(x, label_N, "classification", k, batch=64)
    shares = KNeighborsClassifier(k).fit(x.numpy(), label_N.numpy()).predict_proba(fresh.numpy())
    np.testing.assert_allclose(network(fresh).softmax(1).numpy(), (shares * k + 1 / 3) / (k + 1), rtol=1e-5)

    network, _ = stored(x, (label_N > 0).float()[:, None], "binary", k)
    share = KNeighborsClassifier(k).fit(x.numpy(), (label_N > 0).numpy()).predict_proba(fresh.numpy())[:, 1]
    np.testing.assert_allclose(network(fresh).sigmoid()[:, 0].numpy(), (share * k + 0.5) / (k + 1), rtol=1e-5)

    y = torch.stack((x.sum(1), torch.full((300,), 2.0)), 1)
    network, _ = stored(x, y, "regression", k)
    values = KNeighborsRegressor(k).fit(x.numpy(), y.numpy()).predict(fresh.numpy())
    np.testing.assert_allclose(network(fresh).numpy() * [2, 1] + [1, 2], values, atol=1e-5)


def test_pieces_and_other_orders_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, label_N = points(), torch.arange(300) % 3
    one, _ = stored(x, label_N, "classification", 5)
    other, _ = stored(x, label_N, "classification", 5, batch=7)
    assert torch.equal(one.body.rows_NF, other.body.rows_NF)
    expected = one(x)
    monkeypatch.setattr(neighbours, "DISTANCES_AT_ONCE", 3000)
    torch.testing.assert_close(other(x), expected)


def test_more_neighbours_than_rows_and_rows_not_yet_seen() -> None:
    x, label_N = points(6), torch.tensor([0, 0, 0, 1, 1, 2])
    network, _ = stored(x, label_N, "classification", 50)
    torch.testing.assert_close(network(x[:1]).softmax(1)[0], torch.tensor([10 / 3, 7 / 3, 4 / 3]) / 7)
    network.body.seen_N[3:] = False
    assert (network(x).argmax(1) == 0).all()
