"""Every architecture of our own keeps the same promises."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from limpid.catalogue.models import MODELS
from limpid.config import ModelConfig
from limpid.models import Network, build_model, layer_table, totals
from limpid.models.network import example_inputs
from limpid.spec import DataSpec

IMAGE = DataSpec(
    name="images",
    kind="image",
    task="classification",
    input_shape=(1, 28, 28),
    num_outputs=10,
    scale_mean=(0.45,),
    scale_std=(0.29,),
)
COLOUR = IMAGE.model_copy(
    update={"input_shape": (3, 32, 32), "scale_mean": (0.5, 0.4, 0.3), "scale_std": (0.3, 0.25, 0.2)}
)
TABLE = DataSpec(
    name="rows",
    kind="table",
    task="classification",
    input_shape=(12,),
    num_outputs=4,
    scale_mean=tuple(float(i) for i in range(12)),
    scale_std=(1.0,) * 12,
)
CODES = TABLE.model_copy(update={"cardinalities": (3, 40), "category_names": ("a", "b")})

# resnet110 repeats resnet20's parts and takes ten times as long
CASES = [
    ("linear", IMAGE),
    ("linear", TABLE),
    ("mlp", IMAGE),
    ("mlp", TABLE),
    ("mlp", CODES),
    ("lenet5", IMAGE),
    ("convnet", IMAGE),
    ("convnet", COLOUR.model_copy(update={"input_shape": (3, 8, 8)})),
    ("resnet20", COLOUR),
    ("resnet32", COLOUR.model_copy(update={"input_shape": (3, 16, 16)})),
]
every_case = pytest.mark.parametrize(("name", "spec"), CASES, ids=[f"{n}-{s.kind}{s.input_shape}" for n, s in CASES])


def batch_of(spec: DataSpec, size: int) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    first, *rest = example_inputs(spec, size)
    if first.dtype is torch.uint8:
        first = torch.randint(0, 256, first.shape, dtype=torch.uint8, generator=generator)
    else:
        first = torch.randn(first.shape, generator=generator) + torch.tensor(spec.scale_mean)
    for i, codes in enumerate(rest):
        columns = [torch.randint(1, n, codes.shape[:1], generator=generator) for n in spec.cardinalities]
        rest[i] = torch.stack(columns, dim=1)
    return (first, *rest), torch.randint(0, spec.num_outputs, (size,), generator=generator)


def build(name: str, spec: DataSpec, seed: int = 0) -> Network:
    return build_model(ModelConfig(name=name, hidden=(32, 16)), spec, seed=seed)


def test_every_registered_family_is_covered() -> None:
    assert {MODELS[name].family for name, _ in CASES} == {part.family for part in MODELS.values()}


@every_case
def test_output_shape_and_every_parameter_gets_a_gradient(name: str, spec: DataSpec) -> None:
    network = build(name, spec)
    inputs, target_B = batch_of(spec, 5)
    logits_BK = network(*inputs)
    assert logits_BK.shape == (5, spec.num_outputs)
    assert logits_BK.dtype is torch.float32
    F.cross_entropy(logits_BK, target_B).backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@every_case
def test_same_seed_same_weights_and_global_state_untouched(name: str, spec: DataSpec) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second, other = build(name, spec, seed=1), build(name, spec, seed=1), build(name, spec, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key
    assert any(not torch.equal(p, q) for p, q in zip(first.parameters(), other.parameters(), strict=True))


@every_case
@pytest.mark.spec("H8")
def test_starts_at_chance_and_memorises_eight_samples(name: str, spec: DataSpec) -> None:
    network = build(name, spec)
    inputs, target_B = batch_of(spec, 64)
    with torch.no_grad():
        first_loss = F.cross_entropy(network(*inputs), target_B).item()
    assert first_loss == pytest.approx(math.log(spec.num_outputs), rel=0.05)
    inputs, target_B = tuple(x[:8] for x in inputs), target_B[:8]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    loss = math.inf
    for _ in range(600):
        optimizer.zero_grad()
        error = F.cross_entropy(network(*inputs), target_B)
        error.backward()
        optimizer.step()
        loss = error.item()
        if loss < 0.01:
            break
    assert loss < 0.01


@every_case
def test_cost_equals_counted_operations(name: str, spec: DataSpec) -> None:
    network = build(name, spec)
    parameters, macs = totals(layer_table(network, spec))
    assert parameters == sum(p.numel() for p in network.parameters())
    assert network.training
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(*example_inputs(spec, 1))
    assert 2 * macs == counter.get_total_flops()


@every_case
def test_runs_under_bf16_autocast(name: str, spec: DataSpec) -> None:
    network = build(name, spec).eval()
    inputs, _ = batch_of(spec, 8)
    with torch.no_grad():
        exact = network(*inputs)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(*inputs)
    assert rough.dtype is torch.bfloat16
    assert not torch.equal(rough.float(), exact)
    assert (rough - exact).abs().max() < 0.1 * exact.abs().max() + 0.02


@every_case
def test_state_dict_round_trip(name: str, spec: DataSpec) -> None:
    source = build(name, spec, seed=1)
    inputs, _ = batch_of(spec, 4)
    source(*inputs)  # running statistics move
    blank = build(name, spec.model_copy(update={"scale_mean": (), "scale_std": ()}), seed=2)
    target = build(name, spec, seed=2)
    target.load_state_dict(source.state_dict())
    assert torch.equal(source.eval()(*inputs), target.eval()(*inputs))
    if spec.kind == "image" and spec.input_shape[0] == 1:  # the learned scaling travels with the weights
        blank.load_state_dict(source.state_dict())
        assert torch.equal(source(*inputs), blank.eval()(*inputs))


@pytest.mark.parametrize("name", ["lenet5", "convnet", "resnet20"])
def test_channels_last_changes_nothing(name: str) -> None:
    network = build(name, IMAGE).eval()
    (x_BCHW,), _ = batch_of(IMAGE, 4)
    with torch.no_grad():
        expected = network(x_BCHW)
        network.to(memory_format=torch.channels_last)
        got = network(x_BCHW.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
