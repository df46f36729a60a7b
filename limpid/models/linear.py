"""Linear and logistic regression: y = x W + b on the flattened input, or on products or the polar form of it."""

from __future__ import annotations

from torch import nn

from limpid.config import ModelConfig
from limpid.models.feature_maps import build_features
from limpid.models.initialize import initialize
from limpid.spec import DataSpec


def build_linear(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """One dense layer from every feature to every output."""
    features, width = build_features(config.options["features"], spec)
    layer = nn.Linear(width, spec.num_outputs)
    initialize(layer, layer)
    return layer if isinstance(features, nn.Identity) else nn.Sequential(features, layer)
