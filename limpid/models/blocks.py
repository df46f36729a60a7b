"""A network as an ordered list of blocks, from the input to the head: what is frozen, thawed and slowed down together.

A block is a layer with parameters, or a module that is no mere list of layers (a residual block, an LSTM); a
normalisation belongs to the block before it. The last block is the head, the layer that gives the outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from limpid.models.network import Network

LISTS = (nn.Sequential, nn.ModuleList)
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
HEADS = (nn.Linear, nn.Conv1d, nn.Conv2d)


@dataclass(frozen=True)
class Block:
    """Modules that belong together. A parameter is in one block only: where weights are tied, in the last one."""

    name: str  # of its first module, without the leading "body."
    modules: tuple[nn.Module, ...]
    parameters: tuple[nn.Parameter, ...]


def head_of(network: Network, num_outputs: int) -> tuple[str, nn.Module]:
    """The layer that gives the outputs: the last dense layer or convolution with one output per class or target.

    Where no layer has so many, it is the last layer with parameters.
    """
    own = [(name, m) for name, m in network.body.named_modules() if next(m.parameters(recurse=False), None) is not None]
    assert own, "wiring refuses a network without parameters"
    fitting = [(name, m) for name, m in own if isinstance(m, HEADS) and len(m.weight) == num_outputs]
    return (fitting or own)[-1]


def blocks_of(network: Network, num_outputs: int) -> list[Block]:
    """The blocks of the network's body, from the input to the head."""
    head_name, head = head_of(network, num_outputs)
    root, prefix = _without_wrappers(network.body, "")
    groups: list[tuple[str, list[nn.Module], list[nn.Parameter]]] = []
    loose = list(root.parameters(recurse=False))  # a class token, learned positions
    for name, module in _steps(root, prefix):
        if isinstance(module, NORMS) and groups:
            groups[-1][1].append(module)
            groups[-1][2].extend(module.parameters())
        else:
            groups.append((name, [module], list(module.parameters())))
    if groups:
        groups[0][2].extend(loose)
    groups.append((head_name, [head], list(head.parameters())))
    last_use = {id(p): number for number, (_, _, parameters) in enumerate(groups) for p in parameters}
    blocks = []
    for number, (name, modules, parameters) in enumerate(groups):
        own = tuple(p for p in dict.fromkeys(parameters) if last_use[id(p)] == number)
        if own:
            blocks.append(Block(name, tuple(modules), own))
    return blocks


def _without_wrappers(module: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The first module on the way down that has parameters of its own, or several parts that have."""
    while True:
        parts = [(key, child) for key, child in module.named_children() if next(child.parameters(), None) is not None]
        if len(parts) != 1 or next(module.parameters(recurse=False), None) is not None:
            return module, name
        if not parts[0][1]._modules:
            return module, name
        name, module = f"{name}.{parts[0][0]}".lstrip("."), parts[0][1]


def _steps(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """Children that hold parameters, in order; lists of layers are gone through."""
    for key, child in module.named_children():
        name = f"{prefix}.{key}".lstrip(".")
        if next(child.parameters(), None) is None:
            continue
        if isinstance(child, LISTS) and next(child.parameters(recurse=False), None) is None:
            yield from _steps(child, name)
        else:
            yield name, child
