"""Other weights for a moment: what holds under them too is built into the network, and not due to its first weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

FAR = 10.0  # standard deviation of the weights of one layer that are put in: large beside any first weights


@contextmanager
def far_weights(layer: nn.Module, sign: float) -> Iterator[None]:
    """While open the layer has large random weights, sign * N(0, FAR^2)."""
    own = list(layer.parameters(recurse=False))
    with _kept(own):
        generator = torch.Generator().manual_seed(0)
        for p in own:
            p.copy_((torch.randn(p.shape, generator=generator) * FAR * sign).to(p))
        yield


@contextmanager
def usual_weights(network: nn.Module) -> Iterator[None]:
    """While open all weights are random as He's would be, N(0, 2 / inputs), and all biases and gains N(0, 1)."""
    own = list(network.parameters())
    with _kept(own):
        generator = torch.Generator().manual_seed(0)
        for p in own:
            inputs = p[0].numel() if p.ndim > 1 and len(p) else 2
            p.copy_((torch.randn(p.shape, generator=generator) * math.sqrt(2 / max(inputs, 1))).to(p))
        yield


@contextmanager
@torch.no_grad()
def _kept(parameters: list[nn.Parameter]) -> Iterator[None]:
    kept = [p.detach().clone() for p in parameters]
    try:
        yield
    finally:
        for p, old in zip(parameters, kept, strict=True):
            p.copy_(old)
