"""LeNet to VGG: each against its published shapes and counts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from limpid.catalogue.models import MODELS
from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models import build_model, layer_table, totals
from limpid.models.class_activation import class_activation_maps
from limpid.models.network import Network, example_inputs
from limpid.spec import DataSpec

GREY = DataSpec(name="g", kind="image", task="classification", input_shape=(1, 28, 28), num_outputs=10)
LARGE = GREY.model_copy(update={"input_shape": (3, 224, 224), "num_outputs": 1000})
ALEX = LARGE.model_copy(update={"input_shape": (3, 227, 227)})

Row = dict[str, object]


def build(name: str, spec: DataSpec, **options: object) -> Network:
    return build_model(ModelConfig(name=name, options=options), spec, seed=0)


def table_of(name: str, spec: DataSpec, **options: object) -> list[Row]:
    """The layer table, from shapes alone: no large weight is made."""
    with torch.device("meta"):
        return layer_table(build(name, spec, **options), spec)


def shapes(table: list[Row], *kinds: str) -> list[object]:
    return [row["output_shape"] for row in table if row["kind"] in kinds]


# What differs in its depth alone from one that is counted every day, what other files count every day, and the largest.
COUNTED_SELDOM = (
    *("resnet44", "resnet56", "resnet110", "plain56", "resnet101", "resnet152", "se-resnet50"),
    *("inception-v4", "inception-resnet-v2"),
)
COUNTED = [
    pytest.param(part.name, marks=pytest.mark.slow if part.name in COUNTED_SELDOM else ())
    for part in MODELS.values()
    if part.counted
]


@pytest.mark.parametrize("name", COUNTED)
def test_catalogue_counts_are_what_we_count(name: str) -> None:
    counted = MODELS[name].counted
    assert counted is not None
    task = MODELS[name].tasks[0]
    places = (math.prod(counted.input_shape[1:]),) if task == "tokens" else ()
    spec = GREY.model_copy(
        update={
            "input_shape": counted.input_shape,
            "num_outputs": counted.num_outputs,
            "task": task,
            "output_shape": places,
        }
    )
    with torch.device("meta"):
        network = build(name, spec)
    table = layer_table(network, spec)
    assert totals(table) == (counted.parameters, counted.macs)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(*example_inputs(spec, 1, device="meta"))
    assert counter.get_total_flops() == 2 * counted.macs


@pytest.mark.spec("A18", "X22", "K39")
def test_lenet5_has_400_features_at_either_size() -> None:
    for side in (28, 32):
        table = table_of("lenet5", GREY.model_copy(update={"input_shape": (1, side, side)}))
        assert totals(table)[0] == 61_706
        assert shapes(table, "Flatten", "Linear") == [(400,), (120,), (84,), (10,)]
    with pytest.raises(ModelError, match="28 x 28 or 32 x 32"):
        build("lenet5", GREY.model_copy(update={"input_shape": (1, 24, 24)}))


@pytest.mark.spec("A19", "K39")
def test_lego_lenet() -> None:
    table = table_of("lenet-lego", GREY)
    assert totals(table) == (431_080, 2_293_000)
    sides = [shape[1] for shape in shapes(table, "Conv2d", "MaxPool2d")]
    assert sides == [24, 12, 8, 4]
    assert shapes(table, "Flatten", "Linear") == [(800,), (500,), (10,)]


@pytest.mark.spec("A20", "X23")
def test_classic_lenet() -> None:
    spec = GREY.model_copy(update={"input_shape": (1, 32, 32)})
    table = table_of("lenet-1998", spec)
    assert totals(table)[0] == 61_706
    assert [shape[0] for shape in shapes(table, "Conv2d")] == [6, 16, 120]
    assert [row["kind"] for row in table if row["kind"] not in ("InputScale",)] == [
        *("Conv2d", "Tanh", "AvgPool2d", "Conv2d", "Tanh", "AvgPool2d", "Conv2d", "Tanh"),
        *("Flatten", "Linear", "Tanh", "Linear"),
    ]
    literal = table_of("lenet-1998", spec, dense=0)  # CONV-POOL-CONV-POOL-CONV-FC
    assert totals(literal)[0] == 51_902
    kinds = {row["kind"] for row in table_of("lenet-1998", spec, squash="sigmoid", pool="max")}
    assert {"Sigmoid", "MaxPool2d"} <= kinds
    assert not {"Tanh", "AvgPool2d"} & kinds


@pytest.mark.spec("X23")
@pytest.mark.parametrize("activation", ["tanh", "silu"])
@pytest.mark.parametrize("pool", ["max", "avg"])
def test_lenet5_with_either_pool_and_any_activation(pool: str, activation: str) -> None:
    network = build_model(ModelConfig(name="lenet5", activation=activation, options={"pool": pool}), GREY, seed=0)
    conv1, conv2, *dense = [m for m in network.body if isinstance(m, nn.Conv2d | nn.Linear)]
    act = torch.tanh if activation == "tanh" else F.silu
    shrink = F.max_pool2d if pool == "max" else F.avg_pool2d
    x = torch.rand(4, 1, 28, 28)
    h = shrink(act(conv2(shrink(act(conv1(x)), 2))), 2).flatten(1)
    torch.testing.assert_close(network(x), dense[2](act(dense[1](act(dense[0](h))))))


@pytest.mark.spec("A21", "K40")
def test_mnist_convnet() -> None:
    network = build("mnist-convnet", GREY)
    table = layer_table(network, GREY)
    assert totals(table)[0] == 1_200_330
    assert shapes(table, "MaxPool2d") == [(64, 12, 12)]
    assert shapes(table, "Flatten") == [(9216,)]
    assert [type(m) for m in network.body] == [
        *(nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Dropout),
        *(nn.Flatten, nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear),
    ]
    assert network.body[7].p == 0.25


@pytest.mark.spec("A22", "K2", "K6", "B12")
def test_alexnet_in_one_column() -> None:
    table = table_of("alexnet", LARGE)
    assert totals(table) == (61_100_840, 714_188_480)
    assert shapes(table, "Conv2d", "MaxPool2d") == [
        *((64, 55, 55), (64, 27, 27), (192, 27, 27), (192, 13, 13)),
        *((384, 13, 13), (256, 13, 13), (256, 13, 13), (256, 6, 6)),
    ]
    assert shapes(table, "Linear") == [(4096,), (4096,), (1000,)]
    assert 256 * 6 * 6 == 9216
    with torch.device("meta"):
        linear = [m for m in build("alexnet", LARGE).modules() if isinstance(m, nn.Linear)]
    assert linear[0].in_features == 9216


@pytest.mark.spec("A23", "X39", "X2", "K1", "K3", "K4", "K5", "K7", "K63")
def test_alexnet_of_2012() -> None:
    single = table_of("alexnet-2012", ALEX, towers=1, lrn="after")
    assert totals(single) == (62_378_344, 1_135_256_096)
    assert totals(table_of("alexnet-2012", ALEX)) == (60_965_224, 724_406_816)
    assert shapes(single, "Conv2d", "MaxPool2d", "LocalResponseNorm") == [
        *((96, 55, 55), (96, 27, 27), (96, 27, 27), (256, 27, 27), (256, 13, 13), (256, 13, 13)),
        *((384, 13, 13), (384, 13, 13), (256, 13, 13), (256, 6, 6)),
    ]
    before = table_of("alexnet-2012", ALEX, lrn="before")
    assert shapes(before, "LocalResponseNorm") == [(96, 55, 55), (256, 27, 27)]
    assert shapes(table_of("alexnet-2012", ALEX, lrn="none"), "LocalResponseNorm") == []
    weighted = [row for row in single if row["kind"] in ("Conv2d", "Linear")]
    assert [row["kind"] for row in weighted] == ["Conv2d"] * 5 + ["Linear"] * 3
    assert [math.prod(row["output_shape"]) for row in weighted] == [
        *(290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000),
    ]
    assert sum(math.prod(row["output_shape"]) for row in weighted) == 659_272
    assert weighted[0]["parameters"] == 34_944


@pytest.mark.spec("A25", "X5")
def test_zfnet() -> None:
    table = table_of("zfnet", LARGE)
    assert totals(table)[0] == 62_357_608
    assert shapes(table, "Conv2d")[0] == (96, 110, 110)
    assert [shape[1] for shape in shapes(table, "Conv2d", "MaxPool2d")] == [110, 55, 26, 13, 13, 13, 13, 6]
    wide = table_of("zfnet", LARGE, middle="512-1024-512")
    assert totals(wide)[0] == 107_627_624
    assert "Clarifai" in MODELS["zfnet"].published["top-5 error"]


def features(network: Network) -> nn.Sequential:
    return network.body.features


@pytest.mark.spec("A26", "K10", "K12", "K13", "K45", "X3")
def test_vgg16() -> None:
    table = table_of("vgg16", LARGE)
    assert totals(table) == (138_357_544, 15_470_264_320)
    weighted = [row for row in table if row["kind"] in ("Conv2d", "Linear")]
    assert len(weighted) == 16
    widths = [row["output_shape"][0] for row in weighted]
    assert widths == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6 + [4096] * 2 + [1000]
    assert (widths[4], widths[7], widths[10]) == (256, 512, 512)  # conv3_1, conv4_1, conv5_1
    assert weighted[13]["parameters"] == 102_764_544
    assert pytest.approx(0.743, abs=5e-4) == 102_764_544 / 138_357_544


@pytest.mark.spec("A27", "K11", "X3")
def test_vgg19() -> None:
    assert totals(table_of("vgg19", LARGE)) == (143_667_240, 19_632_062_464)
    with torch.device("meta"):
        network = build("vgg19", LARGE)
    assert [i for i, m in enumerate(features(network)) if isinstance(m, nn.MaxPool2d)] == [4, 9, 18, 27, 36]


@pytest.mark.spec("A28")
def test_vgg13() -> None:
    table = table_of("vgg13", LARGE)
    assert totals(table)[0] == 133_047_848
    assert [row["output_shape"][0] for row in table if row["kind"] in ("Conv2d", "Linear")] == [
        *(64, 64, 128, 128, 256, 256, 512, 512, 512, 512, 4096, 4096, 1000),
    ]


@pytest.mark.spec("A29", "K42", "X32")
def test_vgg16_with_a_global_average() -> None:
    table = table_of("vgg16-gap", LARGE)
    assert totals(table)[0] == 20_459_304
    assert shapes(table, "Conv2d")[-1] == (1024, 14, 14)
    assert len(shapes(table, "MaxPool2d")) == 4
    assert len(shapes(table, "Conv2d")) == 14


@pytest.mark.spec("A29", "B22")
@pytest.mark.parametrize("name", ["vgg16-gap", "convnet", "resnet20"])
def test_class_activation_maps_average_to_the_logits(name: str) -> None:
    spec = GREY.model_copy(update={"input_shape": (3, 32, 32)})
    network = build(name, spec, **({"width": 12} if name == "vgg16-gap" else {})).train()
    x = torch.rand(2, 3, 32, 32)
    maps_BKHW = class_activation_maps(network, x)
    assert network.training
    head = [m for m in network.modules() if isinstance(m, nn.Linear)][-1]
    torch.testing.assert_close(maps_BKHW.mean(dim=(2, 3)) + head.bias, network.eval()(x))
    assert class_activation_maps(network, x, size=(32, 32)).shape == (2, 10, 32, 32)


def test_class_activation_maps_need_an_average_before_the_last_layer() -> None:
    with pytest.raises(ModelError, match="global average"):
        class_activation_maps(build("lenet5", GREY), torch.rand(1, 1, 28, 28))

    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean, self.hidden, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(3, 5), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.hidden(self.mean(x).flatten(1)))

    with pytest.raises(ModelError, match="right behind"):
        class_activation_maps(Late(), torch.rand(1, 3, 8, 8))


@pytest.mark.spec("K61", "K22")
def test_order_of_size_and_work() -> None:
    counted = {name: MODELS[name].counted for name in ("alexnet", "vgg16", "vgg19", "googlenet", "resnet152")}
    parameters = sorted(counted, key=lambda name: counted[name].parameters)  # type: ignore[union-attr]
    work = sorted(counted, key=lambda name: counted[name].macs)  # type: ignore[union-attr]
    assert parameters == ["googlenet", "resnet152", "alexnet", "vgg16", "vgg19"]
    assert work == ["alexnet", "googlenet", "resnet152", "vgg16", "vgg19"]
    assert 152 / 19 == 8


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("alexnet-2012", (3, 32, 32), r"alexnet-2012 does not fit these data\. Layer .*maxpool3/s2.*data.image_size"),
        ("googlenet-2014", (3, 32, 32), r"googlenet-2014 does not fit these data.*avgpool5/s3"),
        ("lenet-lego", (1, 8, 8), r"lenet-lego does not fit these data.*conv50@5/p0"),
        ("vgg16", (3, 16, 16), r"vgg16 cannot take a batch"),
    ],
)
def test_images_that_are_too_small_are_refused(name: str, shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(ModelError, match=says), torch.device("meta"):
        build(name, GREY.model_copy(update={"input_shape": shape}))


def test_weights_cannot_be_loaded_and_drawn_again() -> None:
    with pytest.raises(ModelError, match="has no published weights"):
        build_model(ModelConfig(name="zfnet", pretrained=True), LARGE, seed=0)


def test_the_list_shows_size_work_and_published_figures(limpid: Callable[..., Any]) -> None:
    rows = {row["name"]: row for row in map(json.loads, limpid("models", "--json").out.splitlines())}
    assert rows["alexnet-2012"]["parameters"] == 60_965_224
    assert rows["alexnet-2012"]["macs"] == 724_406_816
    assert "60 million" in rows["alexnet-2012"]["published"]
    assert "15,470,264,320" in limpid("models").out
    shown = limpid("show", "vgg-small").out
    assert "3,839,434 parameters" in shown
    assert f"pattern: {MODELS['vgg-small'].pattern}" in shown
