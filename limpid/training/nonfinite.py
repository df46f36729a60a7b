"""Where a NaN or an infinity came from: the parameter, the rows, or the first layer that made one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from limpid.training.position import Position

HUGE = 1e15  # outputs above this overflow a float32 loss that squares them, or soon will
MOST_ROWS_NAMED = 5  # count; enough to find the rows, short enough for one line


def explain_nonfinite(model: nn.Module, inputs: Sequence[Tensor], target: Tensor, name_of: Callable[[int], str]) -> str:
    """Say in one sentence where the first non-finite value of this batch appears.

    The batch is run once more with a hook on every layer; parameters, buffers and the training flag are left as found.

    Args:
        model: as it was when the loss stopped being finite.
        inputs: the batch, each tensor (B, ...).
        target: (B, ...).
        name_of: name of sample i of the batch, for people.
    """
    bad_weights = nonfinite_weights(model)
    if bad_weights is not None:
        return (
            f"The weights of {bad_weights} were already NaN or infinite before this batch: the steps are too large "
            "(lower optim.lr, or set optim.clip_norm=1)."
        )
    for kind, tensor in [*(("input", tensor) for tensor in inputs), ("target", target)]:
        rows = _nonfinite_rows(tensor)
        if rows:
            return f"The {kind} holds NaN or infinite values in {_listed(rows, name_of)}: repair or drop these rows."
    layer, rows, largest = _first_bad_layer(model, inputs)
    if layer is not None:
        return (
            f"The first layer with a NaN or infinite output is {layer}, in {_listed(rows, name_of)}: the activations "
            "overflow (lower optim.lr, set optim.clip_norm=1, or use training.precision=float32)."
        )
    if largest > HUGE:
        return (
            f"Every layer is finite, but the outputs reach {largest:.1e}, for which the loss overflows: the steps are "
            "too large (lower optim.lr, or set optim.clip_norm=1)."
        )
    return "All layers are finite on this batch and the loss itself is not: check the targets and the loss."


def describe_failure(cause: str, position: Position) -> str:
    """Where the NaN or infinity came from, and what was kept."""
    kept = f"the weights of epoch {position.stopping.best_epoch}" if position.stopping.best_epoch else "the first ones"
    return (
        f"The loss became NaN or infinite after step {position.step}. {cause} The last good weights, {kept}, are kept."
    )


def nonfinite_weights(model: nn.Module) -> str | None:
    """Name of the first parameter that holds NaN or infinity, or None. Waits for the device once.

    A sum is NaN or infinite where an entry is, and takes a twentieth of the time of a look at each; only where one is,
    which large numbers can bring about as well, are the entries looked at.
    """
    named = [(name, parameter.detach()) for name, parameter in model.named_parameters()]
    if not named or torch.stack([torch.isfinite(parameter.sum()) for _, parameter in named]).all():
        return None
    return next((name for name, parameter in named if not torch.isfinite(parameter).all()), None)


def _first_bad_layer(model: nn.Module, inputs: Sequence[Tensor]) -> tuple[str | None, list[int], float]:
    """The first layer, innermost first and in order of execution, whose output is not finite, and the samples affected.

    The third value is the largest magnitude among the model's own outputs.
    """
    found: list[tuple[str, list[int]]] = []

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            if not found and isinstance(output, Tensor) and output.is_floating_point():
                rows = _nonfinite_rows(output)
                if rows:
                    found.append((name, rows))

        return hook

    handles = [module.register_forward_hook(watch(name or "the model")) for name, module in model.named_modules()]
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.no_grad():
            outputs = model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    largest = outputs.abs().max().item() if isinstance(outputs, Tensor) and outputs.numel() else 0.0
    return (*found[0], largest) if found else (None, [], largest)


def _nonfinite_rows(tensor: Tensor) -> list[int]:
    if not tensor.is_floating_point() or tensor.ndim == 0:
        return []
    bad_B = ~torch.isfinite(tensor.flatten(1) if tensor.ndim > 1 else tensor[:, None]).all(dim=1)
    return bad_B.nonzero().flatten().tolist()


def _listed(rows: list[int], name_of: Callable[[int], str]) -> str:
    named = ", ".join(name_of(i) for i in rows[:MOST_ROWS_NAMED])
    more = len(rows) - MOST_ROWS_NAMED
    return f"{named} and {more} more" if more > 0 else named
