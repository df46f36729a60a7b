"""Where a NaN came from."""

from __future__ import annotations

import math

import torch
from torch import nn

from limpid.training.nonfinite import explain_nonfinite, nonfinite_weights


def name_of(i: int) -> str:
    return f"row {100 + i}"


class Explode(nn.Module):
    """Gives infinity for the samples whose first feature is above 2."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x[:, :1] > 2, torch.inf, x)


def explain(model: nn.Module, x: torch.Tensor, target: torch.Tensor | None = None) -> str:
    return explain_nonfinite(model, (x,), torch.zeros(len(x)) if target is None else target, name_of)


def test_rows_of_the_input_and_of_the_target() -> None:
    x = torch.zeros(4, 3)
    x[2, 1] = math.nan
    assert "input holds NaN or infinite values in row 102:" in explain(nn.Linear(3, 1), x)
    target = torch.tensor([0.0, math.inf, 0.0, math.nan])
    text = explain(nn.Linear(3, 1), torch.zeros(4, 3), target)
    assert "target holds NaN or infinite values in row 101, row 103:" in text


def test_many_rows_are_counted_not_listed() -> None:
    assert "row 104 and 7 more" in explain(nn.Linear(3, 1), torch.full((12, 3), math.nan))


def test_the_first_layer_in_order_of_execution() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), Explode(), nn.Linear(3, 2))
    with torch.no_grad():
        x = torch.tensor([[0.0, 0.0, 0.0]] * 30 + [[90.0, 0.0, 0.0]])
    statistics = model[0].running_mean.clone()
    text = explain(model, x)
    assert "first layer with a NaN or infinite output is 1, in row 130:" in text
    assert torch.equal(model[0].running_mean, statistics), "buffers must be left as they were"
    assert not model[1]._forward_hooks


def test_what_a_network_computes_between_its_layers_is_looked_at_too() -> None:
    class Between(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(self.layer(x) * 0.0 - 1.0)

    x = torch.zeros(2, 3)
    assert "output is the model, in row 100, row 101:" in explain(Between(), x)
    assert "output is 1, in row 100" in explain(nn.Sequential(nn.Linear(3, 3), Between()), x)


def test_weights_come_first() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    with torch.no_grad():
        model[1].bias[0] = math.nan
    assert "weights of 1.bias were already NaN or infinite" in explain(model, torch.zeros(2, 3))


def test_finite_everywhere_points_at_the_loss() -> None:
    assert "the loss itself is not" in explain(nn.Linear(3, 1), torch.zeros(2, 3))


def test_outputs_that_overflow_the_loss_are_told() -> None:
    model = nn.Linear(3, 1)
    with torch.no_grad():
        model.weight.fill_(1e20)
    assert "the outputs reach 3.0e+20" in explain(model, torch.ones(2, 3))


def test_the_first_bad_weights_have_a_name() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    assert nonfinite_weights(model) is None
    with torch.no_grad():
        model[1].weight[0, 1] = math.inf
    assert nonfinite_weights(model) == "1.weight"


def test_infinities_that_cancel_are_found_and_large_numbers_are_not_taken_for_one() -> None:
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight[0, :2] = torch.tensor([math.inf, -math.inf])
    assert nonfinite_weights(model) == "weight"
    with torch.no_grad():
        model.weight.fill_(3e38)
    assert not model.weight.sum().isfinite()
    assert nonfinite_weights(model) is None
