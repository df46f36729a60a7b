"""The moving average against its formula, and the exchange of weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from limpid.config import OptimConfig
from limpid.errors import ConfigError
from limpid.optim import WeightAverage, build_average, build_optimizer
from limpid.optim.averaging import EqualAverage


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def move(model: nn.Module) -> None:
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p))
    model(torch.randn(8, 3))  # running statistics move as well


def snapshot(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_average_equals_its_formula() -> None:
    model = network()
    average = WeightAverage(model, 0.9)
    expected = snapshot(model)
    for t in range(120):
        move(model)
        average.update(model)
        d = min(0.9, (1 + t) / (10 + t))
        now = model.state_dict()
        expected = {name: d * value + (1 - d) * now[name] for name, value in expected.items()}
    for name, value in average.state_dict()["average"].items():
        torch.testing.assert_close(value, expected[name])


def test_averaged_weights_are_in_place_inside_the_block_only() -> None:
    model = network()
    average = WeightAverage(model, 0.5)
    move(model)
    average.update(model)
    before = snapshot(model)
    with average.averaged(model) as same:
        assert same is model
        inside = snapshot(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for name, value in average.state_dict()["average"].items():
        assert torch.equal(inside[name], value)
        assert not torch.equal(inside[name], before[name])


def test_own_weights_come_back_after_an_error() -> None:
    model = network()
    average = WeightAverage(model, 0.5)
    move(model)
    average.update(model)
    before = snapshot(model)
    try:
        with average.averaged(model):
            raise KeyError
    except KeyError:
        pass
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_state_round_trip_continues_bit_for_bit() -> None:
    model, twin = network(), network()
    first, second = WeightAverage(model, 0.99), WeightAverage(twin, 0.99)
    move(model)
    first.update(model)
    second.load_state_dict(first.state_dict())
    twin.load_state_dict(model.state_dict())
    for average, net in ((first, model), (second, twin)):
        torch.manual_seed(5)
        move(net)
        average.update(net)
    assert first.updates == second.updates == 2
    for name, value in first.state_dict()["average"].items():
        assert torch.equal(value, second.state_dict()["average"][name]), name


def test_another_wrapping_of_the_model_is_followed() -> None:
    model = network()
    average = WeightAverage(model, 0.5)
    other = network(1)
    average.update(other)
    expected = 0.1 * model[0].weight + 0.9 * other[0].weight
    torch.testing.assert_close(average.state_dict()["average"]["0.weight"], expected)


def test_equal_average_is_the_mean_of_the_ends_of_the_last_epochs() -> None:
    model = network()
    average = EqualAverage(model, first=10, every=4)  # 24 steps: epochs end at 4, 8, ..., 24; collected from 12 on
    collected = []
    for step in range(1, 25):
        move(model)
        average.update(model)
        if step in (12, 16, 20, 24):
            collected.append(snapshot(model))
        with average.averaged(model):
            inside = snapshot(model)
        for name, value in inside.items():
            if value.is_floating_point():
                kept = collected or [snapshot(model)]
                torch.testing.assert_close(value, torch.stack([one[name] for one in kept]).mean(0))
    assert average.collected == 4


def test_equal_average_goes_on_from_its_state() -> None:
    model, twin = network(), network()
    first, second = (EqualAverage(net, first=0, every=2) for net in (model, twin))
    for _ in range(5):
        move(model)
        first.update(model)
    twin.load_state_dict(model.state_dict())
    second.load_state_dict(first.state_dict())
    for average, net in ((first, model), (second, twin)):
        torch.manual_seed(5)
        move(net)
        average.update(net)
    assert first.collected == second.collected == 3
    for name, value in first.state_dict()["average"].items():
        assert torch.equal(value, second.state_dict()["average"][name]), name


def test_two_averages_at_once_are_refused() -> None:
    model = network()
    config = OptimConfig(name="sgd", lr=0.1, weight_decay=0.0, ema=0.9, swa=0.25)
    with pytest.raises(ConfigError, match="optim.ema and optim.swa"):
        build_average(config, model, build_optimizer(config, model), num_steps=10, steps_per_epoch=5)
