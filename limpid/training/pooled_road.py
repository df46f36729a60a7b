"""Which layers of a model are computed as one pooled convolution, and for how long.

`Conv2d` directly followed by `MaxPool2d(2)`, with a ReLU before or after the pooling or none, inside an nn.Sequential,
takes limpid.training.pooled_conv on the CPU in float32 where that pays. It pays for few channels only. Milliseconds of
a training step of two such layers and a dense one, on one core with AVX-512, before and after:

    channels    kernel  image  batch   before  after
    1, 6, 16    5       28     128     10.3    6.6      LeNet-5, all of its step (evaluation: 4.2 and 2.0)
    1, 6, 16    5       28     64       7.8    6.1
    1, 6, 16    5       28     32       4.6    4.5
    1, 6, 16    5       28     16       3.1    3.8
    3, 6, 16    5       32     128     21.5   17.8
    1, 8, 16    3       28     128     10.7    8.5
    1, 16, 32   3       28     128     19.1   18.4
    3, 16, 32   3       32     128     24.2   27.9

The second layer gains because the first has left the batch innermost; behind any other layer it would lose. The rule
below follows from these figures and never from a clock at run time, so results do not depend on how busy a machine is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from limpid.training.pooled_conv import PooledConv, pooled_conv

# Most (input, output) channels of a layer behind anything else, and of one that directly follows a pooled convolution.
FIRST_CHANNELS = (3, 8)
NEXT_CHANNELS = (8, 16)
MIN_BATCH = 32


@contextmanager
def take_pooled_conv_road(model: nn.Module, wanted: bool) -> Iterator[None]:
    """While open, and if wanted, eligible layers inside every plain nn.Sequential of the model are computed together.

    Only the forward of the nn.Sequential is replaced; its layers, when called by themselves, are what they always were.
    """
    blocks = [m for m in model.modules() if type(m) is nn.Sequential and "forward" not in vars(m)] if wanted else []
    blocks = [block for block in blocks if any(isinstance(step, PooledStep) for step in _steps(block))]
    for block in blocks:
        block.forward = _forward_of(_steps(block))  # type: ignore[method-assign]
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


class PooledStep:
    """The layers [Conv2d, MaxPool2d] with or without ReLU before or after the pooling, called as one."""

    def __init__(self, layers: list[nn.Module]) -> None:
        self.layers = layers
        self.conv: Any = layers[0]
        self.relu = len(layers) == 3

    def __call__(self, x: Tensor) -> Tensor:
        if not self.fits(x):
            for layer in self.layers:
                x = layer(x)
            return x
        conv = self.conv
        if torch.is_grad_enabled():
            y: Tensor = PooledConv.apply(x, conv.weight, conv.bias, conv.padding, self.relu)
            return y
        return pooled_conv(x, conv.weight, conv.bias, conv.padding, self.relu)

    def fits(self, x: Tensor) -> bool:
        """float32 images on the CPU, enough of them, that leave something to pool; and nobody listens in between."""
        if x.ndim != 4 or x.device.type != "cpu" or x.dtype != torch.float32 or len(x) < MIN_BATCH:
            return False
        if self.conv.weight.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            return False
        sizes = zip(x.shape[2:], self.conv.padding, self.conv.kernel_size, strict=True)
        return (
            x.shape[1] == self.conv.in_channels
            and all(side + 2 * pad > kernel for side, pad, kernel in sizes)
            and not any(_has_hooks(layer) for layer in self.layers)
        )


def _steps(block: nn.Sequential) -> list[Callable[[Tensor], Tensor]]:
    """The layers of a block in order, eligible runs of them replaced by a PooledStep."""
    layers = list(block)
    steps: list[Callable[[Tensor], Tensor]] = []
    while layers:
        kinds = [type(layer) for layer in layers[:3]]
        taken, pool = 1, 0
        if kinds == [nn.Conv2d, nn.ReLU, nn.MaxPool2d]:
            taken, pool = 3, 2
        elif kinds[:2] == [nn.Conv2d, nn.MaxPool2d]:
            taken, pool = 3 if kinds[2:] == [nn.ReLU] else 2, 1
        limits = NEXT_CHANNELS if steps and isinstance(steps[-1], PooledStep) else FIRST_CHANNELS
        if pool and _is_eligible(layers[0], layers[pool], *limits):
            steps.append(PooledStep(layers[:taken]))
        else:
            taken = 1
            steps.append(layers[0])
        del layers[:taken]
    return steps


def _is_eligible(conv: Any, pool: Any, max_inputs: int, max_outputs: int) -> bool:
    return (
        conv.in_channels <= max_inputs
        and conv.out_channels <= max_outputs
        and conv.groups == 1
        and (conv.stride, conv.dilation) == ((1, 1), (1, 1))
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
        and all(_pair(given) == (2, 2) for given in (pool.kernel_size, pool.stride))
        and (_pair(pool.padding), _pair(pool.dilation)) == ((0, 0), (1, 1))
        and not pool.ceil_mode
        and not pool.return_indices
    )


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _has_hooks(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)


def _forward_of(steps: list[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        for step in steps:
            x = step(x)
        return x

    return forward
