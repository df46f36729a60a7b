"""How far a layer sees, against the support of the gradient."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models import build_model, layer_table
from limpid.models.branches import Residual
from limpid.models.pattern import assemble
from limpid.models.receptive_field import ReceptiveFields, field_of
from limpid.reporting.facts import layer_rows
from limpid.spec import DataSpec


def claimed(module: nn.Module, x: Tensor) -> tuple[int, int]:
    with ReceptiveFields(x):
        field = field_of(module(x))
    assert field is not None
    return field[:2]


def support(module: nn.Module, side: int) -> tuple[int, int]:
    """Rows and columns of the pixels that the middle value of the output depends on."""
    for name, parameter in module.named_parameters():
        if name.endswith("weight") and parameter.dim() > 1:
            nn.init.uniform_(parameter, 0.5, 1.0)
        elif name.endswith("bias"):
            nn.init.ones_(parameter)  # no unit is dead
    x = torch.rand(1, 2, side, side, requires_grad=True)
    y = module.eval()(x)
    y[0, :, y.shape[2] // 2, y.shape[3] // 2].sum().backward()
    touched = x.grad[0].abs().sum(dim=0) > 0
    height, width = touched.any(dim=1).nonzero(), touched.any(dim=0).nonzero()
    return int(height[-1] - height[0]) + 1, int(width[-1] - width[0]) + 1


@pytest.mark.spec("B24")
@pytest.mark.parametrize(
    ("pattern", "field"),
    [
        ("[conv3]*2", (5, 5)),
        ("[conv3-relu]*3", (7, 7)),
        ("conv3@5x3", (5, 3)),
        ("conv3/d3", (7, 7)),
        ("conv3/s2 conv3", (7, 7)),
        ("conv3-relu avgpool2 conv3-bn-relu", (8, 8)),
        ("avgpool3/s2 conv3 avgpool2 conv3", (17, 17)),
        ("conv3@7/s2 conv3@1 conv3/s2 conv3", (19, 19)),
        ("res[conv2-relu-conv2] conv3", (7, 7)),
        ("cat[conv2@1 | conv2@5 | conv2@3-conv2@3]", (5, 5)),
    ],
)
def test_field_equals_the_support_of_the_gradient(pattern: str, field: tuple[int, int]) -> None:
    module, _ = assemble(pattern, (2, 64, 64), num_outputs=None)
    assert claimed(module.eval(), torch.rand(1, 2, 64, 64)) == field
    assert support(module, 64) == field


def test_functions_are_followed_like_modules() -> None:
    class ByHand(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = F.conv2d(x, torch.ones(2, 2, 3, 3), padding=1)
            y = F.avg_pool2d(y, 2)
            y = F.interpolate(y, scale_factor=2) + x
            return torch.cat((F.conv2d(input=y, weight=torch.ones(2, 2, 5, 5), padding=2), x), dim=1)

    assert claimed(ByHand(), torch.rand(1, 2, 32, 32)) == (8, 8)
    assert claimed(Residual(nn.Conv2d(2, 2, 3, padding=1), None), torch.rand(1, 2, 8, 8)) == (3, 3)


def test_what_reads_whole_maps_sees_them_whole() -> None:
    x = torch.rand(1, 2, 10, 8)
    for pattern, field in (("conv3 gap", (12, 10)), ("conv3 flatten", (12, 10)), ("conv3 lstm4", (10, 8))):
        module, _ = assemble(pattern, (2, 10, 8), num_outputs=None)
        assert claimed(module, x) == field, pattern
    assert claimed(nn.Sequential(nn.Conv2d(2, 4, 2, 2), _Attention()), x) == (10, 8)


class _Attention(nn.Module):
    def forward(self, x_BCHW: Tensor) -> Tensor:
        tokens = x_BCHW.flatten(2).transpose(1, 2)
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


def test_nothing_is_known_without_an_image() -> None:
    assert field_of(torch.zeros(3)) is None
    with ReceptiveFields(torch.zeros(1, 1, 4, 4)):
        assert field_of(torch.zeros(1, 1, 4, 4) + 1) is None


@pytest.mark.spec("A17", "B25")
@pytest.mark.parametrize("name", ["lenet5", "googlenet-small", "se-resnet20"])
def test_every_layer_reports_its_volume_and_field(name: str) -> None:
    spec = DataSpec(name="i", kind="image", task="classification", input_shape=(1, 28, 28), num_outputs=10)
    network = build_model(ModelConfig(name=name), spec, seed=0)
    table = layer_table(network, spec)
    assert all(row["output_shape"] for row in table)
    convolutions = {row["name"]: row for row in table if row["kind"] == "Conv2d"}
    for layer_name, module in network.body.named_modules():
        if isinstance(module, nn.Conv2d):
            assert convolutions[layer_name]["output_shape"][0] == module.out_channels  # depth = number of filters
    fields = [row["receptive_field"] for row in table]
    assert all(len(field) == 2 for field in fields)
    if name == "lenet5":
        assert [field[0] for field in fields[1:8]] == [5, 6, 6, 14, 16, 16, 32]
    rows = DataSpec(name="v", kind="vector", task="regression", input_shape=(4,), num_outputs=1)
    table = layer_table(build_model(ModelConfig(name="linear"), rows, seed=0), rows)
    assert [row["receptive_field"] for row in table] == [()] * len(table)


def test_the_report_has_a_column_for_images_only() -> None:
    def cells(receptive_field: tuple[int, ...]) -> list[str]:
        layer = {"name": "0", "kind": "Conv2d", "output_shape": (8, 4, 4), "receptive_field": receptive_field}
        rows, _, _ = layer_rows(SimpleNamespace(header={"model": {"layers": [layer]}}))
        return [row["field"] for row in rows]

    assert cells((5, 3)) == ["5 × 3"]
    assert cells(()) == [""]
