"""Fixed transformations of the features that let a linear model draw curved boundaries.

    poly2   x -> (x_1, ..., x_F, x_i x_j for i <= j)          F + F (F + 1) / 2 numbers
    polar   (x_1, x_2) -> (r, phi),  r = |x|,  phi = atan2(x_2, x_1) in (-pi, pi]

They help where the right one can be guessed, which is hard for data that cannot be pictured. Both see the scaled
features; the origin of the polar form is therefore the mean of the training split.

Shapes: B batch, F features, P pairs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from limpid.errors import ModelError
from limpid.spec import DataSpec

MOST_PRODUCTS = 20_000  # numbers per sample; a layer behind more is no small model any more


class Products(nn.Module):
    """(B, F) -> (B, F + F (F + 1) / 2): the features, then all products of two of them, squares included."""

    pair_2P: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("pair_2P", torch.triu_indices(num_features, num_features), persistent=False)
        self.width = num_features + num_features * (num_features + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        x_BF = x.flatten(1)
        return torch.cat((x_BF, x_BF[:, self.pair_2P[0]] * x_BF[:, self.pair_2P[1]]), dim=1)


class Polar(nn.Module):
    """(B, 2) -> (B, 2): radius and angle (radians)."""

    def forward(self, x_B2: Tensor) -> Tensor:
        return torch.stack((x_B2.norm(dim=1), torch.atan2(x_B2[:, 1], x_B2[:, 0])), dim=1)


def build_features(name: str, spec: DataSpec) -> tuple[nn.Module, int]:
    """The named transformation of the spec's inputs, and how many numbers it gives per sample.

    Raises ModelError for polar features of anything but two numbers, or for too many products.
    """
    num_features = math.prod(spec.input_shape)
    if name == "poly2":
        width = num_features + num_features * (num_features + 1) // 2
        if width > MOST_PRODUCTS:
            raise ModelError(
                f"model.features=poly2 makes {width:,} numbers of {num_features:,} inputs; {MOST_PRODUCTS:,} are "
                "the most. Leave it out, or lower the number of inputs (data.drop, data.components, data.image_size)."
            )
        return Products(num_features), width
    if name == "polar":
        if spec.input_shape != (2,):
            raise ModelError(
                f"model.features=polar takes two numbers per sample; {spec.name} has shape {spec.input_shape}. "
                "Use model.features=poly2."
            )
        return Polar(), 2
    return (nn.Flatten() if len(spec.input_shape) > 1 else nn.Identity()), num_features
