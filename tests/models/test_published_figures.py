"""Figures that lecture notes state of networks, data and settings, computed again."""

from __future__ import annotations

import inspect
import os

import pytest
import torch
from torch import nn

from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.config import DataConfig, ModelConfig
from limpid.data.named import load_named
from limpid.models import build_model, layer_table, totals
from limpid.models.pattern import assemble
from limpid.recipe import load_recipe
from limpid.reporting.data_need import data_need
from limpid.spec import DataSpec


def image(channels: int, side: int, classes: int) -> DataSpec:
    return DataSpec(
        name="i", kind="image", task="classification", input_shape=(channels, side, side), num_outputs=classes
    )


def vector(features: int, outputs: int) -> DataSpec:
    return DataSpec(name="v", kind="vector", task="classification", input_shape=(features,), num_outputs=outputs)


def counted(name: str, side: int) -> tuple[int, int]:
    """Parameters and multiply-adds at a size of colour image, 1,000 classes."""
    spec = image(3, side, 1000)
    with torch.device("meta"):
        return totals(layer_table(build_model(ModelConfig(name=name), spec, seed=0), spec))


@pytest.mark.spec("K29")
def test_latest_inception() -> None:
    assert counted("inception-v4", 299)[0] == 42_679_816
    assert counted("inception-v3", 299)[0] == 23_834_568


@pytest.mark.spec("K61")
def test_memory_and_operations_compared() -> None:
    """VGG is large and slow, GoogLeNet small, AlexNet quick but large, ResNet in the middle."""
    alexnet, vgg, googlenet, resnet = (counted(n, 224) for n in ("alexnet", "vgg16", "googlenet", "resnet152"))
    millions = [round(size / 1e6, 1) for size, _ in (alexnet, vgg, googlenet, resnet)]
    billions = [macs / 1e9 for _, macs in (alexnet, vgg, googlenet, resnet)]
    assert millions == [61.1, 138.4, 6.6, 60.2]
    assert billions == pytest.approx([0.71, 15.5, 1.50, 11.5], abs=0.06)
    assert vgg[0] > alexnet[0] > resnet[0] > googlenet[0]
    assert vgg[1] > resnet[1] > googlenet[1] > alexnet[1]


@pytest.mark.spec("K43")
def test_width_of_the_autoencoder() -> None:
    spec = vector(784, 784)
    network = build_model(ModelConfig(name="fc256-relu -> fc"), spec, seed=0)
    assert totals(layer_table(network, spec))[0] == 784 * 256 + 256 + 256 * 784 + 784 == 402_448


