"""Multi-layer perceptron for tables, vectors and small images.

    x_n = dropout(g(norm(W_n x_{n-1} + b_n)))        the last layer: W x + b alone

Under maxout, W_n has k rows per unit, and g takes the largest of each unit's k values.

Shapes: B batch, F numbers, N category columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models.activations import make_activation, num_pieces
from limpid.models.dropout import make_dropout
from limpid.models.embedding import CategoryEmbedding
from limpid.models.initialize import initialize
from limpid.models.number_encoding import NumberEncoding
from limpid.spec import DataSpec

NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
DEFAULT_HIDDEN = (128, 64)


class WithCategories(nn.Module):
    """Numbers (or their codes) and category vectors side by side, then the layers."""

    def __init__(self, numbers: nn.Module, embedding: CategoryEmbedding, layers: nn.Module) -> None:
        super().__init__()
        self.numbers = numbers
        self.embedding = embedding
        self.layers = layers

    def forward(self, x_BF: Tensor, codes_BN: Tensor) -> Tensor:
        return self.layers(torch.cat((self.numbers(x_BF), self.embedding(codes_BN)), dim=1))


def build_mlp(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """Hidden layers of the configured widths; images and other arrays are flattened, category codes embedded."""
    widths = DEFAULT_HIDDEN if config.hidden is None else config.hidden
    embedding = CategoryEmbedding(spec.cardinalities, config.embedding) if spec.cardinalities else None
    numbers = NumberEncoding(spec) if config.numbers == "piecewise" and any(spec.quantiles) else None
    width = numbers.width if numbers else math.prod(spec.input_shape)
    width += embedding.width if embedding else 0
    layers: list[nn.Module] = [nn.Flatten()] if len(spec.input_shape) > 1 else []
    if config.options["input_dropout"]:
        layers.append(make_dropout(config.options["dropout_form"], config.options["input_dropout"]))
    pieces = num_pieces(config.activation)
    for width_out in widths:
        # A batch norm subtracts the mean, and with it any bias before it.
        layers.append(nn.Linear(width, width_out * pieces, bias=config.norm != "batch"))
        if config.norm in NORMS:
            layers.append(NORMS[config.norm](width_out * pieces))
        layers.append(make_activation(config.activation, takes_pieces=True))
        if config.dropout:
            layers.append(make_dropout(config.options["dropout_form"], config.dropout))
        width = width_out
    head = nn.Linear(width, spec.num_outputs)
    body = nn.Sequential(*layers, head)
    initialize(body, head, activation=config.activation)
    if embedding:
        return WithCategories(numbers or nn.Identity(), embedding, body)
    return nn.Sequential(numbers, body) if numbers else body
