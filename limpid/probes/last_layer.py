"""The last layer of a network: the last one with parameters of its own that a forward pass comes through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from limpid.probes.subject import Subject

FAR = 10.0  # standard deviation of the weights that are put in: large beside any first weights


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


@contextmanager
def other_weights(module: nn.Module, sign: float) -> Iterator[None]:
    """While open the module has large random weights, sign * N(0, FAR^2): what its outputs are then is not due to
    the weights that it started with."""
    kept = [p.detach().clone() for p in module.parameters(recurse=False)]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        try:
            for p in module.parameters(recurse=False):
                p.copy_((torch.randn(p.shape, generator=generator) * FAR * sign).to(p))
            yield
        finally:
            for p, old in zip(module.parameters(recurse=False), kept, strict=True):
                p.copy_(old)
