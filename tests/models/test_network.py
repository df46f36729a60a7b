"""Scaling of raw inputs, and foreign modules behind it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from limpid.errors import ModelError
from limpid.models import Network, wrap_module
from limpid.spec import DataSpec

IMAGE = DataSpec(
    name="images",
    kind="image",
    task="classification",
    input_shape=(3, 8, 8),
    num_outputs=5,
    scale_mean=(0.5, 0.4, 0.3),
    scale_std=(0.3, 0.25, 0.2),
)
VECTOR = DataSpec(
    name="rows",
    kind="vector",
    task="regression",
    input_shape=(2,),
    num_outputs=1,
    scale_mean=(2000.0, -1.0),
    scale_std=(0.5, 0.0),
)


def scaled(spec: DataSpec, x: torch.Tensor) -> torch.Tensor:
    return Network(spec, nn.Identity())(x)


def test_bytes_and_floats_are_standardised_alike() -> None:
    x_BCHW = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    untouched = x_BCHW.clone()
    mean, std = torch.tensor(IMAGE.scale_mean).view(3, 1, 1), torch.tensor(IMAGE.scale_std).view(3, 1, 1)
    expected = (x_BCHW.float() / 255 - mean) / std
    torch.testing.assert_close(scaled(IMAGE, x_BCHW), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled(IMAGE, x_BCHW.float() / 255), expected, atol=1e-5, rtol=0)
    assert torch.equal(x_BCHW, untouched)


def test_large_mean_keeps_precision_and_constant_feature_passes() -> None:
    x_BF = torch.tensor([[2000.25, 4.0]])
    torch.testing.assert_close(scaled(VECTOR, x_BF), torch.tensor([[0.5, 5.0]]), atol=0, rtol=0)
    assert x_BF[0, 0] == 2000.25


def test_dtype_follows_autocast_and_layout_is_kept() -> None:
    x_BCHW = torch.zeros(2, 3, 8, 8, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    z_BCHW = scaled(IMAGE, x_BCHW)
    assert z_BCHW.dtype is torch.float32
    assert z_BCHW.is_contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        z_BCHW = scaled(IMAGE, x_BCHW)
    assert z_BCHW.dtype is torch.bfloat16
    assert z_BCHW.is_contiguous(memory_format=torch.channels_last)


def test_array_without_statistics_passes_unchanged() -> None:
    spec = DataSpec(name="s", kind="array", task="regression", input_shape=(4, 7), num_outputs=1)
    x = torch.randn(2, 4, 7)
    assert scaled(spec, x) is x


def test_gradient_reaches_the_raw_input() -> None:
    x_BF = torch.tensor([[2001.0, 0.0]], requires_grad=True)
    scaled(VECTOR, x_BF).sum().backward()
    assert x_BF.grad is not None
    assert x_BF.grad.tolist() == [[2.0, 1.0]]


def test_wrap_module_accepts_a_fitting_module_and_restores_its_modes() -> None:
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192), nn.Linear(192, 5))
    module[1].eval()
    network = wrap_module(module, IMAGE)
    assert network.training
    assert module.training
    assert not module[1].training
    assert module[1].num_batches_tracked == 0
    assert wrap_module(network, IMAGE) is network


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), r"of shape \(2, 5\).*got \(2, 4\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(100, 5)), r"Sequential cannot take.*\(2, 3, 8, 8\) uint8"),
        (nn.Identity(), r"got \(2, 3, 8, 8\)"),
    ],
)
def test_wrap_module_names_expected_and_given_shape(module: nn.Module, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        wrap_module(module, IMAGE)


def test_wrap_module_takes_token_layers() -> None:
    spec = DataSpec(name="text", kind="array", task="classification", input_shape=(12,), num_outputs=3)
    module = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(48, 3))
    assert wrap_module(module, spec)(torch.randint(0, 10, (2, 12))).shape == (2, 3)
