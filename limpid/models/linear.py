"""Linear and logistic regression: y = x W + b on the flattened input."""

from __future__ import annotations

import math

from torch import nn

from limpid.config import ModelConfig
from limpid.models.initialize import initialize
from limpid.spec import DataSpec


def build_linear(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """One dense layer from every input value to every output."""
    layer = nn.Linear(math.prod(spec.input_shape), spec.num_outputs)
    initialize(layer, layer)
    return nn.Sequential(nn.Flatten(), layer) if len(spec.input_shape) > 1 else layer
