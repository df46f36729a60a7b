"""The linear support vector machine (A63): its objective's minimum by other means, and blobs apart."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from limpid.config import DataConfig, ModelConfig, ObjectiveConfig
from limpid.data.builtin import load_builtin
from limpid.data.dataset import ResidentRows
from limpid.models.margin import margin_step
from limpid.models.network import Network
from limpid.models.registry import build_model
from limpid.objectives.registry import build_objective
from limpid.optim.still import Still
from limpid.spec import DataSpec


def solved(x: torch.Tensor, target: torch.Tensor, spec: DataSpec, *, batch: int, **options: object) -> Network:
    network = build_model(ModelConfig.model_validate({"name": "svm", **options}), spec, seed=0)
    objective = build_objective(ObjectiveConfig(), spec)
    optimizer = Still(network.parameters(), lr=1.0)
    for index in torch.arange(len(x)).split(batch):
        margin_step(network, objective, optimizer, SimpleNamespace(inputs=(x[index],), target=target[index]))
    assert optimizer.param_groups[0]["memory"] == {}
    return network.eval()


@pytest.mark.spec("A63")
@pytest.mark.parametrize("hinge", ["hinge", "squared_hinge"])
def test_no_other_weights_have_a_lower_objective(hinge: str) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(80, 3, generator=generator)
    t = torch.where(x[:, 0] + 0.5 * x[:, 1] + 0.7 * torch.randn(80, generator=generator) > 0, 1.0, -1.0)
    spec = DataSpec(name="rows", kind="vector", task="binary", input_shape=(3,), num_outputs=1, num_train=80)
    network = solved(x, (t[:, None] > 0).float(), spec, batch=33, C=0.5, hinge=hinge)
    power = 2 if hinge == "squared_hinge" else 1

    def objective(w: torch.Tensor) -> torch.Tensor:
        margin = (1 - t * (x @ w[:3] + w[3])).clamp(min=0)
        return 0.5 * w.square().sum() + 0.5 * (margin**power).sum()

    layer = network.body.linear  # type: ignore[union-attr]
    found = torch.cat((layer.weight.detach()[0], layer.bias.detach()))  # type: ignore[union-attr]
    w = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=0.05)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.001, 500)
    for _ in range(500):
        optimizer.zero_grad()
        objective(w).backward()
        optimizer.step()
        schedule.step()
    assert objective(found).item() <= objective(w).item() * 1.001
    assert objective(found).item() >= objective(w).item() * 0.99


@pytest.mark.spec("A63", "A5")
@pytest.mark.parametrize("hinge", ["hinge", "squared_hinge"])
def test_separates_blobs(hinge: str) -> None:
    dataset = load_builtin("blobs", DataConfig(size=400, noise=0.3), seed=0)
    assert isinstance(dataset.train.rows, ResidentRows)
    x, target = dataset.train.rows.tensors[0], dataset.train.target
    network = solved(x, target, dataset.spec, batch=len(x), hinge=hinge)
    assert (network(x).argmax(1) == target).all()
    test = dataset.test()
    assert test is not None
    assert (network(test.rows.take(torch.arange(len(test)))[0]).argmax(1) == test.target).all()


def test_a_class_without_rows_is_never_the_answer() -> None:
    x = torch.tensor([[-1.0], [1.0], [-2.0], [2.0]])
    spec = DataSpec(name="rows", kind="vector", task="classification", input_shape=(1,), num_outputs=3, num_train=4)
    network = solved(x, torch.tensor([0, 2, 0, 2]), spec, batch=4)
    assert network(x).argmax(1).tolist() == [0, 2, 0, 2]
