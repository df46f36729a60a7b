"""Gradients of stacked dense networks by the chain rule written out, straight into the rows of the matrix of gradients.

    y = x W^T + b      dW = g^T x, db = sum_B g, dx = g W
    y = max(x, 0)      dx = g where y > 0
    y = tanh x         dx = g (1 - y^2)
    y = x m            dx = g m                             dropout, with its mask m

Autograd finds the same. For a few small networks it takes as long for its bookkeeping as the products take, and puts
the gradients at places of its own, from where they must be copied.

Shapes: M members, B samples of each, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from limpid.population.stack_layers import Elementwise, StackedFlatten, StackedLayer, StackedLinear


class HandLayer(Protocol):
    """A layer that remembers what its gradient needs."""

    def run(self, x: Tensor) -> Tensor: ...
    def pull(self, g: Tensor) -> Tensor:
        """The gradient with respect to x, from that with respect to y; those of the weights are written down."""
        ...


class HandLinear:
    """slopes: where dW (M, O, I) and db (M, O) go. The first layer of a network needs no dx."""

    def __init__(self, layer: StackedLinear, slopes: Sequence[Tensor], *, first: bool) -> None:
        self.w_MIO, self.b_M1O = layer.w_MIO.detach(), None if layer.b_M1O is None else layer.b_M1O.detach()
        self.dw_MOI, self.db_MO = slopes[0], slopes[1] if len(slopes) > 1 else None
        self.first = first

    def run(self, x_MBI: Tensor) -> Tensor:
        self.x_MBI = x_MBI
        y_MBO = torch.bmm(x_MBI, self.w_MIO)
        return y_MBO if self.b_M1O is None else y_MBO.add_(self.b_M1O)

    def pull(self, g_MBO: Tensor) -> Tensor:
        torch.bmm(g_MBO.transpose(1, 2), self.x_MBI, out=self.dw_MOI)
        if self.db_MO is not None:
            torch.sum(g_MBO, 1, out=self.db_MO)
        return g_MBO if self.first else torch.bmm(g_MBO, self.w_MIO.transpose(1, 2))


class HandRelu:
    """In place: what comes in is the output of a product, which nobody else needs."""

    def run(self, x: Tensor) -> Tensor:
        self.y = x.relu_()
        return self.y

    def pull(self, g: Tensor) -> Tensor:
        dx: Tensor = torch.ops.aten.threshold_backward(g, self.y, 0.0)
        return dx


class HandTanh:
    def run(self, x: Tensor) -> Tensor:
        self.y = x.tanh_()
        return self.y

    def pull(self, g: Tensor) -> Tensor:
        dx: Tensor = torch.ops.aten.tanh_backward(g, self.y)
        return dx


class HandFlatten:
    """(M, B, ...) -> (M, B, F), of inputs, which need no gradient."""

    def run(self, x: Tensor) -> Tensor:
        return x.flatten(2)

    def pull(self, g: Tensor) -> Tensor:
        return g


ELEMENTWISE: dict[type[nn.Module], type[HandRelu] | type[HandTanh]] = {nn.ReLU: HandRelu, nn.Tanh: HandTanh}


def write_out(layers: Sequence[StackedLayer], slopes: Sequence[Sequence[Tensor]]) -> list[HandLayer] | None:
    """These layers with gradients by hand; None where one of them has none, or a Linear does not come first.

    Args:
        layers: from input to output, bound to their weights.
        slopes: of each layer, where the gradients of its weights go.
    """
    written: list[HandLayer] = []
    for layer, own in zip(layers, slopes, strict=True):
        first = not any(isinstance(one, HandLinear) for one in written)
        if isinstance(layer, StackedLinear):
            written.append(HandLinear(layer, own, first=first))
        elif isinstance(layer, StackedFlatten) and first:
            written.append(HandFlatten())
        elif type(layer) is Elementwise and type(layer.layer) in ELEMENTWISE and not first:
            written.append(ELEMENTWISE[type(layer.layer)]())
        else:
            return None
    return written
