"""A network as its layers are called, for forward passes that decide on the way what to do.

Layers are heard by hooks. What lies between them is not seen, but autograd knows it: who made what a layer is given is
found by going back from there through the operations that autograd wrote down, to the nearest outputs of layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from limpid.interpret.nodes import Nodes, input_names, is_layer, short_name, tensors_in


class HeardPass:
    """Notes every layer that a forward pass calls; of one that gives several tensors, the first."""

    def __init__(self, network: nn.Module, nodes: Nodes) -> None:
        self.network, self.nodes = network, nodes
        self.names = {id(parameter): short_name(name) for name, parameter in network.named_parameters()}
        self._made: dict[Any, tuple[int, Tensor]] = {}  # by maker: place of the node, and the tensor, to stay alive
        self._inside = 0

    def run(self, *inputs: Tensor) -> Any:
        """The outputs."""
        for name, tensor in zip(input_names(len(inputs)), inputs, strict=True):
            self._keep(tensor, self.nodes.note(name, "input", tensor))
        hooks = []
        for name, module in self.network.named_modules():
            if is_layer(module):
                hooks.append(module.register_forward_pre_hook(self._enter))
                hooks.append(module.register_forward_hook(self._leaver(name), with_kwargs=True))
        try:
            return self.network(*inputs)
        finally:
            for hook in hooks:
                hook.remove()

    def sources(self, values: Any) -> Iterator[int]:
        """Places of the nodes that these values are made of, through operations that are no layers."""
        for value in tensors_in(values):
            seen, waiting = {None}, [_maker(value)]
            while waiting:
                maker = waiting.pop()
                if maker in self._made:
                    yield self._made[maker][0]
                elif maker not in seen and not isinstance(maker, int):
                    waiting += [before for before, _ in reversed(maker.next_functions)]
                seen.add(maker)

    def _enter(self, module: nn.Module, args: Any) -> None:
        self._inside += 1

    def _leaver(self, name: str) -> Any:
        def leave(module: nn.Module, args: Sequence[Any], kwargs: dict[str, Any], output: Any) -> None:
            self._inside -= 1
            first = next(tensors_in(output), None)
            if self._inside or first is None:
                return
            parameters = (self.names[id(parameter)] for parameter in module.parameters())
            sources = self.sources((args, kwargs))
            kind = type(module).__name__
            place = self.nodes.note(short_name(name) or kind, kind, first, sources, parameters)
            for tensor in tensors_in(output):
                self._keep(tensor, place)

        return leave

    def _keep(self, tensor: Tensor, place: int) -> None:
        self._made[_maker(tensor)] = (place, tensor)


def _maker(tensor: Tensor) -> Any:
    """The operation that made a tensor; where autograd wrote none down, the memory that it lies in."""
    return tensor.untyped_storage().data_ptr() if tensor.grad_fn is None else tensor.grad_fn
