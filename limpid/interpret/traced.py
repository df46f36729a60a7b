"""A network as torch.fx sees it: every layer and every function between layers is a node.

fx follows a forward pass with stand-ins for the tensors. Where the pass decides by what a tensor holds, it cannot
follow; where it asks what a tensor is, it may follow the wrong way. So whoever uses the trace compares the outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, fx, nn

from limpid.interpret.nodes import Nodes, input_names, is_layer, short_name, tensors_in


class LayerTracer(fx.Tracer):
    """Goes into modules until they are layers; takes so many inputs, whatever the signature says.

    A network without modules inside, all formulas of its own, is no layer but what is to be seen.
    """

    def __init__(self, num_inputs: int) -> None:
        super().__init__()
        self.num_inputs = num_inputs

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Callable[..., Any], list[Any]]:
        inputs = (self.create_proxy("placeholder", name, (), {}) for name in input_names(self.num_inputs))
        return root_fn, [self.root, *inputs]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or (is_layer(m) and module_qualified_name != "body")


class TracedPass(fx.Interpreter):
    """A forward pass, operation by operation, each of which that gives a tensor is noted.

    Of an operation that gives several tensors, such as a recurrent layer, the node shows the first.

    Raises whatever the forward pass raises with stand-ins for the tensors, mostly `fx.proxy.TraceError`.
    """

    def __init__(self, network: nn.Module, num_inputs: int, nodes: Nodes) -> None:
        super().__init__(network, graph=LayerTracer(num_inputs).trace(network))
        self.nodes = nodes
        self.places: dict[fx.Node, int] = {}
        self.shown: dict[fx.Node, Tensor] = {}  # of what gives several tensors, the one that its node shows
        self.names = {id(parameter): short_name(name) for name, parameter in network.named_parameters()}
        self.held: dict[fx.Node, str] = {}  # parameters that functions are given

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        first = next(tensors_in(value), None)
        if first is None or n.op == "output":
            return value
        if n.op == "get_attr":
            if id(first) in self.names:
                self.held[n] = self.names[id(first)]
            return value
        given = n.all_input_nodes
        if given and self.shown.get(given[0]) is first:  # the first of several is taken out
            self.places[n] = self.places[given[0]]
            return value
        if value is not first:
            self.shown[n] = first
        sources = (self.places[one] for one in given if one in self.places)
        self.places[n] = self.nodes.note(*self._called(n), first, sources, self._parameters(n))
        return value

    def sources(self) -> tuple[int, ...]:
        """Places of the nodes that the outputs are made of."""
        return tuple(self.places[one] for one in self.graph.output_node().all_input_nodes)

    def _called(self, n: fx.Node) -> tuple[str, str]:
        """Name and kind of a node."""
        if n.op == "placeholder":
            return str(n.target), "input"
        if n.op == "call_module":
            kind = type(self.fetch_attr(str(n.target))).__name__
            return short_name(str(n.target)) or kind, kind
        kind = n.target if isinstance(n.target, str) else n.target.__name__
        inside = [*(n.meta.get("nn_module_stack") or {})]
        name = short_name(inside[-1]) if inside else ""
        return f"{name}.{kind}".lstrip("."), kind.strip("_")

    def _parameters(self, n: fx.Node) -> Any:
        if n.op == "call_module":
            return (self.names[id(p)] for p in self.fetch_attr(str(n.target)).parameters())
        return (self.held[one] for one in n.all_input_nodes if one in self.held)
