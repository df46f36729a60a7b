"""The last layer of a network: the last one with parameters of its own that a forward pass comes through."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from limpid.probes.subject import Subject


@torch.no_grad()
def last_layer(subject: Subject, *inputs: torch.Tensor) -> tuple[str, nn.Module] | None:
    """Name and module, found by one forward pass of these inputs; None for a network without parameters."""
    called: list[nn.Module] = []

    def note(module: nn.Module, _args: Any, _outputs: Any) -> None:
        called.append(module)

    named = subject.network.named_modules()
    owners = {module: name for name, module in named if next(module.parameters(recurse=False), None) is not None}
    hooks = [module.register_forward_hook(note) for module in owners]
    try:
        subject.answer(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return (owners[called[-1]], called[-1]) if called else None
