"""oneDNN's product as the linear layer's: same values, same gradients, and gone afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from limpid.training.linear_road import take_onednn_road

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")


def gradients(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    model(x).pow(2).sum().backward()
    found = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    assert x.grad is not None
    return [*found, x.grad]


@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_the_default_road(bias: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(37, 21, bias=bias), nn.Tanh(), nn.Linear(21, 5, bias=bias))
    x = torch.randn(13, 37)
    expected_output, expected = model(x), gradients(model, x)
    with take_onednn_road(model, wanted=True):
        assert "OneDnnLinear" in type(model(x).grad_fn).__name__
        torch.testing.assert_close(model(x), expected_output, rtol=1e-5, atol=1e-5)
        for found, twin in zip(gradients(model, x), expected, strict=True):
            torch.testing.assert_close(found, twin, rtol=1e-4, atol=1e-4)
    assert "OneDnnLinear" not in type(model(x).grad_fn).__name__


def test_unwanted_other_dtypes_and_more_dimensions_take_the_default_road() -> None:
    model = nn.Sequential(nn.Linear(4, 3))
    with take_onednn_road(model, wanted=False):
        assert "forward" not in vars(model[0])
    with take_onednn_road(model.double(), wanted=True):
        x = torch.randn(2, 5, 4, dtype=torch.float64)
        torch.testing.assert_close(model(x), x @ model[0].weight.t() + model[0].bias)


def test_the_road_is_left_after_an_error() -> None:
    model = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(KeyError), take_onednn_road(model, wanted=True):
        raise KeyError
    assert "forward" not in vars(model[0])
