"""Weights taken over, blocks found, frozen and thawed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models.blocks import blocks_of, head_of
from limpid.models.cost import layer_table, totals
from limpid.models.freezing import Freezing
from limpid.models.network import Network
from limpid.models.registry import build_model
from limpid.models.transfer import take_weights
from limpid.reporting.facts import layer_rows
from limpid.spec import DataSpec


def picture_spec(num_outputs: int = 3, side: int = 32) -> DataSpec:
    return DataSpec(
        name="pictures", kind="image", task="classification", input_shape=(3, side, side), num_outputs=num_outputs,
        classes=tuple(f"c{k}" for k in range(num_outputs)),
    )  # fmt: skip


def resnet(num_outputs: int = 3, seed: int = 0) -> Network:
    return build_model(ModelConfig(name="resnet20"), picture_spec(num_outputs), seed=seed)


class Tied(nn.Module):
    """A language model's shape: the head is the embedding, and positions are a parameter of the body itself."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(4, 8))
        self.embedding = nn.Embedding(10, 8)
        self.layers = nn.ModuleList([nn.LSTM(8, 8, batch_first=True), nn.LSTM(8, 8, batch_first=True)])
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 10, bias=False)
        self.head.weight = self.embedding.weight


@pytest.mark.spec("E15")
def test_taken_tensors_are_identical_and_the_rest_is_untouched() -> None:
    source, network = resnet(5, seed=1), resnet(3, seed=2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    account = take_weights(network, source.state_dict(), place="runs/a")
    after, given = network.state_dict(), source.state_dict()
    assert account.new == ("body.12.weight", "body.12.bias") or len(account.new) == 2  # the head of other classes
    assert {*account.taken} | {*account.new} == {*after}
    assert {*account.unused} == {*account.new}
    assert all(torch.equal(after[name], given[name]) for name in account.taken)
    assert all(torch.equal(after[name], before[name]) for name in account.new)
    assert not torch.equal(after["body.0.weight"], before["body.0.weight"])
    assert f"{len(account.taken)} of {len(after)} tensors" in account.text()


def test_names_without_the_networks_own_prefix_are_understood() -> None:
    source, network = resnet(seed=1), resnet(seed=2)
    account = take_weights(network, source.body.state_dict(), place="weights.safetensors")
    assert set(account.new) == {"scale.mean", "scale.inv_std"}
    assert torch.equal(network.body[0].weight, source.body[0].weight)


def test_what_is_left_out_stays_new() -> None:
    source, network = resnet(seed=1), resnet(seed=2)
    name = head_of(network, 3)[0]
    account = take_weights(network, source.state_dict(), place="x", leave=[f"body.{name}."])
    assert {*account.new} == {f"body.{name}.weight", f"body.{name}.bias"}


def test_nothing_fits_is_told_with_both_sides() -> None:
    other = build_model(ModelConfig(name="mlp", hidden=(7,), norm="none", dropout=0.0), picture_spec(), seed=0)
    with pytest.raises(ModelError, match=r"Nothing of runs/b fits.*\(7, 3072\).*\(16, 3, 3, 3\)"):
        take_weights(resnet(), other.state_dict(), place="runs/b")


def test_blocks_run_from_the_input_to_the_head() -> None:
    blocks = blocks_of(resnet(), 3)
    assert len(blocks) == 1 + 9 + 1  # convolution with its norm, residual blocks, head
    assert [len(block.modules) for block in blocks] == [2] + [1] * 10
    parameters = [p for block in blocks for p in block.parameters]
    assert len(parameters) == len({*parameters}) == len(list(resnet().parameters()))


def test_tied_weights_belong_to_the_head_and_loose_ones_to_the_input() -> None:
    network = Network(DataSpec(name="t", kind="array", task="classification", input_shape=(4,), num_outputs=10), Tied())
    blocks = blocks_of(network, 10)
    assert [block.name for block in blocks] == ["embedding", "layers.0", "layers.1", "head"]
    assert blocks[0].parameters == (network.body.positions,)
    assert blocks[-1].parameters == (network.body.embedding.weight,)
    assert network.body.norm.weight in {*blocks[2].parameters}


@pytest.mark.spec("A59")
def test_a_frozen_backbone_gets_no_gradient_and_does_not_change() -> None:
    network = resnet()
    Freezing(network, "backbone", 3).apply()
    head = head_of(network, 3)[1]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train_a_little(network)
    name = head_of(network, 3)[0]
    changed = {key for key, tensor in network.state_dict().items() if not torch.equal(tensor, before[key])}
    assert changed == {f"body.{name}.weight", f"body.{name}.bias"}  # the statistics of the norms stay still too
    backbone = [p for p in network.parameters() if p is not head.weight and p is not head.bias]
    assert len(backbone) == len(list(network.parameters())) - 2
    assert all(p.grad is None and not p.requires_grad for p in backbone)


@pytest.mark.spec("A60", "G15")
def test_only_unfrozen_tensors_change_and_thawing_goes_from_the_head_down() -> None:
    network = resnet()
    freezing = Freezing(network, "4", 3)
    for num_thawed in (0, 1, 4):
        freezing.apply(num_thawed)
        learning = {id(p) for p in network.parameters() if p.requires_grad}
        frozen = {id(p) for block in blocks_of(network, 3)[: 4 - num_thawed] for p in block.parameters}
        assert learning == {id(p) for p in network.parameters()} - frozen
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        train_a_little(network)
        still = {name for name, p in network.named_parameters() if id(p) in frozen}
        parameters = {name for name, _ in network.named_parameters()}
        changed = {name for name in parameters if not torch.equal(network.state_dict()[name], before[name])}
        assert changed == parameters - still
        moved = {
            name
            for name in before
            if "running_mean" in name and not torch.equal(network.state_dict()[name], before[name])
        }
        assert len(moved) == 19 - (1 + 2 * (3 - num_thawed) if num_thawed < 4 else 0)


def test_frozen_norms_use_what_they_learned_even_in_training_mode() -> None:
    network = resnet()
    Freezing(network, "1", 3).apply()
    norm = network.body[1]
    x = torch.randn(4, 16, 8, 8) * 3 + 1
    network.train()
    assert torch.equal(norm(x), F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias))


