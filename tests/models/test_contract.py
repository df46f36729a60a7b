"""Every architecture for images, and the plain networks for rows, keep the same promises."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from limpid.catalogue.models import MODELS
from limpid.config import ModelConfig
from limpid.models import Network, build_model, layer_table, totals
from limpid.models.auxiliary import Outputs
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
PIXELS = IMAGE.model_copy(
    update={"input_shape": (1, 12, 10), "task": "tokens", "num_outputs": 3, "output_shape": (120,)}
)
BOXES = IMAGE.model_copy(update={"input_shape": (1, 16, 16), "task": "regression", "num_outputs": 4})


def colour(side: int) -> DataSpec:
    return COLOUR.model_copy(update={"input_shape": (3, side, side)})


# The sizes are the smallest that show every layer at work.
CASES = [
    ("linear", IMAGE),
    ("linear", TABLE),
    ("mlp", IMAGE),
    ("mlp", TABLE),
    ("mlp", CODES),
    ("lenet5", IMAGE),
    ("lenet-1998", IMAGE),
    ("lenet-lego", colour(16)),
    ("mnist-convnet", colour(12)),
    ("convnet", IMAGE),
    ("convnet", colour(8)),
    ("alexnet-small", colour(14)),
    ("vgg-small", colour(8)),
    ("googlenet-small", colour(8)),
    ("resnet20", COLOUR),
    ("resnet32", colour(16)),
    ("plain20", colour(16)),
    ("se-resnet20", colour(16)),
    ("airbench", COLOUR),
    ("stn-lenet", IMAGE),
    ("localizer", BOXES),
    ("unet", PIXELS),
    ("[conv8-relu]*2 pool res[conv8-bn-relu-conv8]-relu cat[conv4@1 | conv4] gap fc", colour(9)),
    ("[fc16-tanh]*2 fc", TABLE),
]
# Deep or wide: only counts by default (test_convolutional.py), the rest in slow tests.
LARGE_CASES = [
    ("alexnet", colour(64)),
    ("alexnet-2012", colour(67)),
    ("zfnet", colour(64)),
    ("vgg11", colour(32)),
    ("vgg13", colour(32)),
    ("vgg16", colour(32)),
    ("vgg19", colour(32)),
    ("vgg16-gap", colour(32)),
    ("googlenet", colour(64)),
    ("googlenet-2014", colour(80)),
    ("inception-v3", colour(96)),
    ("inception-v4", colour(96)),
    ("inception-resnet-v2", colour(96)),
    ("resnet44", colour(8)),
    ("resnet56", colour(8)),
    ("resnet110", colour(8)),
    ("plain56", colour(8)),
    ("resnet18-small", colour(8)),
    ("resnet18", colour(64)),
    ("resnet34", colour(64)),
    ("resnet50", colour(64)),
    ("resnet101", colour(64)),
    ("resnet152", colour(64)),
    ("plain18", colour(64)),
    ("plain34", colour(64)),
    ("se-resnet50", colour(64)),
]
SIMILAR = {"resnet44", "resnet56", "resnet110", "vgg13", "vgg19", "resnet34", "resnet101"}  # in all but their depth
ids = [f"{name}-{spec.kind}{spec.input_shape}" for name, spec in CASES]
every_case = pytest.mark.parametrize(("name", "spec"), CASES, ids=ids)
# Deep ones of which a sibling is there, or that train in tests/test_model_runs.py, need not learn by heart every day.
LEARNED_SELDOM = ("resnet32", "plain20", "se-resnet20", "airbench")
some_large = [case for case in LARGE_CASES if case[0] not in SIMILAR]
large_case = pytest.mark.parametrize(("name", "spec"), some_large, ids=[name for name, _ in some_large])
FAMILIES = ("convolutional", "inception", "residual")
# At first their output does not depend on all weights: the transformer begins as the identity, and timm's residual
# branches with a gain of zero.
STARTS_SHUT = ("stn-lenet", "se-resnet50")
# Of very deep plain nets the first loss is far from chance, and of deep ones without normalisation the signal fades.
HARD_TO_START = ("plain34", "vgg11", "vgg16", "vgg16-gap", "googlenet-2014")


def batch_of(spec: DataSpec, size: int) -> tuple[tuple[Tensor, ...], Tensor]:
    generator = torch.Generator().manual_seed(7)
    first, *rest = example_inputs(spec, size)
    if first.dtype is torch.uint8:
        first = torch.randint(0, 256, first.shape, dtype=torch.uint8, generator=generator)
    else:
        first = torch.randn(first.shape, generator=generator) + torch.tensor(spec.scale_mean)
    for i, codes in enumerate(rest):
        columns = [torch.randint(1, n, codes.shape[:1], generator=generator) for n in spec.cardinalities]
        rest[i] = torch.stack(columns, dim=1)
    if spec.task == "regression":
        return (first, *rest), torch.randn(size, spec.num_outputs, generator=generator)
    target = torch.randint(0, spec.num_outputs, (size, *spec.output_shape), generator=generator)
    return (first, *rest), target


def loss_of(spec: DataSpec, outputs: Tensor | Outputs, target: Tensor) -> Tensor:
    if isinstance(outputs, Outputs):
        return sum(loss_of(spec, auxiliary, target) for auxiliary in (outputs.main, *outputs.auxiliary))
    if spec.task == "regression":
        return F.mse_loss(outputs, target)
    return F.cross_entropy(outputs.flatten(0, -2), target.flatten())


def build(name: str, spec: DataSpec, seed: int = 0) -> Network:
    widths = {"hidden": (32, 16)} if name == "mlp" else {}
    return build_model(ModelConfig(name=name, **widths), spec, seed=seed)


def test_every_image_network_of_the_catalogue_is_covered() -> None:
    covered = {name for name, _ in (*CASES, *LARGE_CASES)}
    assert {part.name for part in MODELS.values() if part.family in FAMILIES and part.kinds == ("image",)} <= covered


def check_gradients(name: str, spec: DataSpec) -> None:
    network = build(name, spec)
    inputs, target = batch_of(spec, 5)
    if name in STARTS_SHUT:
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
        loss_of(spec, network(*inputs), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    outputs = network(*inputs)
    main = outputs.main if isinstance(outputs, Outputs) else outputs
    assert main.shape == (5, *spec.output_shape, spec.num_outputs)
    assert main.dtype is torch.float32
    loss_of(spec, outputs, target).backward()
    for parameter_name, parameter in network.named_parameters():
        if not parameter.requires_grad:  # made before training, such as a whitening
            continue
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@every_case
def test_output_shape_and_every_parameter_gets_a_gradient(name: str, spec: DataSpec) -> None:
    check_gradients(name, spec)


@pytest.mark.slow
@pytest.mark.timeout(900)
@large_case
def test_large_output_shape_and_every_parameter_gets_a_gradient(name: str, spec: DataSpec) -> None:
    check_gradients(name, spec)


@every_case
def test_same_seed_same_weights_and_global_state_untouched(name: str, spec: DataSpec) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second, other = build(name, spec, seed=1), build(name, spec, seed=1), build(name, spec, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key
    assert any(not torch.equal(p, q) for p, q in zip(first.parameters(), other.parameters(), strict=True))


def memorise(name: str, spec: DataSpec, *, lr: float, steps: int, enough: float) -> None:
    network = build(name, spec)
    inputs, target = batch_of(spec, 8)
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    loss = math.inf
    for _ in range(steps):
        optimizer.zero_grad()
        error = loss_of(spec, network(*inputs), target)
        error.backward()
        optimizer.step()
        loss = error.item()
        if loss < enough:
            break
    assert loss < enough


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        pytest.param(*case, marks=pytest.mark.slow if case[0] in LEARNED_SELDOM else (), id=i)
        for case, i in zip(CASES, ids, strict=True)
    ],
)
@pytest.mark.spec("H8")
def test_starts_at_chance_and_memorises_eight_samples(name: str, spec: DataSpec) -> None:
    network = build(name, spec)
    inputs, target = batch_of(spec, 64)
    with torch.no_grad():
        first_loss = loss_of(spec, network(*inputs), target).item()
    chance = 1.0 if spec.task == "regression" else math.log(spec.num_outputs)
    assert first_loss == pytest.approx(chance, rel=0.15 if spec.task == "regression" else 0.05)
    # eight images of noise have 960 pixels to learn by heart
    memorise(
        name,
        spec,
        lr=0.003 if "lenet" in name else 0.001 if name == "vgg-small" else 0.01,
        steps=600,
        enough=0.5 if name == "unet" else 0.01,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@large_case
def test_large_ones_learn_eight_samples(name: str, spec: DataSpec) -> None:
    if name in HARD_TO_START:
        pytest.skip("deep without normalisation: it needs more patience than a test has")
    # Without shortcuts depth makes learning slow: that is what the plain networks are there to show.
    memorise(name, spec, lr=3e-4, steps=500 if name.startswith("plain") else 150, enough=0.5)


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


@pytest.mark.parametrize("name", ["convnet", "googlenet-small", "plain20", "resnet20", "se-resnet20", "resnet18-small"])
def test_one_network_takes_images_of_several_sizes(name: str) -> None:
    network = build(name, colour(8)).eval()
    with torch.no_grad():
        for height, width in ((8, 8), (12, 9), (24, 16)):
            assert network(torch.rand(2, 3, height, width)).shape == (2, 10)


@pytest.mark.parametrize("name", ["lenet5", "convnet", "resnet20", "se-resnet20", "googlenet-small", "stn-lenet"])
def test_channels_last_changes_nothing(name: str) -> None:
    network = build(name, IMAGE).eval()
    (x_BCHW,), _ = batch_of(IMAGE, 4)
    with torch.no_grad():
        expected = network(x_BCHW)
        network.to(memory_format=torch.channels_last)
        got = network(x_BCHW.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
