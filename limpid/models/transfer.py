"""Starting from weights that were learned elsewhere: which tensors are taken, and which stay new.

for every name of the network:  w <- w_source  where w_source has this name and shape (and is not left out)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from limpid.errors import ModelError

MOST_NAMED = 6  # tensors that a message lists


@dataclass(frozen=True)
class Account:
    """What became of every tensor: `taken` and `new` are the network's, `unused` those of the source without a use."""

    place: str
    taken: tuple[str, ...]
    new: tuple[str, ...]
    unused: tuple[str, ...]

    def text(self) -> str:
        """One sentence for people."""
        total = len(self.taken) + len(self.new)
        said = f"started from {self.place}: {len(self.taken)} of {total} tensors taken"
        return f"{said}; new: {_some(self.new)}" if self.new else f"{said}, none is new"


def take_weights(
    network: nn.Module, weights: Mapping[str, Tensor], *, place: str, leave: Iterable[str] = ()
) -> Account:
    """Copy every tensor of `weights` whose name and shape the network has, bit for bit, and account for all.

    Args:
        network: its other tensors stay as they are.
        weights: by the network's own names, or by those of its body ("fc.weight" for "body.fc.weight").
        place: where they come from, for messages.
        leave: beginnings of the names that are not taken even where they fit, such as the head of other classes.

    Raises ModelError when not one parameter fits, with the first tensors of both sides.
    """
    own = network.state_dict()
    if not own.keys() & weights.keys():
        weights = {f"body.{name}": tensor for name, tensor in weights.items()}
    leave = tuple(leave)
    taken = tuple(
        name
        for name, tensor in own.items()
        if name in weights and weights[name].shape == tensor.shape and not name.startswith(leave)
    )
    if not {name for name, _ in network.named_parameters()} & {*taken}:
        raise ModelError(
            f"Nothing of {place} fits this network. It holds {_shapes(weights)}; the network has {_shapes(own)}. "
            "Use the same model.name and its options, or leave out model.start."
        )
    network.load_state_dict({**own, **{name: weights[name] for name in taken}})
    new = tuple(name for name in own if name not in taken)
    return Account(place, taken, new, tuple(name for name in weights if name not in taken))


def copy_where_equal(source: nn.Module, target: nn.Module) -> None:
    """Give layers of `target` the weights that layers of `source` have, in order, where their shapes are the same."""
    pairs = zip(_weighted(source), _weighted(target), strict=False)
    with torch.no_grad():
        for one, other in pairs:
            if one.weight.shape == other.weight.shape and type(one) is type(other):
                other.weight.copy_(one.weight)
                if one.bias is not None and other.bias is not None:
                    other.bias.copy_(one.bias)


def _weighted(network: nn.Module) -> list[Any]:
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return [module for module in network.modules() if isinstance(module, kinds)]


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(name.removeprefix("body.") for name in names[:MOST_NAMED])
    return shown + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")


def _shapes(tensors: Mapping[str, Tensor]) -> str:
    shown = [f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items() if tensor.ndim][:3]
    return ", ".join(shown) + (", ..." if len(tensors) > 3 else "") if shown else "no tensors"
