"""The nodes of a computation: who made a value from which others, and the gradient that comes back to it.

A value is described at the moment when it is made, and its gradient by a hook on the tensor itself, so that both are
right where a later operation overwrites the value in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

FEW = 12  # entries that are told one by one: the outputs of ten classes are

_tracer = fx.Tracer()


@dataclass
class Node:
    """One value of a computation.

    Attributes:
        name: of the layer, or of the function behind the module that calls it.
        kind: class of the layer, name of the function; `input`, `target` or `loss`.
        value: see `described`.
        sources: places of the nodes that it is made of.
        parameters: names of the parameters that it is made with.
        gradient: {norm, entries} of dL / d value; None where none comes back.
    """

    name: str
    kind: str
    value: dict[str, Any]
    sources: tuple[int, ...] = ()
    parameters: tuple[str, ...] = ()
    gradient: dict[str, Any] | None = None


class Nodes(list[Node]):
    """Nodes in order of computation."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[str, int] = {}

    def note(
        self, name: str, kind: str, value: Tensor, sources: Iterable[int] = (), parameters: Iterable[str] = ()
    ) -> int:
        """Take down a value that has just been made, and wait for its gradient; returns the node's place."""
        call = self._calls[name] = self._calls.get(name, 0) + 1
        name = name if call == 1 else f"{name} #{call}"
        node = Node(name, kind, described(value), tuple(dict.fromkeys(sources)), tuple(dict.fromkeys(parameters)))
        self.append(node)
        if value.requires_grad:
            value.register_hook(lambda gradient: setattr(node, "gradient", in_short(gradient)))
        return len(self) - 1


def described(value: Tensor) -> dict[str, Any]:
    """{shape, dtype, mean, std, least, most}, and `entries`, where they are few; std is that of all values, 1/n."""
    facts: dict[str, Any] = {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    if not value.numel() or value.is_complex():
        return facts
    numbers = value.detach().double()
    spread, mean = torch.std_mean(numbers, correction=0)
    least, most = numbers.aminmax()
    facts |= {"mean": mean.item(), "std": spread.item(), "least": least.item(), "most": most.item()}
    return facts | _entries(numbers)


def in_short(value: Tensor) -> dict[str, Any]:
    """{norm}, and `entries`, where they are few."""
    numbers = value.detach().double()
    return {"norm": numbers.norm().item(), **_entries(numbers)}


def _entries(numbers: Tensor) -> dict[str, Any]:
    return {"entries": numbers.flatten().tolist()} if numbers.numel() <= FEW else {}


def is_layer(module: nn.Module) -> bool:
    """Whether a module is one node: those of torch but its containers, and all that have no modules inside."""
    return next(module.children(), None) is None or _tracer.is_leaf_module(module, "")


def short_name(name: str) -> str:
    """A layer's or parameter's name without the frame around every network; "" is the network itself."""
    return "" if name == "body" else name.removeprefix("body.")


def input_names(count: int) -> list[str]:
    """What the inputs of a network are called here."""
    return ["input"] if count == 1 else [f"input_{number}" for number in range(1, count + 1)]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor within tuples, lists and dictionaries, in their order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from tensors_in(one)
