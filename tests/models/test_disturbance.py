"""Input noise and stochastic depth: on in training, absent in use, and free when they are not asked for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from limpid.config import ModelConfig, RegularizeConfig
from limpid.errors import ModelError
from limpid.models import build_model
from limpid.models.disturbance import GaussianNoise, disturb
from limpid.spec import DataSpec

COLOUR = DataSpec(
    name="images",
    kind="image",
    task="classification",
    input_shape=(3, 16, 16),
    num_outputs=4,
    scale_mean=(0.5, 0.4, 0.3),
    scale_std=(0.3, 0.25, 0.2),
)
TABLE = DataSpec(name="rows", kind="table", task="classification", input_shape=(12,), num_outputs=4)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class Spy(nn.Module):
    """Keeps what it was given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = x
        return x


@pytest.mark.spec("B32", "G12")
def test_noise_is_added_after_the_scaling_and_off_in_use() -> None:
    network = build_model(ModelConfig(name="linear"), TABLE, seed=0)
    names = list(network.state_dict())
    disturb(RegularizeConfig(input_noise=0.3), network, name="linear")
    network.body = Spy()
    x = torch.randn(20_000, 12)
    network.train()(x)
    noise = network.body.seen - x
    assert noise.mean() == pytest.approx(0.0, abs=3e-3)
    assert noise.std() == pytest.approx(0.3, rel=0.01)
    first = network.body.seen
    network(x)
    assert not torch.equal(network.body.seen, first), "drawn anew for every batch"
    network.eval()(x)
    assert torch.equal(network.body.seen, x)
    assert [name for name in names if name.startswith("scale")] == list(network.state_dict())


@pytest.mark.spec("B32")
def test_the_layer_alone() -> None:
    layer, x = GaussianNoise(0.5), torch.zeros(50_000)
    assert layer.train()(x).std() == pytest.approx(0.5, rel=0.02)
    assert torch.equal(layer.eval()(x), x)


def test_whole_numbers_take_no_noise() -> None:
    network = build_model(ModelConfig(name="linear"), TABLE, seed=0)
    disturb(RegularizeConfig(input_noise=0.3), network, name="linear")
    with pytest.raises(ModelError, match="take no noise"):
        network.train()(torch.ones(4, 12, dtype=torch.int64))


def resnet(share: float) -> nn.Module:
    network = build_model(ModelConfig(name="resnet20"), COLOUR, seed=0)
    disturb(RegularizeConfig(stochastic_depth=share), network, name="resnet20")
    return network


def test_branches_drop_out_with_rates_that_rise_to_the_last() -> None:
    from torchvision.ops import StochasticDepth

    network = resnet(0.45)
    rates = [layer.p for layer in network.modules() if isinstance(layer, StochasticDepth)]
    assert rates == pytest.approx([0.45 * i / 9 for i in range(1, 10)])
    assert [layer.mode for layer in network.modules() if isinstance(layer, StochasticDepth)] == ["row"] * 9
    assert list(network.state_dict()) == list(resnet(0.0).state_dict())


def test_use_sees_all_branches_and_training_drops_some_of_each_sample() -> None:
    plain, deep = resnet(0.0), resnet(0.9)
    x = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(plain.eval()(x), deep.eval()(x))
    blocks = [block for block in deep.modules() if hasattr(block, "drop_path")]
    block = blocks[4]
    block.drop_path.p = 0.5
    block.train()
    for norm in (block.norm1, block.norm2):
        norm.eval()
    maps = torch.rand(400, block.conv1.in_channels, 4, 4)
    with torch.no_grad():
        out = block(maps)
        whole = block.eval()(maps)
    dropped = (out == maps).flatten(1).all(dim=1)  # relu(x + 0) = x, as the maps are positive
    assert dropped.double().mean() == pytest.approx(0.5, abs=0.1)
    branch = block.norm2(block.conv2(torch.relu(block.norm1(block.conv1(maps))))).detach()
    torch.testing.assert_close(out[~dropped], torch.relu(maps + branch / 0.5)[~dropped])
    torch.testing.assert_close(whole, torch.relu(maps + branch))


def test_gradients_reach_every_parameter_through_dropped_branches() -> None:
    network = resnet(0.3).train()
    x = torch.randint(0, 256, (32, 3, 16, 16), dtype=torch.uint8)
    nn.functional.cross_entropy(network(x), torch.arange(32) % 4).backward()
    for name, p in network.named_parameters():
        assert p.grad is not None, name
        assert torch.isfinite(p.grad).all()


def test_timms_and_torchvisions_blocks_are_found() -> None:
    import timm
    from torchvision.models import convnext_tiny
    from torchvision.ops import StochasticDepth

    from limpid.models.disturbance import set_stochastic_depth

    for network, count in ((timm.create_model("resnet18"), 8), (convnext_tiny(), 18)):
        set_stochastic_depth(network, 0.18, name="it")
        rates = [layer.p for layer in network.modules() if isinstance(layer, StochasticDepth)]
        assert rates == pytest.approx([0.18 * i / count for i in range(1, count + 1)])


def test_a_network_without_branches_is_refused() -> None:
    network = build_model(ModelConfig(name="linear"), TABLE, seed=0)
    with pytest.raises(ModelError, match=r"stochastic_depth=0.2: linear has no residual branch"):
        disturb(RegularizeConfig(stochastic_depth=0.2), network, name="linear")
