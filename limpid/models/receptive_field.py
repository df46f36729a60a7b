"""How far each layer sees: the side of the square of input pixels that one of its values depends on.

    r_l = r_{l-1} + D (K - 1) j_{l-1}        j_l = j_{l-1} S, from r_0 = j_0 = 1

with kernel K, dilation D, stride S. Where branches meet the largest counts. A layer that reads whole maps sees
r + (H - 1) j, at borders also padding: the field may exceed the image. Attention and warps may look anywhere,
recurrent layers read everything before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Field(NamedTuple):
    """Of one value: rows and columns of input pixels that it depends on, and pixels from one value to the next."""

    rows: int
    columns: int
    row_step: int
    column_step: int


class ReceptiveFields(TorchFunctionMode):
    """While open, everything computed from the given images knows its field.

    It watches functions, not modules, so that sums, concatenations and hand-written layers are followed too.
    """

    def __init__(self, x_BCHW: Tensor) -> None:
        super().__init__()
        self.sides = x_BCHW.shape[2:]
        x_BCHW._receptive_field = Field(1, 1, 1, 1)  # type: ignore[attr-defined]

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        inputs = [t for t in _tensors((*args, *kwargs.values())) if field_of(t)]
        fields = [field_of(t) for t in inputs]
        shapes = [t.shape for t in inputs]
        outputs = function(*args, **kwargs)
        if fields:
            widest = max(range(len(fields)), key=lambda i: fields[i][:2])  # type: ignore[index]
            field = _behind(function, fields[widest], shapes[widest], args, kwargs, outputs)  # type: ignore[arg-type]
            if (
                function in MIX_ALL
                or getattr(function, "__name__", "") in READS_ALL
                or (function in PRODUCTS and len(fields) > 1)
            ):
                field = field._replace(rows=self.sides[0], columns=self.sides[1])
            for output in _tensors((outputs,)):
                output._receptive_field = field  # type: ignore[attr-defined]
        return outputs


def field_of(x: Tensor) -> Field | None:
    """What is known of a tensor's field; None outside of ReceptiveFields."""
    return getattr(x, "_receptive_field", None)


def _behind(function: Any, field: Field, shape: torch.Size, args: Any, kwargs: Any, outputs: Any) -> Field:
    if function in (F.conv2d, torch.conv2d):
        names = ("input", "weight", "bias", "stride", "padding", "dilation")
        given = dict(zip(names, args, strict=False)) | kwargs
        weight = given["weight"]
        return _windowed(field, weight.shape[2:], given.get("stride", 1), given.get("dilation", 1))
    if function in POOLS:
        given = dict(zip(("input", "kernel_size", "stride"), args, strict=False)) | kwargs
        return _windowed(field, given["kernel_size"], given.get("stride") or given["kernel_size"], 1)
    output = next(iter(_tensors((outputs,))), None)
    if function is F.interpolate and output is not None:
        return field._replace(
            row_step=max(1, field.row_step * shape[2] // output.shape[2]),
            column_step=max(1, field.column_step * shape[3] // output.shape[3]),
        )
    if len(shape) == 4 and output is not None and (output.dim() < 3 or tuple(output.shape[2:]) == (1, 1)):
        height, width = shape[2:]
        return field._replace(
            rows=field.rows + (height - 1) * field.row_step, columns=field.columns + (width - 1) * field.column_step
        )
    return field


def _windowed(field: Field, kernel: Any, stride: Any, dilation: Any) -> Field:
    (kernel_rows, kernel_columns), (stride_rows, stride_columns) = _pair(kernel), _pair(stride)
    dilation_rows, dilation_columns = _pair(dilation)
    return Field(
        field.rows + dilation_rows * (kernel_rows - 1) * field.row_step,
        field.columns + dilation_columns * (kernel_columns - 1) * field.column_step,
        field.row_step * stride_rows,
        field.column_step * stride_columns,
    )


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    first, *rest = value
    return int(first), int(rest[0] if rest else first)


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)


MIX_ALL = (F.scaled_dot_product_attention, F.multi_head_attention_forward, F.grid_sample)
READS_ALL = ("lstm", "gru", "rnn_tanh", "rnn_relu")  # over steps
PRODUCTS = (torch.matmul, torch.bmm, torch.baddbmm, torch.einsum, Tensor.matmul, Tensor.__matmul__)
POOLS = (F.max_pool2d, F.avg_pool2d, torch.max_pool2d, torch._C._nn.avg_pool2d)
