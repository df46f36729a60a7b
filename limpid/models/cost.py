"""What each layer costs and sees: its output's shape, parameters, multiply-adds for one sample, receptive field."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from limpid.models.elman import Elman
from limpid.models.gru import GRU
from limpid.models.lstm import LSTM
from limpid.models.network import example_inputs
from limpid.models.number_encoding import NumberEncoding
from limpid.models.receptive_field import ReceptiveFields, field_of
from limpid.spec import DataSpec


def _conv_macs(module: Any, output: Tensor) -> int:
    return output.numel() * module.in_channels // module.groups * math.prod(module.kernel_size)


def _linear_macs(module: Any, output: Tensor) -> int:
    return output.numel() * module.in_features


def _encoding_macs(module: Any, output: Tensor) -> int:
    return int(module.weight.numel())


def _recurrent_macs(module: Any, output: Tensor) -> int:
    """Every matrix once per step and sequence; the output is (T, B, H)."""
    return output.shape[0] * output.shape[1] * sum(p.numel() for p in module.parameters() if p.ndim == 2)


# Multiply-adds of everything else (norms, activations, pooling, look-ups) are left out, as is usual: they are few.
# A module that multiplies activations with one another (attention) says so by its own `count_macs(inputs, output)`.
MACS: tuple[tuple[type[nn.Module] | tuple[type[nn.Module], ...], Callable[[Any, Tensor], int]], ...] = (
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d), _conv_macs),
    (nn.Linear, _linear_macs),
    ((nn.RNNBase, Elman, LSTM, GRU), _recurrent_macs),
    (NumberEncoding, _encoding_macs),
)


def layer_table(model: nn.Module, spec: DataSpec) -> list[dict[str, Any]]:
    """One row per layer, in the order of the network: name, kind, output_shape, parameters, trainable, macs.

    A layer is a module without children, or one that holds parameters of its own. `output_shape` leaves out the batch:
    (depth, height, width) for images. `macs` are multiply-adds of one sample; a layer that is used twice counts twice,
    and its parameters once. A layer that the forward pass does not call has output_shape (). `receptive_field` are rows
    and columns of the input pixels that one of its values depends on (models/receptive_field.py), () for other data.
    """
    rows: dict[nn.Module, dict[str, Any]] = {}
    seen: set[int] = set()
    hooks: list[RemovableHandle] = []
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if not own and next(module.children(), None) is not None and not hasattr(module, "count_macs"):
            continue
        fresh = [p for p in own if id(p) not in seen]
        seen.update(id(p) for p in fresh)
        rows[module] = {
            "name": name.removeprefix("body.") or type(module).__name__,
            "kind": type(module).__name__,
            "output_shape": (),
            "parameters": sum(p.numel() for p in fresh),
            "trainable": any(p.requires_grad for p in own),
            "macs": 0,
            "receptive_field": (),
        }
        hooks.append(module.register_forward_hook(_filler(rows[module])))
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        inputs = example_inputs(spec, 1, device=device)
        with torch.no_grad(), ReceptiveFields(inputs[0]) if spec.kind == "image" else nullcontext():
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    return list(rows.values())


def totals(table: Iterable[dict[str, Any]]) -> tuple[int, int]:
    """Parameters and multiply-adds of the whole network."""
    rows = list(table)
    return sum(row["parameters"] for row in rows), sum(row["macs"] for row in rows)


def _filler(row: dict[str, Any]) -> Callable[[nn.Module, Any, Any], None]:
    def fill(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, tuple) and output:  # outputs and state of a recurrent layer
            output = output[0]
        if isinstance(output, Tensor):
            row["output_shape"] = tuple(output.shape[1:])
            field = field_of(output)
            row["receptive_field"] = tuple(field[:2]) if field else ()
            for kinds, count in MACS:
                if isinstance(module, kinds):
                    row["macs"] += count(module, output)
            count_own: Callable[[Any, Tensor], int] | None = getattr(module, "count_macs", None)
            if count_own is not None:
                row["macs"] += count_own(inputs, output)

    return fill