@pytest.mark.spec("K73", "X40")
def test_shapes_of_the_small_net() -> None:
    """Matrices of 4 x 3, 4 x 4 and 1 x 4: the last one is written 4 x 1, which would not fit."""
    spec = vector(3, 1)
    network = build_model(ModelConfig(name="fc4-relu fc4-relu -> fc"), spec, seed=0)
    weights = [layer.weight for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert [tuple(weight.shape) for weight in weights] == [(4, 3), (4, 4), (1, 4)]
    assert sum(weight.numel() for weight in weights) == 32


@pytest.mark.spec("K58")
@pytest.mark.parametrize(("side", "kernel"), [(28, 5), (12, 5), (32, 3), (8, 7)])
def test_size_after_an_unpadded_convolution(side: int, kernel: int) -> None:
    """H - K + 1; H - (K - 1) / 2, as it is also written, counts one border only."""
    module, shape = assemble(f"conv4@{kernel}/p0", (1, side, side), num_outputs=None)
    assert tuple(module(torch.zeros(1, 1, side, side)).shape[1:]) == shape == (4, side - kernel + 1, side - kernel + 1)
    assert shape[1] != side - (kernel - 1) // 2


@pytest.mark.spec("K38", "K53")
def test_default_settings_of_optimisers() -> None:
    """torch's, asked of torch; ours share them but for the rates, which were chosen by trial."""
    published = {
        "SGD": {"lr": 1e-3, "momentum": 0, "weight_decay": 0},
        "Adam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0},
        "NAdam": {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "momentum_decay": 4e-3},
        "Adagrad": {"lr": 0.01, "eps": 1e-10, "lr_decay": 0, "initial_accumulator_value": 0},
        "RMSprop": {"lr": 0.01, "alpha": 0.99, "eps": 1e-8, "momentum": 0, "centered": False},
        "Adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6},
    }
    for name, settings in published.items():
        signature = inspect.signature(getattr(torch.optim, name)).parameters
        assert {key: signature[key].default for key in settings} == settings
        options = OPTIMIZERS[name.lower()].options
        shared = [key for key in settings if key in options and name != "SGD"]
        assert {key: options[key].default for key in shared} == {key: settings[key] for key in shared}
        assert name == "SGD" or "eps" in shared


@pytest.mark.spec("K49")
def test_bytes_of_both_float_precisions() -> None:
    assert (torch.float32.itemsize, torch.finfo(torch.float32).bits) == (4, 32)
    assert (torch.float64.itemsize, torch.finfo(torch.float64).bits) == (8, 64)


@pytest.mark.spec("K69")
def test_images_by_the_rule_of_ten() -> None:
    assert "370,000,000 rows" in data_need(37_000_000, 60_000)


@pytest.mark.spec("K64", "X4")
def test_recipes_of_alexnet_and_resnet() -> None:
    """The ResNet recipe takes the paper's decay of 1e-4, not 1e-5; and the network does end in one dense layer."""
    alexnet, resnet = load_recipe("alexnet-2012").config, load_recipe("resnet-2015").config
    assert (alexnet.training.batch_size, alexnet.optim.lr, alexnet.optim.weight_decay) == (128, 0.01, 5e-4)
    with torch.device("meta"):
        network = build_model(alexnet.model, image(3, 227, 1000), seed=0)
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]
    assert alexnet.optim.options["momentum"] == 0.9
    assert (resnet.training.batch_size, resnet.optim.lr, resnet.optim.weight_decay) == (256, 0.1, 1e-4)
    assert resnet.optim.options["momentum"] == 0.9
    with torch.device("meta"):
        network = build_model(ModelConfig(name="resnet50"), image(3, 224, 1000), seed=0)
    dense = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in dense] == [(2048, 1000)]


@pytest.mark.spec("X37")
def test_dropout_stands_near_the_output_only() -> None:
    with torch.device("meta"):
        network = build_model(ModelConfig(name="alexnet"), image(3, 224, 1000), seed=0)
    kinds = [type(layer) for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear | nn.Dropout)]
    first = kinds.index(nn.Dropout)
    assert kinds.count(nn.Dropout) == 2
    assert all(kind is nn.Conv2d for kind in kinds[:first])


@pytest.mark.spec("X36")
def test_convolution_moves_along_and_pooling_over_everything_does_not_care() -> None:
    conv, _ = assemble("conv4@3", (1, 16, 16), num_outputs=None)
    x = torch.zeros(1, 1, 16, 16)
    x[0, 0, 5:8, 5:8] = torch.rand(3, 3)
    moved = torch.roll(x, (3, 2), dims=(2, 3))
    torch.testing.assert_close(conv(moved), torch.roll(conv(x), (3, 2), dims=(2, 3)))
    assert not torch.allclose(conv(moved), conv(x)), "equivariant is not invariant"
    pool, _ = assemble("gap", (4, 16, 16), num_outputs=None)
    torch.testing.assert_close(pool(conv(moved)), pool(conv(x)))


@pytest.mark.slow
@pytest.mark.spec("K31", "K32")
@pytest.mark.parametrize(("name", "side"), [("mnist", 28), ("cifar10", 32)])
def test_sizes_of_mnist_and_cifar(name: str, side: int) -> None:
    folder = os.environ.get("LIMPID_DATA")
    if not folder:
        pytest.skip("set LIMPID_DATA to a folder that holds the data set")
    data = load_named(name, DataConfig(data_dir=folder, valid_share=0.0), 0)
    test = data.test()
    assert test is not None
    assert (len(data.train), len(test), len(data.spec.classes)) == (60_000 if side == 28 else 50_000, 10_000, 10)
    assert data.spec.input_shape[1:] == (side, side)
