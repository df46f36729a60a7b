"""The architectures that Limpid builds itself, as one table, and the way from a name to a network.

Any other name is looked for in torchvision and timm (pretrained.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models.cifar_resnet import build_cifar_resnet
from limpid.models.convnet import build_convnet
from limpid.models.lenet import build_lenet5
from limpid.models.linear import build_linear
from limpid.models.mlp import build_mlp
from limpid.models.network import Network
from limpid.spec import DataSpec

ANY_KIND = ("image", "vector", "table", "array")


@dataclass(frozen=True)
class ModelEntry:
    """One architecture: how to build it, what it accepts, where it comes from."""

    name: str
    build: Callable[[ModelConfig, DataSpec], nn.Module]
    family: str
    kinds: tuple[str, ...]  # of data, see DataSpec
    takes_codes: bool  # category codes as a second input; otherwise categories come as one-hot numbers
    year: int
    source: str
    description: str


def _resnet(depth: int) -> ModelEntry:
    description = f"residual network of {depth} layers for small images"
    source = "He et al. 2015, section 4.2 (arXiv 1512.03385)"
    return ModelEntry(
        f"resnet{depth}", build_cifar_resnet(depth), "residual", ("image",), False, 2015, source, description
    )


_ENTRIES = (
    ModelEntry(
        "linear",
        build_linear,
        "linear",
        ANY_KIND,
        False,
        1805,
        "Legendre 1805; Cox 1958",
        "linear or logistic regression",
    ),
    ModelEntry(
        "mlp", build_mlp, "dense", ANY_KIND, True, 1986, "Rumelhart, Hinton & Williams 1986", "multi-layer perceptron"
    ),
    ModelEntry(
        "lenet5",
        build_lenet5,
        "convolutional",
        ("image",),
        False,
        1998,
        "LeCun et al. 1998",
        "LeNet-5, 28 or 32 pixels",
    ),
    ModelEntry(
        "convnet",
        build_convnet,
        "convolutional",
        ("image",),
        False,
        2015,
        "in the manner of Simonyan & Zisserman 2015",
        "3x3 convolutions in stages, as deep as the image allows",
    ),
    *(_resnet(depth) for depth in (20, 32, 44, 56, 110)),
)
_MODELS = {entry.name: entry for entry in _ENTRIES}


def models() -> dict[str, ModelEntry]:
    """Every architecture of our own, by name, from simple to complex."""
    return dict(_MODELS)


def takes_codes(name: str) -> bool:
    """Whether the named model wants category codes (True) or one-hot numbers (False)."""
    return name in _MODELS and _MODELS[name].takes_codes


def build_model(config: ModelConfig, spec: DataSpec, *, seed: int) -> Network:
    """The configured architecture for this data, with weights that are a function of the seed alone.

    The global random state is left as it was. Raises ModelError for an unknown name (naming the nearest), for data of
    a kind or size that the architecture does not take, and for published weights that cannot be had.
    """
    assert config.name != "auto", "defaults.py resolves auto before anything is built"
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        entry = _MODELS.get(config.name)
        if entry is None:
            from limpid.models.pretrained import build_published

            return build_published(config, spec, known=tuple(_MODELS))
        _check_fit(entry, config, spec)
        return Network(spec, entry.build(config, spec))


def _check_fit(entry: ModelEntry, config: ModelConfig, spec: DataSpec) -> None:
    if spec.kind not in entry.kinds:
        raise ModelError(
            f"{entry.name} takes data of kind {' or '.join(entry.kinds)}, of shape (channels, height, width); "
            f"{spec.name} is of kind {spec.kind} with shape {spec.input_shape}. Use model.name=mlp or linear."
        )
    if spec.cardinalities and not entry.takes_codes:
        raise ModelError(
            f"{entry.name} takes numbers only, and {spec.name} has {len(spec.cardinalities)} columns of codes. "
            "Set data.encode=onehot, or use model.name=mlp."
        )
    if config.pretrained:
        raise ModelError(
            f"{entry.name} has no published weights. Leave out model.pretrained, or name a torchvision or timm model, "
            "for example model.name=resnet18."
        )
