"""Activations as modules. In place where the gradient needs nothing but the output."""

from __future__ import annotations

from torch import nn

from limpid.catalogue.activations import ACTIVATIONS


def make_activation(name: str) -> nn.Module:
    """A new activation by name."""
    module = ACTIVATIONS.find(name).load()()
    assert isinstance(module, nn.Module)
    return module


def relu() -> nn.Module:
    return nn.ReLU(inplace=True)


def tanh() -> nn.Module:
    return nn.Tanh()


def sigmoid() -> nn.Module:
    return nn.Sigmoid()


def leaky_relu() -> nn.Module:
    return nn.LeakyReLU(inplace=True)


def elu() -> nn.Module:
    return nn.ELU(inplace=True)


def gelu() -> nn.Module:
    return nn.GELU()


def silu() -> nn.Module:
    return nn.SiLU()
