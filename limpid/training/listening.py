"""Listening to a forward pass: what every layer and every activation function gives out, described in a few numbers.

Layers are heard by hooks, activation functions and attention wherever they are called, as modules or as functions
(`F.relu(x)` inside a user's own `forward` too). Nothing is attached when nobody listens.

    mean, std    of all values
    signal       standard deviation between rows: what distinguishes them, root mean square over units
    zero         share of the values of a rectifier that are zero
    dead         share of units of a rectifier that are <= 0 for every row and place
    saturated    share of units of a sigmoid or tanh whose mean slope is below a tenth of the steepest
    largest      largest magnitude; NaN where a value is NaN
    rank         participation ratio (tr C)^2 / tr C^2 of the covariance C of the rows
    cosine       mean cosine between rows of different classes (between all rows, where there are no classes)
    entropy ...  of attention, training/attention_spread.py

Shapes: B rows, U units, P places (pixels, time steps), D values of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from limpid.training.attention_spread import ATTENTION, attention_spread
from limpid.training.row_geometry import cosine_and_rank

MOST_VALUES = 2**19  # of a layer that are looked at: whole rows, the first ones; half a million take 0.1 ms a pass
MOST_CALLS = 4  # of one layer or function in a pass that are described; a recurrent one calls itself at every step
LEAST_PLACES = 20  # of a sequence, for its gradient to be told by time
FLAT_SLOPE = 0.1  # of the steepest; below it a unit passes on a tenth of the gradient (USERS.md S06)

RECTIFIERS: frozenset[Any] = frozenset(
    (F.relu, F.relu_, F.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)  # type: ignore[attr-defined]
)
SIGMOIDS: frozenset[Any] = frozenset((F.sigmoid, torch.sigmoid, Tensor.sigmoid, torch.sigmoid_, Tensor.sigmoid_))
TANHS: frozenset[Any] = frozenset((F.tanh, torch.tanh, Tensor.tanh, torch.tanh_, Tensor.tanh_))
OTHERS: frozenset[Any] = frozenset((F.leaky_relu, F.gelu, F.silu, F.elu, F.selu, F.mish, F.hardswish, F.softplus))
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


class Listener(TorchFunctionMode):
    """Describes what it hears while it is open as a context, by place, in order of execution.

    Args:
        model: whose layers are heard.
        num_rows: B of the batch that will pass.
        classes: int64 (B,), if the rows have classes.
        gradients: also take down the root mean square of the loss's gradient with respect to each place's values.
    """

    def __init__(
        self, model: nn.Module, num_rows: int, classes: Tensor | None = None, *, gradients: bool = False
    ) -> None:
        super().__init__()
        self.num_rows, self.classes, self.gradients = num_rows, classes, gradients
        self.heard: dict[str, dict[str, Any]] = {}  # numbers are tensors of no dimension, still on the device
        self._names = {module: name for name, module in model.named_modules()}
        self._times: dict[str, int] = {}
        self._inside: list[nn.Module] = []
        self._unit_dim = -1  # of the layer before: functions keep its layout

    def read(self) -> dict[str, dict[str, Any]]:
        """What was heard as plain numbers; this is where the host waits for the device, once."""
        tensors = [value for place in self.heard.values() for value in place.values() if isinstance(value, Tensor)]
        numbers = map(rounded, torch.stack(tensors).tolist() if tensors else ())
        return {
            name: {key: next(numbers) if isinstance(value, Tensor) else value for key, value in place.items()}
            for name, place in self.heard.items()
        }

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in ATTENTION:
            name = self._next(f"{self._place()}.attention".lstrip("."))
            if name is not None:
                self.heard[name] = attention_spread(func, args, kwargs or {})
        else:
            kind = _function_kind(func)
            if kind is not None and isinstance(output, Tensor):
                module = self._inside[-1] if self._inside else None
                own = module is not None and next(module.parameters(), None) is None and not any(module.children())
                self._hear(self._place() if own else f"{self._place()}.{kind}".lstrip("."), kind, output)
        return output

    def enter(self, module: nn.Module, args: Any) -> None:
        """A module is called; what the first layer that is no look-up table is given is the place "input"."""
        self._inside.append(module)
        if "input" in self.heard or not args or not isinstance(args[0], Tensor) or not is_layer(module):
            return
        if layer_kind(module) != "embedding":
            self._hear("input", "input", args[0])

    def leave(self, module: nn.Module, output: Any) -> None:
        """A module has answered."""
        self._inside.pop()
        answer = output[0] if isinstance(output, tuple) and output else output
        if isinstance(answer, Tensor) and is_layer(module):
            kind = layer_kind(module)
            channels = kind == "conv" or isinstance(module, NORMS[0] | nn.GroupNorm)
            self._unit_dim = 1 if channels else -1
            self._hear(self._names[module], kind, answer)

    def _place(self) -> str:
        return self._names.get(self._inside[-1], "") if self._inside else ""

    def _hear(self, name: str, kind: str, output: Tensor) -> None:
        if not output.is_floating_point() or output.is_nested or output.ndim < 2 or not output.numel():
            return
        numbered = self._next(name)
        if numbered is None:
            return
        place = self.heard[numbered] = {"kind": kind, **self._describe(kind, output)}
        if self.gradients and output.requires_grad:
            in_time = kind in ("input", "embedding") and output.ndim == 3 and len(output) == self.num_rows
            output.register_hook(lambda gradient: place.update(_gradient(gradient, in_time)))

    def _next(self, name: str) -> str | None:
        """The name for what is heard there now: with a number when it was heard before, None when often enough."""
        times = self._times[name] = self._times.get(name, 0) + 1
        return None if times > MOST_CALLS else name if times == 1 else f"{name}#{times}"

    @torch.no_grad()
    def _describe(self, kind: str, output: Tensor) -> dict[str, Tensor | int]:
        with torch._C.DisableTorchFunction(), torch.autocast(output.device.type, enabled=False):
            values = output.detach()
            if len(values) != self.num_rows and values.shape[1] == self.num_rows:
                values = values.transpose(0, 1)  # recurrent layers put time first
            unit_dim = self._unit_dim % values.ndim if values.ndim > 2 else 1
            rows = values[: max(1, MOST_VALUES * len(values) // values.numel())].float()
            # The plain ways (std, comparisons, sums of booleans) took most of the time of a pass of a small network.
            mean = rows.mean()
            others = [dim for dim in range(rows.ndim) if dim != unit_dim]
            highest_U, lowest = rows.amax(dim=others), rows.amin()
            told: dict[str, Tensor | int] = {"units": rows.shape[unit_dim], "mean": mean}
            told["std"] = torch.linalg.vector_norm(rows - mean) / math.sqrt(rows.numel())
            told["signal"] = torch.linalg.vector_norm(rows - rows.mean(dim=0)) / math.sqrt(rows.numel())
            told["largest"] = torch.maximum(-lowest, highest_U.amax())
            if kind == "relu":
                told["zero"] = 1 - rows.sign().mean()
                told["dead"] = (highest_U <= 0).float().mean()
            elif kind in ("sigmoid", "tanh"):
                slope = 4 * rows * (1 - rows) if kind == "sigmoid" else 1 - rows.square()
                told["saturated"] = (slope.mean(dim=others) < FLAT_SLOPE).float().mean()
            same_number = len(values) == self.num_rows and self.classes is not None
            told["cosine"], told["rank"] = cosine_and_rank(rows, self.classes if same_number else None)
        return told


@contextmanager
def listening(model: nn.Module, listener: Listener) -> Iterator[Listener]:
    """While open, the listener hears what the model's layers answer."""
    handles = []
    for module in model.modules():
        handles.append(module.register_forward_pre_hook(listener.enter))
        handles.append(module.register_forward_hook(lambda module, _, output: listener.leave(module, output)))
    try:
        with listener:
            yield listener
    finally:
        for handle in handles:
            handle.remove()


