"""A network with several heads, and the gradient of what they share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from limpid.config import ModelConfig, ObjectiveConfig
from limpid.errors import ModelError
from limpid.models.multi_task import Heads, share_trunk
from limpid.models.network import Network
from limpid.models.registry import build_model
from limpid.objectives.multi_task import Head, MultiTask
from limpid.objectives.registry import build_objective
from limpid.spec import DataSpec
from limpid.training.step import train_step


class Batch:
    def __init__(self, x: Tensor, target: Tensor) -> None:
        self.inputs, self.target = (x,), target


def spec(task: str = "classification", num_outputs: int = 3) -> DataSpec:
    return DataSpec(name="t", kind="vector", task=task, input_shape=(4,), num_outputs=num_outputs)


def two_tasks() -> MultiTask:
    """A class of three and two numbers, with weights 1 and 0.5."""
    kind = build_objective(ObjectiveConfig(loss="cross_entropy"), spec())
    size = build_objective(ObjectiveConfig(loss="mse"), spec("regression", 2))
    return MultiTask(
        (Head("kind", kind, 1.0, slice(0, 3), slice(0, 1)), Head("size", size, 0.5, slice(3, 5), slice(1, 3)))
    )


def network(seed: int = 0) -> Network:
    config = ModelConfig(name="mlp", hidden=(16, 8), norm="none", dropout=0.0)
    built = build_model(config, spec(), seed=seed)
    torch.manual_seed(seed)
    return share_trunk(built, 3, {"kind": 3, "size": 2})


def trunk_gradients(model: Network, loss: Tensor) -> dict[str, Tensor]:
    parameters = {name: p for name, p in model.named_parameters() if "by_name" not in name}
    return dict(zip(parameters, torch.autograd.grad(loss, [*parameters.values()], retain_graph=True), strict=True))


@pytest.mark.spec("A62", "C19")
def test_the_trunks_gradient_is_the_weighted_sum_of_the_heads_gradients() -> None:
    model, objective = network().double(), two_tasks()
    model.scale.enabled = False  # it would answer in float32
    x = torch.randn(10, 4, dtype=torch.float64)
    target = torch.cat((torch.randint(3, (10, 1)).double(), torch.randn(10, 2, dtype=torch.float64)), dim=1)
    outputs = model(x)
    together = trunk_gradients(model, objective.loss(outputs, target))
    apart = [trunk_gradients(model, head_loss(head, outputs, target)) for head in objective.heads]
    assert len(together) == 4
    for name, gradient in together.items():
        expected = sum(head.weight * part[name] for head, part in zip(objective.heads, apart, strict=True))
        torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-9)
        assert gradient.abs().max() > 1e-4


def head_loss(head: Head, outputs: Tensor, target: Tensor) -> Tensor:
    return head.objective.loss(head.of_outputs(outputs), head.of_target(target))


@pytest.mark.spec("A62")
def test_the_sum_is_exact_where_arithmetic_is() -> None:
    """With small whole numbers every product and sum is exact, so that the two gradients must agree bit for bit."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), Heads(8, {"a": 2, "b": 2})).double()
    for p in model.parameters():
        p.data = torch.randint(-4, 5, p.shape, generator=generator).double()
    numbers = build_objective(ObjectiveConfig(loss="mse"), spec("regression", 2))
    objective = MultiTask(
        (Head("a", numbers, 1.0, slice(0, 2), slice(0, 2)), Head("b", numbers, 1.0, slice(2, 4), slice(2, 4)))
    )
    x = torch.randint(-4, 5, (8, 4), generator=generator).double()
    target = torch.randint(-4, 5, (8, 4), generator=generator).double()
    outputs = model(x)
    trunk = [*model[0].parameters()]
    together = torch.autograd.grad(objective.loss(outputs, target), trunk, retain_graph=True)
    parts = [
        torch.autograd.grad(head_loss(head, outputs, target), trunk, retain_graph=True) for head in objective.heads
    ]
    for whole, a, b in zip(together, *parts, strict=True):
        assert torch.equal(whole, a + b)
        assert not torch.equal(whole, a)


def test_both_tasks_are_learned_by_the_ordinary_step() -> None:
    model, objective = network(), two_tasks()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(300, 4, generator=generator)
    kind = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    target = torch.cat((kind[:, None].float(), x[:, :1] - x[:, 2:3], x[:, 3:]), dim=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        train_step(model, objective, optimizer, Batch(x, target))
    figures = objective.metrics(model(x).detach(), target)
    assert figures["kind_accuracy"] > 0.93
    assert figures["size_r2"] > 0.93


def test_any_architecture_is_a_trunk_if_its_head_is_dense() -> None:
    pictures = DataSpec(name="p", kind="image", task="classification", input_shape=(3, 16, 16), num_outputs=3)
    model = share_trunk(build_model(ModelConfig(name="convnet"), pictures, seed=0), 3, {"kind": 4, "age": 1})
    assert model(torch.zeros(2, 3, 16, 16, dtype=torch.uint8)).shape == (2, 5)
    line = share_trunk(build_model(ModelConfig(name="linear"), spec(), seed=0), 3, {"a": 1, "b": 1})
    assert line(torch.zeros(2, 4)).shape == (2, 2)
    mapped = Network(pictures, nn.Sequential(nn.Conv2d(3, 3, 16), nn.Flatten()))
    with pytest.raises(ModelError, match="dense last layer; that of this network is a Conv2d"):
        share_trunk(mapped, 3, {"a": 1})
