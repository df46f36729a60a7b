"""The layers of a pattern, and the shape that each makes of the one before.

A shape is that of one sample: (F,) numbers, (C, L) a sequence of C channels, or (C, H, W) a map. Sides follow
floor((H + 2 P - K) / S) + 1, with the ceiling under /ceil.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn

from limpid.models.activations import make_activation, num_pieces
from limpid.models.pattern_parser import Layer
from limpid.models.squeeze_excitation import RATIO, SqueezeExcitation

Shape = tuple[int, ...]
Built = tuple[list[nn.Module], Shape]

CONVOLUTIONS = {2: nn.Conv1d, 3: nn.Conv2d}
NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d}
MAX_POOLS = {2: nn.MaxPool1d, 3: nn.MaxPool2d}
AVG_POOLS = {2: nn.AvgPool1d, 3: nn.AvgPool2d}
MEANS = {2: nn.AdaptiveAvgPool1d, 3: nn.AdaptiveAvgPool2d}
KERNEL = 3  # of a convolution without @
WINDOW = 2  # of a pool without a number
DROPPED = 0.5  # share, of a dropout without a number (Hinton et al. 2012)
LRN_SIZE, LRN_ALPHA, LRN_BETA, LRN_K = 5, 5e-4, 0.75, 2.0  # Krizhevsky 2012; torch divides alpha by the size


class Misfit(Exception):
    """Why a layer cannot take the shape that comes in; `pattern.py` adds the place."""


class Recurrent(nn.Module):
    """The last state of an LSTM, or plain recurrent layer, that reads a map row by row from the top.

    (C, L) is read as L steps of C numbers, (C, H, W) as H steps of C W numbers.
    """

    def __init__(self, cell: nn.LSTM | nn.RNN) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        steps = x.transpose(1, 2).flatten(2)
        states, _ = self.cell(steps)
        return states[:, -1]  # type: ignore[no-any-return]


def build_layer(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    """The modules of one layer and the shape behind them. Raises Misfit.

    `num_outputs` is what a dense layer or convolution without a number gives; None where there is no such default.
    """
    builder = BUILDERS.get(layer.word)
    if builder is None:
        pieces = num_pieces(layer.word)
        if shape[0] % pieces:
            raise Misfit(f"{pieces} pieces per unit do not divide {shape[0]}")
        return [make_activation(layer.word, takes_pieces=True)], (shape[0] // pieces, *shape[1:])
    return builder(layer, shape, num_outputs)


def _conv(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    _need_map(shape)
    filters = _width(layer, num_outputs, "filters")
    rows, columns = layer.kernel or (KERNEL, KERNEL)
    kernel = (rows,) if len(shape) == 2 else (rows, columns)
    stride, dilation = layer.options.get("s", 1), layer.options.get("d", 1)
    groups = layer.options.get("g", 1)
    if shape[0] % groups or filters % groups:
        raise Misfit(f"{groups} groups do not divide {shape[0]} channels into {filters} filters")
    padding = tuple(layer.options.get("p", dilation * (k - 1) // 2) for k in kernel)
    sides = [
        side_behind(h, dilation * (k - 1) + 1, stride, p) for h, k, p in zip(shape[1:], kernel, padding, strict=True)
    ]
    module = CONVOLUTIONS[len(shape)](
        shape[0],
        filters,
        kernel,  # type: ignore[arg-type]
        stride,
        padding,  # type: ignore[arg-type]
        dilation,
        groups,
        bias="nobias" not in layer.options,
    )
    return [module], (filters, *sides)


def _fc(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    units = _width(layer, num_outputs, "units")
    flatten, (features,) = _flatten(layer, shape, None)
    return [*flatten, nn.Linear(features, units, bias="nobias" not in layer.options)], (units,)


def _maxpool(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    window, stride, padding, sides = _pooled(layer, shape)
    pool = MAX_POOLS[len(shape)](window, stride, padding, ceil_mode="ceil" in layer.options)
    return [pool], (shape[0], *sides)


def _avgpool(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    window, stride, padding, sides = _pooled(layer, shape)
    pool = AVG_POOLS[len(shape)](window, stride, padding, ceil_mode="ceil" in layer.options)
    return [pool], (shape[0], *sides)


def _pooled(layer: Layer, shape: Shape) -> tuple[int, int, int, list[int]]:
    _need_map(shape)
    window = int(layer.size or WINDOW)
    stride, padding = layer.options.get("s", window), layer.options.get("p", 0)
    if 2 * padding > window:
        raise Misfit(f"a padding of {padding} is more than half of the window of {window}")
    up = "ceil" in layer.options
    return window, stride, padding, [side_behind(h, window, stride, padding, up=up) for h in shape[1:]]


def _gap(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    _need_map(shape)
    return [MEANS[len(shape)](1), nn.Flatten()], shape[:1]


def _flatten(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    return [nn.Flatten()] if len(shape) > 1 else [], (math.prod(shape),)


def _bn(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    return [NORMS[len(shape)](shape[0])], shape


def _ln(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    """Over all numbers of a sample; of a map over channels and places together, one gain per channel."""
    return [nn.LayerNorm(shape[0]) if len(shape) == 1 else nn.GroupNorm(1, shape[0])], shape


def _lrn(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    _need_map(shape)
    return [nn.LocalResponseNorm(int(layer.size or LRN_SIZE), LRN_ALPHA, LRN_BETA, LRN_K)], shape


def _dropout(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    share = DROPPED if layer.size is None else layer.size
    if not 0 <= share < 1:
        raise Misfit(f"the share that is dropped lies from 0 up to 1, not at {share:g}")
    return [nn.Dropout(share)], shape


def _se(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    if len(shape) != 3:
        raise Misfit("it weighs the maps of images of shape channels x height x width")
    ratio = int(layer.size or RATIO)
    if shape[0] < ratio:
        raise Misfit(f"a ratio of {ratio} leaves nothing of {shape[0]} channels; write se{max(shape[0] // 2, 1)}")
    return [SqueezeExcitation(shape[0], ratio)], shape


def _recurrent(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    _need_map(shape)
    units = _width(layer, None, "units")
    kind = nn.LSTM if layer.word == "lstm" else nn.RNN
    return [Recurrent(kind(math.prod(shape) // shape[1], units, batch_first=True))], (units,)


def _input(layer: Layer, shape: Shape, num_outputs: int | None) -> Built:
    return [], shape


def side_behind(side: int, kernel: int, stride: int, padding: int, *, up: bool = False) -> int:
    """floor((H + 2 P - K) / S) + 1, or with the ceiling, whose last window still begins inside. Raises Misfit."""
    room = side + 2 * padding - kernel
    if room < 0:
        raise Misfit(f"a window of {kernel} pixels is larger than the side of {side}" + (" padded" if padding else ""))
    if not up:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= side + padding else count


def _width(layer: Layer, num_outputs: int | None, what: str) -> int:
    if layer.size is not None:
        return int(layer.size)
    if num_outputs is None:
        raise Misfit(f"how many {what}? Write {layer.word}32; only the last layer knows its number from the data")
    return num_outputs


def _need_map(shape: Shape) -> None:
    if len(shape) not in (2, 3):
        raise Misfit("it needs a map of channels x height x width (or channels x length)")


BUILDERS: dict[str, Callable[[Layer, Shape, int | None], Built]] = {
    "conv": _conv,
    "fc": _fc,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "gap": _gap,
    "flatten": _flatten,
    "bn": _bn,
    "ln": _ln,
    "lrn": _lrn,
    "dropout": _dropout,
    "se": _se,
    "lstm": _recurrent,
    "rnn": _recurrent,
    "input": _input,
}