def rounded(number: float) -> float:
    """Six digits: what a float32 is good for, at a third of the length in the record.

    >>> rounded(0.12844473123550415)
    0.128445
    """
    return float(f"{number:.6g}")


def is_layer(module: nn.Module) -> bool:
    """Whether a module is the smallest one around some parameters."""
    return next(module.parameters(recurse=False), None) is not None and not any(module.children())


def layer_kind(module: nn.Module) -> str:
    """What a layer does, in a word."""
    kinds: tuple[tuple[Any, str], ...] = (
        (nn.Linear, "linear"),
        (nn.modules.conv._ConvNd, "conv"),
        (NORMS, "norm"),
        ((nn.Embedding, nn.EmbeddingBag), "embedding"),
        (nn.RNNBase, "recurrent"),
    )
    return next((name for kind, name in kinds if isinstance(module, kind)), type(module).__name__.lower())


def _function_kind(func: Callable[..., Any]) -> str | None:
    for functions, kind in ((RECTIFIERS, "relu"), (SIGMOIDS, "sigmoid"), (TANHS, "tanh")):
        if func in functions:
            return kind
    return func.__name__ if func in OTHERS else None


def _gradient(gradient: Tensor, in_time: bool) -> dict[str, Tensor]:
    """Root mean square; and of sequences (B, T, W), its mean over the first tenth of T and its largest over T."""
    square = gradient.detach().float().square()
    told = {"gradient": square.mean().sqrt()}
    if in_time and square.shape[1] >= LEAST_PLACES:
        by_time_T = square.mean(dim=(0, 2)).sqrt()
        told["gradient_early"] = by_time_T[: len(by_time_T) // 10].mean()
        told["gradient_most"] = by_time_T.amax()
    return told