@pytest.mark.parametrize(("pattern", "names"), [("0", {"0.weight"}), ("*.conv1.weight", None), ("1?.*", None)])
def test_patterns_choose_by_name(pattern: str, names: set[str] | None) -> None:
    network = resnet()
    choice = pattern if pattern != "0" else "0.*"
    Freezing(network, choice, 3).apply()
    frozen = {n.removeprefix("body.") for n, p in network.named_parameters() if not p.requires_grad}
    assert frozen
    if names is not None:
        assert frozen == names


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("11", "has 11 blocks"),
        ("0", "Freeze from 1 to 10"),
        ("nothing.*", "matches no parameter"),
        ("*", "so that nothing learns"),
    ],
)
def test_choices_that_cannot_be_are_told(choice: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Freezing(resnet(), choice, 3)


def test_the_layer_table_marks_what_is_frozen() -> None:
    network = resnet()
    Freezing(network, "3", 3).apply()
    table = layer_table(network, picture_spec())
    marks = [row["trainable"] for row in table if row["parameters"]]
    assert marks == [False] * (2 + 2 * 4) + [True] * (7 * 4 + 1)


@pytest.mark.spec("A28")
def test_vgg13_shows_which_layers_are_frozen() -> None:
    """The diagram of transfer learning: the convolutions stay, the dense layers learn again."""
    spec = DataSpec(name="i", kind="image", task="classification", input_shape=(3, 224, 224), num_outputs=1000)
    with torch.device("meta"):  # shapes alone: half a gigabyte of weights is not needed
        network = build_model(ModelConfig(name="vgg13"), spec, seed=0)
        Freezing(network, "10", 1000).apply()
        table = layer_table(network, spec)
    assert totals(table)[0] == 133_047_848
    layers = [row for row in table if row["parameters"]]
    assert [row["kind"] for row in layers] == ["Conv2d"] * 10 + ["Linear"] * 3
    assert [row["trainable"] for row in layers] == [False] * 10 + [True] * 3
    header = {"model": {"layers": table, "parameters": 133_047_848}}
    rows = layer_rows(SimpleNamespace(header=header))[0]  # type: ignore[arg-type]
    assert [row["frozen"] for row in rows if row["parameters"] != "0"] == [True] * 10 + [False] * 3


def train_a_little(network: Network) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (8, 3, 32, 32), generator=generator, dtype=torch.uint8)
    y: Tensor = torch.arange(8) % 3
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network.train()
    for _ in range(2):
        F.cross_entropy(network(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
