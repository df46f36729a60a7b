"""Sharpness-aware minimisation: the gradient is taken where the loss is worst nearby.

    e = rho g / |g|                       adaptive: rho w^2 g / | |w| g |
    w <- w - optimiser's step of the gradient at w + e

Foret et al. 2021 (arXiv 2010.01412); adaptive: Kwon et al. 2021 (arXiv 2102.11600). Every step takes two passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from limpid.training.step import Batch, Objective, train_step


def sam_step(rho: float, *, adaptive: bool = False) -> Callable[..., Tensor]:
    """A training step in the place of `train_step`, with the same arguments and result.

    The loss that is returned, and guarded, is that at w. Accumulated batches each look for their own worst place.
    Running statistics of batch normalisation follow the first pass only.
    """

    def step(
        model: nn.Module,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        batch: Batch,
        *,
        context: AbstractContextManager[Any] | None = None,
        clip_norm: float | None = None,
        weight: float = 1.0,
        update: bool = True,
        guard: bool = False,
    ) -> Tensor:
        params = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        earlier = [p.grad for p in params]  # of the batches accumulated so far
        _set_gradients(params, [None] * len(params))
        try:
            loss = train_step(model, objective, optimizer, batch, context=context, update=False, guard=guard)
            offset = _worst_offset(params, rho, adaptive)
        finally:
            _set_gradients(params, earlier)
        with _moved(offset), _statistics_at_rest(model):
            train_step(model, objective, optimizer, batch, context=context, weight=weight, update=False)
        if update:
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            optimizer.zero_grad()
        return loss

    return step


@torch.no_grad()
def _worst_offset(params: list[nn.Parameter], rho: float, adaptive: bool) -> list[tuple[Tensor, Tensor]]:
    """Each parameter that has a gradient, with the way to where the loss is worst."""
    moving: list[Tensor] = [p for p in params if p.grad is not None]
    grads: list[Tensor] = [p.grad for p in moving]  # type: ignore[misc]
    if not moving:
        return []
    scales = torch._foreach_abs(moving) if adaptive else None
    slopes = torch._foreach_mul(grads, scales) if scales else grads
    norm = torch.linalg.vector_norm(torch.stack([*torch._foreach_norm(slopes)]))
    if scales:
        slopes = torch._foreach_mul(slopes, scales)
    way = torch._foreach_mul(slopes, rho / (norm + 1e-12))
    return list(zip(moving, way, strict=True))


@contextmanager
def _moved(offset: list[tuple[Tensor, Tensor]]) -> Iterator[None]:
    """While open, the parameters stand at their offset; afterwards they have their own bits again."""
    with torch.no_grad():
        own = [p.detach().clone() for p, _ in offset]
        for p, way in offset:
            p.add_(way)
    try:
        yield
    finally:
        with torch.no_grad():
            for (p, _), kept in zip(offset, own, strict=True):
                p.copy_(kept)


@contextmanager
def _statistics_at_rest(model: nn.Module) -> Iterator[None]:
    """While open, batch normalisation does not move its running statistics."""
    layers = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    shares = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, share in zip(layers, shares, strict=True):
            layer.momentum = share


def _set_gradients(params: list[nn.Parameter], grads: list[Tensor | None]) -> None:
    for p, grad in zip(params, grads, strict=True):
        p.grad = grad
