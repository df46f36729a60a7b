"""Update rules against golden values, and decay groups."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.config import OptimConfig
from limpid.errors import ModelError
from limpid.optim import build_optimizer, param_groups


class Point(nn.Module):
    """One weight that starts at 1, as a 1 x 1 matrix so that it decays like any weight."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.ones(1, 1, dtype=torch.float64))


def iterates(curvature: float = 1.0, steps: int = 3, fused: bool = True, **options: object) -> list[float]:
    """Successive weights on f = curvature theta^2 / 2 from 1."""
    point = Point()
    optimizer = build_optimizer(OptimConfig(**({"lr": 0.1, "weight_decay": 0.0} | options)), point, fused=fused)
    path = []
    for _ in range(steps):
        optimizer.zero_grad()
        (curvature * point.theta**2 / 2).sum().backward()
        optimizer.step()
        path.append(point.theta.item())
    return path


fused_or_not = pytest.mark.parametrize("fused", [True, False])

GOLDEN = [
    pytest.param({"name": "sgd", "momentum": 0.0}, [0.9, 0.81, 0.729], id="descent"),
    pytest.param({"name": "sgd", "momentum": 0.0, "weight_decay": 0.5}, [0.85, 0.7225, 0.614125], id="decay"),
    pytest.param({"name": "sgd", "momentum": 0.9}, [0.9, 0.72, 0.486], id="momentum"),
    pytest.param({"name": "sgd", "momentum": 0.9, "nesterov": True}, [0.81, 0.5751, 0.327321], id="nesterov"),
    pytest.param({"name": "adam", "eps": 0.1}, [0.9090909091, 0.8188911024, 0.7296875678], id="adam"),
]


@fused_or_not
@pytest.mark.parametrize(("options", "golden"), GOLDEN)
def test_three_steps_of_each_rule(options: dict[str, object], golden: list[float], fused: bool) -> None:
    assert iterates(fused=fused, **options) == pytest.approx(golden, abs=1e-9)


@pytest.mark.spec("O2", "O7")
def test_descent_converges_below_two_over_the_curvature() -> None:
    curvature = 4.0
    plain = {"name": "sgd", "momentum": 0.0, "steps": 400}
    assert abs(iterates(curvature, lr=0.99 * 2 / curvature, **plain)[-1]) < 0.01
    assert abs(iterates(curvature, lr=1.01 * 2 / curvature, **plain)[-1]) > 100
    speed_and_movement, theta = [], 1.0
    for _ in range(3):
        v = 0.1 * theta
        theta -= v
        speed_and_movement.append(theta)
    assert iterates(**{**plain, "steps": 3}) == pytest.approx(speed_and_movement, abs=1e-15)


@fused_or_not
@pytest.mark.spec("O19")
def test_decay_shrinks_a_weight_without_gradient_by_one_minus_lr_lambda(fused: bool) -> None:
    for name in ("sgd", "adamw"):
        path = iterates(0.0, name=name, momentum=0.0, weight_decay=0.3, fused=fused)
        assert path == pytest.approx([0.97, 0.97**2, 0.97**3], abs=1e-12)


def test_adamw_decays_apart_from_the_gradient() -> None:
    coupled = iterates(name="adam", weight_decay=0.3)
    decoupled = iterates(name="adamw", weight_decay=0.3)
    assert decoupled[0] == pytest.approx(0.97 - 0.1, abs=1e-6)  # Adam's first step has the size of lr
    assert coupled[0] == pytest.approx(1 - 0.1, abs=1e-6)


def test_sgd_has_torchs_names_and_defaults() -> None:
    group = build_optimizer(OptimConfig(name="sgd", lr=0.1, momentum=0.0, weight_decay=0.0), Point()).param_groups[0]
    ours = {"lr", "momentum", "weight_decay", "nesterov"}
    defaults = {k: v.default for k, v in inspect.signature(torch.optim.SGD).parameters.items()}
    assert ours <= {*OptimConfig.model_fields, *OPTIMIZERS["sgd"].options} & set(defaults)
    assert {k: group[k] for k in ("momentum", "dampening", "weight_decay", "nesterov")} == {
        k: defaults[k] for k in ("momentum", "dampening", "weight_decay", "nesterov")
    }


def test_nesterov_without_momentum_is_plain_descent() -> None:
    assert iterates(name="sgd", momentum=0.0, nesterov=True) == pytest.approx([0.9, 0.81, 0.729])


@pytest.mark.spec("O9")
def test_nesterov_goes_along_the_points_where_it_looks_ahead() -> None:
    theta, v, path, ahead = 1.0, 0.0, [], []
    for _ in range(3):
        v = 0.9 * v + 0.1 * (theta - 0.9 * v)  # the gradient of theta^2 / 2 at the point ahead
        theta -= v
        path.append(theta)
        ahead.append(theta - 0.9 * v)
    assert path == pytest.approx([0.9, 0.729, 0.51759], abs=1e-12)
    assert ahead == pytest.approx([0.81, 0.5751, 0.327321], abs=1e-12)
    assert iterates(name="sgd", momentum=0.9, nesterov=True) == pytest.approx(ahead, abs=1e-12)


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.codes = nn.Embedding(5, 3)
        self.conv = nn.Conv2d(3, 4, 3)
        self.batch_norm = nn.BatchNorm2d(4)
        self.layer_norm = nn.LayerNorm((4, 2))  # weights of two dimensions are still no weights of a product
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.tied = self.dense = nn.Linear(4, 2)


@pytest.mark.spec("G7")
def test_only_weights_decay_unless_asked_for() -> None:
    model = Mixed()
    decayed, rest = param_groups(model, 0.1)
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.1, 0.0)
    assert [id(p) for p in decayed["params"]] == [id(model.conv.weight), id(model.dense.weight)]
    together = {id(p) for p in decayed["params"] + rest["params"]}
    trainable = {id(p) for p in model.parameters() if p.requires_grad}
    assert together == trainable
    assert len(decayed["params"]) + len(rest["params"]) == len(trainable)
    everything = param_groups(model, 0.1, decay_all=True)
    assert [(len(g["params"]), g["weight_decay"]) for g in everything] == [(len(trainable), 0.1)]
    assert [g["weight_decay"] for g in param_groups(model, 0.0)] == [0.0]


def test_nothing_to_train_is_an_error() -> None:
    with pytest.raises(ModelError, match="Linear has no trainable parameter"):
        build_optimizer(OptimConfig(name="sgd", lr=0.1, weight_decay=0.0), nn.Linear(2, 2).requires_grad_(False))


def test_open_options_are_for_the_defaults_to_fill() -> None:
    with pytest.raises(AssertionError):
        build_optimizer(OptimConfig(name="sgd"), Point())


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_fused_equals_the_plain_update(name: str) -> None:
    assert iterates(name=name, weight_decay=0.1, steps=20) == pytest.approx(
        iterates(name=name, weight_decay=0.1, steps=20, fused=False), abs=1e-9
    )
