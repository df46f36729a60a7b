"""The computational graph of one row: what the network computed, and what comes back from the loss.

    forward    value of node j   x_j = f_j(x_i for its sources i; theta_j)
    backward   dL/dx_i = sum over the nodes j that use x_i of (dx_j / dx_i)^T dL/dx_j
               dL/dtheta_j       = (dx_j / dtheta_j)^T dL/dx_j

Rumelhart, Hinton & Williams 1986; as a graph of operations Linnainmaa 1970. The gradients are autograd's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from limpid.interpret.heard import HeardPass
from limpid.interpret.nodes import Nodes, described, in_short, short_name, tensors_in
from limpid.interpret.sample import Sample
from limpid.interpret.traced import TracedPass
from limpid.models.network import InputScale
from limpid.training.randomness import own_randomness

NO_GRADIENT = "No gradient comes back: this network answers without operations that have one. Its values are shown."
OWN_RULE = "The weights of this network are not found by descending the loss: the gradients shown have moved nothing."


def computation(network: nn.Module, sample: Sample) -> dict[str, Any]:
    """Every node with its value and the gradient of the row's loss, in evaluation mode; the network stays as it is.

    Returns:
        untraced: why torch.fx could not follow the forward pass, so that layers alone are nodes; "": it could.
        remarks: what is to be known of the gradients, and of the units of outputs and target.
        nodes: name, kind, value, gradient, sources and parameters of each (nodes.py), in order of computation; the last
            is the loss, the one before it the target.
        edges: source and target (places of nodes) and the shape that flows.
        parameters: name, shape, count, norm, gradient (norm and, if few, entries; None: none), and nodes that use it.
        outputs, loss: what the network answered, described as the nodes are, and its loss.
    """
    with _as_judged(network), torch.enable_grad():
        nodes, outputs, sources, untraced = _forward(network, sample.inputs)
        loss = sample.loss(outputs, sample.target)
        target = nodes.note("target", "target", sample.target)
        nodes.note("loss", "loss", loss, (*sources, target))
        if loss.requires_grad:
            loss.backward()
        parameters = _parameters(network, nodes)
    return {
        "untraced": untraced,
        "remarks": [*_on_gradients(loss, sample), *([sample.units] if sample.units else ())],
        "nodes": [vars(node) for node in nodes],
        "edges": [
            {"source": source, "target": place, "shape": nodes[source].value["shape"]}
            for place, node in enumerate(nodes)
            for source in node.sources
        ],
        "parameters": parameters,
        "outputs": described(next(tensors_in(outputs))),
        "loss": loss.item(),
    }


def _on_gradients(loss: Tensor, sample: Sample) -> list[str]:
    if not loss.requires_grad:
        return [NO_GRADIENT]
    return [] if sample.descended else [OWN_RULE]


def _forward(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Nodes, Any, tuple[int, ...], str]:
    """Nodes, outputs, the nodes that these are made of, and why torch.fx could not follow ("": it could)."""
    with own_randomness(0):
        expected = network(*map(_followed, inputs))
    try:
        traced = TracedPass(network, len(inputs), Nodes())
        with own_randomness(0):
            outputs = traced.run(*map(_followed, inputs))
        if _same(outputs, expected):
            return traced.nodes, outputs, traced.sources(), ""
        why_not = "what it follows gives other outputs than the network."
    except Exception as error:  # whatever a forward pass of the user's raises when it is given no tensors
        why_not = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    heard = HeardPass(network, Nodes())
    with own_randomness(0):
        outputs = heard.run(*map(_followed, inputs))
    return heard.nodes, outputs, tuple(heard.sources(outputs)), f"torch.fx cannot follow this forward pass. {why_not}"


def _same(outputs: Any, expected: Any) -> bool:
    """Whether these are the same tensors, bit for bit but for the kind of NaN."""
    pairs = zip(tensors_in(outputs), tensors_in(expected), strict=True)
    return all(a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True) for a, b in pairs)


def _followed(value: Tensor) -> Tensor:
    """The same numbers, so that gradients come back to them and nothing overwrites the sample."""
    if value.is_floating_point() and not value.requires_grad:
        value = value.detach().requires_grad_()
    return value.clone()


@contextmanager
def _as_judged(network: nn.Module) -> Iterator[None]:
    """While open the network is in evaluation mode, and gradients reach all parameters and the scaled inputs."""
    modes = [(module, module.training) for module in network.modules()]
    found = [(parameter, parameter.requires_grad, parameter.grad) for parameter in network.parameters()]
    scales = [module for module in network.modules() if isinstance(module, InputScale)]
    hooks = [scale.register_forward_hook(lambda scale, inputs, output: _followed(output)) for scale in scales]
    network.eval()
    for parameter, _, _ in found:
        parameter.requires_grad_(parameter.is_floating_point()).grad = None
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
        for parameter, learns, gradient in found:
            parameter.requires_grad_(learns).grad = gradient


def _parameters(network: nn.Module, nodes: Nodes) -> list[dict[str, Any]]:
    """A row for each parameter, in the order of the network."""
    return [
        {
            "name": short_name(name),
            "shape": list(parameter.shape),
            "count": parameter.numel(),
            "norm": in_short(parameter)["norm"],
            "gradient": None if parameter.grad is None else in_short(parameter.grad),
            "nodes": [place for place, node in enumerate(nodes) if short_name(name) in node.parameters],
        }
        for name, parameter in network.named_parameters()
    ]
