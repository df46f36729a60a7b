"""Networks as text: what a pattern builds, and what it says about itself when it cannot."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from limpid.catalogue.activations import ACTIVATIONS
from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models import build_model, layer_table, totals
from limpid.models.branches import Residual
from limpid.models.pattern import cnn_pattern
from limpid.models.pattern_parser import looks_like_pattern, parse_pattern
from limpid.spec import DataSpec

COLOUR = DataSpec(name="photos", kind="image", task="classification", input_shape=(3, 32, 32), num_outputs=10)
GREY = COLOUR.model_copy(update={"input_shape": (1, 28, 28)})
VECTOR = COLOUR.model_copy(update={"kind": "vector", "input_shape": (12,)})
SERIES = COLOUR.model_copy(update={"kind": "array", "input_shape": (4, 20)})


def body_of(pattern: str, spec: DataSpec = COLOUR) -> nn.Sequential:
    return build_model(ModelConfig(name=pattern), spec, seed=0).body


def kinds(pattern: str, spec: DataSpec = COLOUR) -> list[str]:
    return [type(module).__name__ for module in body_of(pattern, spec)]


def weighted(body: nn.Module) -> list[str]:
    return [type(m).__name__ for m in body.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


@pytest.mark.spec("A16")
def test_text_becomes_layers_with_shapes_of_the_data() -> None:
    text = "[conv32-relu]*2 pool, conv64@5x3/s2/p1 - bn - tanh -> flatten -> dropout0.25 fc128 relu -> fc"
    body = body_of(text)
    assert [type(m) for m in body] == [
        *(nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Conv2d, nn.BatchNorm2d, nn.Tanh),
        *(nn.Flatten, nn.Dropout, nn.Linear, nn.ReLU, nn.Linear),
    ]
    odd = body[5]
    assert (odd.in_channels, odd.out_channels) == (32, 64)
    assert (odd.kernel_size, odd.stride, odd.padding) == ((5, 3), (2, 2), (1, 1))
    assert body[9].p == 0.25
    assert (body[10].in_features, body[12].out_features) == (64 * 7 * 8, 10)
    assert body(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.spec("A16")
def test_the_builder_follows_the_three_numbers() -> None:
    linear = body_of(cnn_pattern(0, 0, 0))
    assert [type(m) for m in linear] == [nn.Flatten, nn.Linear]
    body = body_of(cnn_pattern(2, 3, 2))
    assert weighted(body) == ["Conv2d"] * 6 + ["Linear"] * 3
    assert kinds(cnn_pattern(2, 3, 2)).count("MaxPool2d") == 3
    assert kinds(cnn_pattern(1, 3, 0, pools=[True, False, True])).count("MaxPool2d") == 2
    assert [m.out_channels for m in body_of(cnn_pattern(1, 3, 0, filters=(4, 7))) if isinstance(m, nn.Conv2d)] == [
        4,
        7,
        7,
    ]
    for given in ((-1, 1, 1), (1, -1, 1), (1, 1, -1)):
        with pytest.raises(ModelError, match="-1 is not accepted"):
            cnn_pattern(*given)
    with pytest.raises(ModelError, match="1 values for 2 stages"):
        cnn_pattern(1, 2, 0, pools=[True])


@pytest.mark.spec("A16")
def test_the_form_of_the_books_can_be_typed_in() -> None:
    text = "INPUT -> [(CONV32 -> RELU)*2 -> POOL?]*3 -> (FC64 -> RELU)*2 -> FC"
    assert weighted(body_of(text)) == ["Conv2d"] * 6 + ["Linear"] * 3
    assert kinds(text).count("MaxPool2d") == 3
    tiny = COLOUR.model_copy(update={"input_shape": (3, 4, 4)})
    assert kinds(text, tiny).count("MaxPool2d") == 2  # 4 -> 2 -> 1, and nothing to pool is left


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("conv8@5 relu fc", "conv8@5x5 - relu -> fc"),
        ("5x5conv8 relu fc", "conv8@5, RELU, fc"),
        ("[conv8 relu]*2 fc", "conv8 relu conv8 relu fc"),
        ("((conv8)*2 relu)*2 fc", "[conv8 conv8 relu conv8 conv8 relu] fc"),
        ("maxpool3/2 fc", "pool3/s2 fc"),
        ("dense16 hyperbolictangent fc", "fc16-tanh-linear"),
        ("conv8 leakyrelu(0.1) fc", "conv8 leaky_relu(0.1) fc"),
        ("conv8 norm fc", "conv8 lrn5 fc"),
    ],
)
def test_two_ways_to_say_the_same(one: str, other: str) -> None:
    assert repr(body_of(one)) == repr(body_of(other))


def test_every_activation_can_stand_in_a_pattern() -> None:
    for name in ACTIVATIONS:
        body = body_of(f"fc8 {name} fc", VECTOR)
        assert body(torch.randn(3, 12)).shape == (3, 10), name
    assert body_of("fc8 leaky_relu(0.3) fc", VECTOR)[1].negative_slope == 0.3
    maxout = body_of("fc12 maxout(3) fc", VECTOR)
    assert maxout[2].in_features == 4


def test_shortcuts_fit_what_the_branch_makes() -> None:
    body = body_of("conv8 res[conv8-bn-relu-conv8-bn] res[conv16/s2-bn] relu gap res[fc16] res[fc4] fc")
    identity, halving, same, projected = [m for m in body if isinstance(m, Residual)]
    assert identity.shortcut is same.shortcut is None
    assert [type(m) for m in halving.shortcut] == [nn.Conv2d, nn.BatchNorm2d]
    assert halving.shortcut[0].stride == (2, 2)
    assert isinstance(projected.shortcut, nn.Linear)
    assert body(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.spec("A15", "X24", "K67")
def test_typical_network_on_128_pixels() -> None:
    spec = COLOUR.model_copy(update={"input_shape": (3, 128, 128), "num_outputs": 1, "task": "binary"})
    pattern = (
        "conv6@5/p0-relu-pool conv12/p0-relu-pool conv20/p0-relu-pool conv40/p0-relu-pool fc512-relu fc256-relu fc"
    )
    table = layer_table(build_model(ModelConfig(name=pattern), spec, seed=0), spec)
    values = [math.prod(row["output_shape"]) for row in table if row["kind"] in ("Conv2d", "MaxPool2d")]
    # the slide prints 19220, 43200 and 10800 in the second, fourth and fifth place
    assert values == [92_256, 23_064, 43_200, 10_800, 15_680, 3_920, 5_760, 1_440]
    assert [row["parameters"] for row in table if row["parameters"]] == [456, 660, 2180, 7240, 737_792, 131_328, 257]
    assert totals(table) == (879_913, 12_850_848)


@pytest.mark.spec("B38")
@pytest.mark.parametrize("seed", range(12))
def test_any_row_of_palette_blocks_trains_one_step(seed: int) -> None:
    """FC, ReLU, dropout, batch norm, max-pooling, convolution, 1x1 convolution and LSTM, in random order."""
    choice = random.Random(seed)
    maps = ["conv6", "conv5@1", "pool?", "relu", "dropout0.2", "bn"]
    flat = ["fc7", "relu", "dropout0.2", "bn"]
    parts = [choice.choice(maps) for _ in range(choice.randint(0, 6))]
    parts += [choice.choice(["lstm6", "rnn6", "fc9", "flatten"])]
    parts += [choice.choice(flat) for _ in range(choice.randint(0, 5))]
    spec = SERIES if seed % 3 == 0 else GREY.model_copy(update={"input_shape": (2, 12, 10)})
    network = build_model(ModelConfig(name=" ".join([*parts, "fc"])), spec, seed=seed)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    before = {name: p.clone() for name, p in network.named_parameters()}
    F.cross_entropy(network(torch.randn(8, *spec.input_shape)), torch.arange(8)).backward()
    optimizer.step()
    assert all(torch.isfinite(p).all() for p in network.parameters())
    assert any(not torch.equal(p, before[name]) for name, p in network.named_parameters())


def test_activations_work_in_place_only_where_nobody_needs_what_they_overwrite() -> None:
    body = body_of(
        "relu conv8-relu relu pool-relu dropout0.3-relu res[relu-conv8]-relu cat[relu | conv8-relu] lstm4-relu fc"
    )
    flags = [m.inplace for m in body.modules() if isinstance(m, nn.ReLU)]
    assert flags == [False, True, False, True, False, False, True, False, True, False]
    x = torch.randn(2, 3, 32, 32)
    body(x).sum().backward()


def test_recurrent_layers_read_rows_from_the_top() -> None:
    body = body_of("lstm8 fc", GREY.model_copy(update={"input_shape": (2, 5, 3)}))
    x = torch.randn(4, 2, 5, 3)
    steps = torch.stack([x[:, :, row].flatten(1) for row in range(5)], dim=1)
    states, _ = body[0].cell(steps)
    torch.testing.assert_close(body[0](x), states[:, -1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("[conv32-relu]*2 pool fc", True),
        ("fc", True),
        ("conv32-relu-fc", True),
        ("fc128 fc", True),
        ("dropout0.5-fc", True),
        ("convnext_tiny", False),
        ("resnet2O", False),
        ("timm/resnet18", False),
        ("se-resnext", False),
        ("denseneet121", False),
        ("bn-relu-fc", True),
        ("se-fc", True),
    ],
)
def test_what_counts_as_a_pattern(name: str, expected: bool) -> None:
    assert looks_like_pattern(name) is expected


@pytest.mark.parametrize(
    ("pattern", "pointed_at", "says"),
    [
        ("[conv32-relu]*2 pol fc", "pol", "no layer 'pol'. Did you mean pool?"),
        ("conv32-rellu fc", "rellu", "no layer 'rellu'. Did you mean relu?"),
        ("[conv32-relu*2 pool fc", "*2", "behind brackets"),
        ("[conv32-relu pool fc", "[", "never closed"),
        ("conv32-relu]*2 fc", "]", "closes or parts nothing"),
        ("[conv32)*2 fc", ")", "does not close"),
        ("[conv32]*0 fc", "*0", "from 1 to 1000"),
        ("[conv32]*2.5 fc", "*2.5", "from 1 to 1000"),
        ("[] fc", "[]", "hold no layer"),
        ("conv32@3/q2 fc", "conv32@3/q2", "/q2 is not an option of conv, which has /s, /p, /g, /d, /nobias"),
        ("conv32/s0 fc", "conv32/s0", "at least 1"),
        ("conv0 fc", "conv0", "whole number"),
        ("conv2.5 fc", "conv2.5", "whole number"),
        ("fc32/s2 fc", "fc32/s2", "which has /nobias"),
        ("bn@3 fc", "bn@3", "no kernel"),
        ("sum[conv3 | conv3] fc", "sum", "no group 'sum'"),
        ("res[conv3 | conv3] fc", "|", "cat"),
        ("conv8 # relu fc", "#", "means nothing"),
        ("conv8 leaky_relu(steep) fc", "leaky_relu(steep)", "expected a number"),
        ("fc-3 fc", "3", "no layer '3'"),
    ],
)
def test_a_slip_is_pointed_at(pattern: str, pointed_at: str, says: str) -> None:
    with pytest.raises(ModelError) as caught:
        build_model(ModelConfig(name=pattern), COLOUR, seed=0)
    message, text, marks = str(caught.value).split("\n")
    assert says in message
    assert text == f"  {pattern}"
    start = marks.index("^")
    assert text[start : len(marks)] == pointed_at
    assert set(marks[start:]) == {"^"}


@pytest.mark.parametrize(
    ("pattern", "spec", "pointed_at", "says"),
    [
        ("[conv8-pool]*6 fc", COLOUR, "pool", "Layer 12, pool, cannot take what comes in, 8 x 1 x 1: a window of 2"),
        (
            "pool pool3 conv9@11/p0 fc",
            COLOUR,
            "conv9@11/p0",
            "Layer 3, conv9@11/p0, cannot take what comes in, 3 x 5 x 5",
        ),
        ("fc16 conv3 fc", COLOUR, "conv3", "16: it needs a map"),
        ("conv3 fc", VECTOR, "conv3", "what comes in, 12"),
        ("conv relu fc", COLOUR, "conv", "how many filters"),
        ("fc fc", VECTOR, "fc", "how many units"),
        ("conv8/g3 fc", COLOUR, "conv8/g3", "3 groups do not divide 3 channels into 8 filters"),
        ("fc9 maxout(2) fc", VECTOR, "maxout(2)", "do not divide 9"),
        ("conv8 se16 fc", COLOUR, "se16", "leaves nothing of 8"),
        ("conv8 dropout2 fc", COLOUR, "dropout2", "share"),
        ("res[conv8 gap] fc", COLOUR, "res[conv8 gap]", "no shortcut joins"),
        ("cat[conv8 | conv8/s2] fc", COLOUR, "cat[conv8 | conv8/s2]", "8 x 32 x 32, 8 x 16 x 16"),
        ("conv8 relu", COLOUR, "relu", "ends with 8 x 32 x 32 outputs, and photos needs 10"),
        ("conv8 relu fc128", COLOUR, "fc128", "ends with 128 outputs"),
    ],
)
def test_a_layer_that_does_not_fit_is_named_with_what_came_in(
    pattern: str, spec: DataSpec, pointed_at: str, says: str
) -> None:
    with pytest.raises(ModelError) as caught:
        build_model(ModelConfig(name=pattern), spec, seed=0)
    message, text, marks = str(caught.value).split("\n")
    assert says in message
    assert text[marks.index("^") : len(marks)] == pointed_at


def test_a_convolution_may_be_the_head() -> None:
    body = body_of("[conv16-relu]*2 conv@1 gap")
    assert body[4].out_channels == 10
    assert body(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_codes_and_other_kinds_are_refused() -> None:
    codes = VECTOR.model_copy(update={"kind": "table", "cardinalities": (3,)})
    with pytest.raises(ModelError, match="columns of codes.*encode=onehot"):
        build_model(ModelConfig(name="fc8-relu-fc"), codes, seed=0)
    text = VECTOR.model_copy(update={"kind": "text"})
    with pytest.raises(ModelError, match="kind text"):
        build_model(ModelConfig(name="fc8-relu-fc"), text, seed=0)
    with pytest.raises(ModelError, match="no published weights"):
        build_model(ModelConfig(name="fc8-relu-fc", pretrained=True), VECTOR, seed=0)


def test_the_parser_gives_places() -> None:
    group, last = parse_pattern("[conv8 relu]*3 fc", {"relu": "relu"})
    assert (group.start, group.end, group.repeat) == (0, 14, 3)
    assert (last.start, last.end, last.size) == (15, 17, None)


def test_the_command_line_trains_a_pattern_and_points_at_a_slip(limpid: Callable[..., Any], tmp_path: Path) -> None:
    run = ("train", "digits", "--epochs", "1", "--set", "record.report=false", "--model")
    assert limpid(*run, "[conv8-relu]*2 pool -> fc16 relu -> fc", "--out", "run").code == 0
    done = limpid(*run, "[conv8-relu]*2 pool pool pool pool fc", "--out", "other")
    assert done.code == 2
    message, text, marks = done.err.rstrip("\n").split("\n")
    assert "Layer 8, pool, cannot take what comes in, 8 x 1 x 1" in message
    assert text[marks.index("^") :].startswith("pool fc")
    assert not (tmp_path / "other").exists()
