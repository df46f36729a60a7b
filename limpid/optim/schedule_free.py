"""Schedule-free SGD and AdamW: averaging takes the place of a rate that falls.

    y = (1 - b) z + b x                 where the gradient is taken: the weights while training
    z <- z - lr g(y)                    the fast sequence
    x <- (1 - c) x + c z                its average: the weights for evaluation
    c = lr_max^2 / sum of lr_max^2 over all steps so far

Defazio et al. 2024 (arXiv 2405.15682), algorithm 1. Only y and z are stored: x = y + (1 - 1 / b) (z - y).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.optim.rule import Group, Rule, Tensors, zeros


def build_schedule_free_sgd(groups: list[Group], *, lr: float, fused: bool, momentum: float) -> torch.optim.Optimizer:
    return ScheduleFree(groups, lr=lr, betas=(momentum, 0.0), eps=0.0, adaptive=False)


def build_schedule_free_adamw(
    groups: list[Group], *, lr: float, fused: bool, betas: tuple[float, float], eps: float
) -> torch.optim.Optimizer:
    return ScheduleFree(groups, lr=lr, betas=betas, eps=eps, adaptive=True)


class ScheduleFree(Rule):
    """Both rules; `adaptive` divides the gradient by sqrt(s^) + eps of RMSProp first, as AdamW does.

    Weight decay is taken at y and stands beside the (scaled) gradient.
    """

    def __init__(self, groups: list[Group], **defaults: Any) -> None:
        super().__init__(groups, updates=0, lr_max=0.0, weight_sum=0.0, **defaults)

    def start(self, p: Tensor, group: Group) -> dict[str, Any]:
        fast = {"step": 0, "fast": p.detach().clone(memory_format=torch.preserve_format)}
        return {**fast, "square": zeros(p)} if group["adaptive"] else fast

    def decay(self, group: Group, params: Tensors, grads: Tensors) -> Tensors:
        return grads  # `move` adds it after the scaling

    def move(self, group: Group, params: Tensors, grads: Tensors, kept: dict[str, list[Any]]) -> None:
        beta, lr = group["betas"][0], group["lr"]
        group["lr_max"] = max(group["lr_max"], lr)
        weight = group["lr_max"] ** 2
        group["weight_sum"] += weight
        group["updates"] += 1
        share = weight / group["weight_sum"] if group["weight_sum"] else 0.0
        direction = _scaled(group, grads, kept) if group["adaptive"] else grads
        if group["weight_decay"]:
            direction = torch._foreach_add(direction, params, alpha=group["weight_decay"])
        # y - x shrinks by the new share of z; then z and y take the step.
        torch._foreach_lerp_(params, kept["fast"], share)
        torch._foreach_add_(params, direction, alpha=lr * (beta * (1 - share) - 1))
        torch._foreach_add_(kept["fast"], direction, alpha=-lr)

    def evaluation_weight(self, p: Tensor, group: Group) -> Tensor:
        """x, the average."""
        state = self.state.get(p)
        return torch.lerp(p, state["fast"], 1 - 1 / group["betas"][0]) if state else p


def _scaled(group: Group, grads: Tensors, kept: dict[str, list[Any]]) -> Any:
    """g / (sqrt(s^) + eps)."""
    beta2 = group["betas"][1]
    torch._foreach_mul_(kept["square"], beta2)
    torch._foreach_addcmul_(kept["square"], grads, grads, 1 - beta2)
    root = torch._foreach_sqrt(torch._foreach_div(kept["square"], [1 - beta2**step for step in kept["step"]]))
    return torch._foreach_div(grads, torch._foreach_add(root, group["eps"]))
