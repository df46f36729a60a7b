"""The way from a name to a network: an architecture of the catalogue, a pattern of layers, or a library's name."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from limpid.catalogue.model_part import ModelPart
from limpid.catalogue.models import MODELS
from limpid.config import ModelConfig
from limpid.errors import ConfigError, ModelError
from limpid.models.initialize import reinitialize
from limpid.models.network import Network
from limpid.models.pattern import build_pattern
from limpid.models.pattern_parser import looks_like_pattern
from limpid.spec import DataSpec

SHARED = ("hidden", "activation", "norm", "dropout", "numbers", "embedding")


def takes_codes(name: str) -> bool:
    """Whether the named model wants category codes (True) or one-hot numbers (False)."""
    return name in MODELS and MODELS[name].takes_codes


def most_tokens(name: str) -> int:
    """How many tokens of a labelled text the named model reads, unless it is told how many."""
    return MODELS[name].most_tokens if name in MODELS else ModelPart.most_tokens


def build_model(config: ModelConfig, spec: DataSpec, *, seed: int) -> Network:
    """The configured architecture or pattern for this data, with weights that are a function of the seed alone.

    The global random state is left as it was. Raises ModelError for an unknown name (naming the nearest), for data of
    a kind or size that the architecture does not take, and for published weights that cannot be had, ConfigError for
    options that it would ignore.
    """
    assert config.name != "auto", "defaults.py resolves auto before anything is built"
    raw, spec = spec, spec.behind_scale()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        part = MODELS.get(config.name)
        if part is not None:
            _check_fit(part, config, spec)
            options = part.accept(config.options, "model")
            watched = Watched(config.model_copy(update={"options": options}))
            body: nn.Module = part.load()(watched, spec)
            _refuse_unread(part.name, config, watched.read)
        elif looks_like_pattern(config.name):
            _refuse_weights(config, "a pattern of layers")
            body = build_pattern(config.name, spec)
        else:
            from limpid.models.pretrained import build_published

            body = build_published(config, spec, known=tuple(MODELS))
        if config.init is not None and config.pretrained:
            raise ModelError(
                f"model.init={config.init} would draw the weights again that model.pretrained loads: leave out one."
            )
        reinitialize(
            body,
            config.init,
            activation=config.activation,
            biases=config.bias_init,
            embeddings=config.embedding_init,
        )
        return body if isinstance(body, Network) else Network(raw, body)


class Watched:
    """A configuration that remembers which of its options have been read."""

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self._config, name)


def _refuse_unread(name: str, config: ModelConfig, read: set[str]) -> None:
    """Options that several architectures share are never dropped silently by one that has no use for them."""
    for key in SHARED:
        value = getattr(config, key)
        if key not in read and value not in (ModelConfig.model_fields[key].default, None, 0.0, "none"):
            raise ConfigError(
                f"model.{key}={value} has no effect on {name} with this data. Leave it out; `limpid show {name}` lists "
                "the options that it has."
            )


def _check_fit(part: ModelPart, config: ModelConfig, spec: DataSpec) -> None:
    if spec.kind not in part.kinds:
        raise ModelError(
            f"{part.name} takes data of kind {' or '.join(part.kinds)}; "
            f"{spec.name} is of kind {spec.kind} with shape {spec.input_shape}. `limpid models` lists what fits."
        )
    if spec.task not in part.tasks:
        raise ModelError(
            f"{part.name} is for {' or '.join(part.tasks)}; the task of {spec.name} is {spec.task}. "
            "`limpid models` lists what fits."
        )
    if spec.cardinalities and not part.takes_codes:
        raise ModelError(
            f"{part.name} takes numbers only, and {spec.name} has {len(spec.cardinalities)} columns of codes. "
            "Set data.encode=onehot, or use model.name=mlp."
        )
    if not part.has_weights:
        _refuse_weights(config, part.name)


def _refuse_weights(config: ModelConfig, what: str) -> None:
    if config.pretrained:
        raise ModelError(
            f"{what} has no published weights. Leave out model.pretrained, or name a torchvision or timm model, "
            "for example model.name=resnet18."
        )
