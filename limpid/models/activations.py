"""Activations as modules. In place where the gradient needs nothing but the output.

Shapes: B batch, U units (channels), P pieces.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from limpid.catalogue.activations import ACTIVATIONS
from limpid.catalogue.call import read_call
from limpid.errors import ModelError


def make_activation(text: str, *, takes_pieces: bool = False) -> nn.Module:
    """A new activation by name, or by name and options: "leaky_relu(0.1)".

    Args:
        text: see catalogue/activations.py.
        takes_pieces: whether the layer before has `num_pieces(text)` times the units.

    Raises:
        ConfigError: unknown, or an option that it does not have or accept.
        ModelError: it needs several pieces per unit, and the layer before has one.
    """
    if num_pieces(text) > 1 and not takes_pieces:
        raise ModelError(
            f"model.activation={text} takes the largest of {num_pieces(text)} pieces per unit, which this "
            "architecture has no weights for. Use model.name=mlp, or another activation."
        )
    module = read_call(ACTIVATIONS, text).build()
    assert isinstance(module, nn.Module)
    return module


def num_pieces(text: str) -> int:
    """How many values the named activation reads for each one that it gives: 1, or maxout's pieces.

    >>> num_pieces("relu"), num_pieces("maxout(3)")
    (1, 3)
    """
    return int(read_call(ACTIVATIONS, text).options.get("pieces", 1))


class Step(nn.Module):
    """1 where z > 0, else 0. Derivative 0, or with `straight_through` 1 where |z| <= 1 (Bengio et al. 2013)."""

    def __init__(self, straight_through: bool) -> None:
        super().__init__()
        self.straight_through = straight_through

    def forward(self, z: Tensor) -> Tensor:
        level = (z > 0).to(z.dtype)
        passed = z.clamp(-1, 1) * (1.0 if self.straight_through else 0.0)  # its slope is what the gradient sees
        return level + (passed - passed.detach())


class Maxout(nn.Module):
    """(B, U P, ...) -> (B, U, ...): the largest of each unit's pieces, which lie side by side."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, z: Tensor) -> Tensor:
        return z.unflatten(1, (-1, self.pieces)).amax(dim=2)

    def extra_repr(self) -> str:
        return f"pieces={self.pieces}"


class ScaledTanh(nn.Module):
    """1.7159 tanh(2/3 z), LeCun et al. 1998: f(1) = 1, and the second derivative is largest at 1."""

    def forward(self, z: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(z * (2 / 3))


def relu() -> nn.Module:
    return nn.ReLU(inplace=True)


def tanh() -> nn.Module:
    return nn.Tanh()


def sigmoid() -> nn.Module:
    return nn.Sigmoid()


def leaky_relu(slope: float) -> nn.Module:
    return nn.LeakyReLU(slope, inplace=True)


def prelu(slope: float) -> nn.Module:
    return nn.PReLU(init=slope)


def elu(alpha: float) -> nn.Module:
    return nn.ELU(alpha, inplace=True)


def selu() -> nn.Module:
    return nn.SELU(inplace=True)


def gelu(approximate: str) -> nn.Module:
    return nn.GELU(approximate)


def silu() -> nn.Module:
    return nn.SiLU()


def mish() -> nn.Module:
    return nn.Mish()


def softplus(beta: float) -> nn.Module:
    return nn.Softplus(beta)


def softsign() -> nn.Module:
    return nn.Softsign()


def scaled_tanh() -> nn.Module:
    return ScaledTanh()


def relu6() -> nn.Module:
    return nn.ReLU6(inplace=True)


def hardtanh() -> nn.Module:
    return nn.Hardtanh(inplace=True)


def hardswish() -> nn.Module:
    return nn.Hardswish()


def identity() -> nn.Module:
    return nn.Identity()


def step(straight_through: bool) -> nn.Module:
    return Step(straight_through)


def maxout(pieces: int) -> nn.Module:
    return Maxout(pieces)


def softmax() -> nn.Module:
    return nn.Softmax(dim=1)


def log_softmax() -> nn.Module:
    return nn.LogSoftmax(dim=1)
