"""Residual networks, their plain twins and those that weigh their maps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from limpid.config import ModelConfig
from limpid.models import build_model, layer_table, totals
from limpid.models.branches import Residual
from limpid.models.network import Network
from limpid.models.pattern import assemble
from limpid.models.squeeze_excitation import SqueezeExcitation
from limpid.spec import DataSpec

LARGE = DataSpec(name="p", kind="image", task="classification", input_shape=(3, 224, 224), num_outputs=1000)
SMALL = LARGE.model_copy(update={"input_shape": (3, 32, 32), "num_outputs": 10})


def build(name: str, spec: DataSpec) -> Network:
    return build_model(ModelConfig(name=name), spec, seed=0)


def on_paper(name: str, spec: DataSpec) -> Network:
    with torch.device("meta"):
        return build(name, spec)


def count(name: str, spec: DataSpec = LARGE) -> tuple[int, int]:
    return totals(layer_table(on_paper(name, spec), spec))


@pytest.mark.spec("A34", "B34")
def test_block_with_a_silent_branch_is_the_identity() -> None:
    block, _ = assemble("res[conv8/nobias-bn-relu-conv8/nobias-bn]-relu", (8, 6, 6), num_outputs=None)
    x = torch.rand(3, 8, 6, 6)
    assert not torch.equal(block(x), x)
    nn.init.zeros_(block[0].branch[-1].weight)
    assert torch.equal(block(x), x)
    library = build("resnet18", SMALL).body.layer1[0]
    nn.init.zeros_(library.bn2.weight)
    x = torch.rand(3, 64, 6, 6)
    assert torch.equal(library(x), x)


def test_our_basic_block_equals_torchvisions() -> None:
    ours, _ = assemble("res[conv8/s2/nobias-bn-relu-conv8/nobias-bn]-relu", (4, 8, 8), num_outputs=None)
    from torchvision.models.resnet import BasicBlock

    shortcut = nn.Sequential(nn.Conv2d(4, 8, 1, 2, bias=False), nn.BatchNorm2d(8))
    theirs = BasicBlock(4, 8, 2, shortcut)
    pairs = zip(ours[0].branch, (theirs.conv1, theirs.bn1, theirs.relu, theirs.conv2, theirs.bn2), strict=True)
    for mine, other in [*pairs, (ours[0].shortcut, theirs.downsample)]:
        other.load_state_dict(mine.state_dict())
    x = torch.rand(3, 4, 8, 8)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.spec("A35", "K20", "K21")
def test_bottleneck_counts() -> None:
    def weights(pattern: str) -> list[int]:
        module, shape = assemble(pattern, (256, 4, 4), num_outputs=None)
        assert shape == (256, 4, 4)
        return [m.weight.numel() for m in module.modules() if isinstance(m, nn.Conv2d)]

    assert weights("conv256/nobias") == [589_824]
    bottleneck = weights("res[conv64@1/nobias-bn-relu-conv64/nobias-bn-relu-conv256@1/nobias-bn]-relu")
    assert bottleneck == [16_384, 36_864, 16_384]
    assert sum(bottleneck) == 69_632
    assert pytest.approx(8.47, abs=5e-3) == 589_824 / 69_632


@pytest.mark.spec("A36", "K18", "K22")
@pytest.mark.parametrize(
    ("depth", "parameters", "giga"),
    [
        (18, 11_689_512, 1.814),
        (34, 21_797_672, 3.664),
        (50, 25_557_032, 4.089),
        (101, 44_549_160, 7.801),
        (152, 60_192_808, 11.514),
    ],
)
def test_resnets(depth: int, parameters: int, giga: float) -> None:
    found, macs = count(f"resnet{depth}")
    assert found == parameters
    assert macs / 1e9 == pytest.approx(giga, abs=5e-4)
    weighted = [n for n, m in on_paper(f"resnet{depth}", LARGE).named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len([name for name in weighted if "downsample" not in name]) == depth
    if depth == 152:
        assert len(weighted) == 156


@pytest.mark.spec("A37")
def test_plain_networks_are_residual_ones_without_shortcuts() -> None:
    assert count("plain34")[0] == 21_623_848 == 21_797_672 - 173_824
    for depth in (18, 34):
        network = on_paper(f"plain{depth}", LARGE)
        assert not any(isinstance(m, Residual) for m in network.modules())
        weighted = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert len(weighted) == depth
        residual = [
            m.weight.shape
            for n, m in on_paper(f"resnet{depth}", LARGE).named_modules()
            if isinstance(m, nn.Conv2d) and "downsample" not in n
        ]
        assert [m.weight.shape for m in weighted if isinstance(m, nn.Conv2d)] == residual
    for depth in (20, 56):
        assert count(f"plain{depth}", SMALL) == count(f"resnet{depth}", SMALL)


@pytest.mark.spec("A38")
def test_se_resnets() -> None:
    assert count("se-resnet50")[0] == 28_088_024 == count("resnet50")[0] + 2_530_992
    network = build("se-resnet20", SMALL).eval()
    gates = [m for m in network.modules() if isinstance(m, SqueezeExcitation)]
    assert [gate.excite.out_features for gate in gates] == [16] * 3 + [32] * 3 + [64] * 3
    x = torch.rand(2, 3, 32, 32)
    for gate in gates:
        nn.init.zeros_(gate.excite.weight)
        nn.init.constant_(gate.excite.bias, 40.0)
    open_gates = network(x)
    for block in network.modules():
        if isinstance(block, Residual):
            block.branch = nn.Sequential(*[m for m in block.branch if not isinstance(m, SqueezeExcitation)])
    assert torch.equal(network(x), open_gates)


def test_small_resnet18() -> None:
    assert count("resnet18-small", SMALL) == (11_173_962, 555_422_720)
