"""Muon: the momentum of a matrix is made orthogonal before it moves the matrix; the rest goes by AdamW.

Shapes: R rows (outputs), C columns (inputs, times the places of a kernel).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from limpid.optim.rule import Group, Rule, Tensors, shrink, zeros

# Keller Jordan's quintic, steepest at zero: five rounds bring every singular value from 0.0015 up to [0.68, 1.13].
QUINTIC = (3.4445, -4.7750, 2.0315)


def build_muon(
    groups: list[Group],
    *,
    lr: float,
    fused: bool,
    momentum: float,
    nesterov: bool,
    ns_steps: int,
    adjust_lr: str,
    convolutions: bool,
    adam_lr: float,
    betas: tuple[float, float],
    eps: float,
) -> torch.optim.Optimizer:
    shared = {"momentum": momentum, "nesterov": nesterov, "ns_steps": ns_steps, "adjust_lr": adjust_lr}
    apart = []
    for group in groups:
        scale = group.get("lr", lr) / lr  # of the depth of the layer
        hidden = [p for p in group["params"] if group["hidden"] and (p.ndim == 2 or convolutions)]
        taken = {id(p) for p in hidden}
        rest = [p for p in group["params"] if id(p) not in taken]
        if hidden:
            apart.append({**group, **shared, "params": hidden, "lr": lr * scale})
        if rest:
            apart.append({**group, "betas": betas, "eps": eps, "params": rest, "hidden": False, "lr": adam_lr * scale})
    return Muon(sorted(apart, key=lambda group: not group["hidden"]))  # the rate that is shown is the matrices'


class Muon(Rule):
    """Momentum orthogonalised by Newton-Schulz (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

        m <- mu m + g;  u = orthogonal(g + mu m), or of m without nesterov
        W <- (1 - lr lambda) W - lr k u

    with k = sqrt(max(1, R / C)) ("original"), or 0.2 sqrt(max(R, C)), which gives the update the size of one of AdamW
    ("match_rms_adamw", Liu et al. 2025, arXiv 2502.16982). A convolution's kernel is the matrix (O, I * KH * KW).

    Groups with `hidden` false go by AdamW at their own rate: biases, gains, embeddings and the last layer, whose rows
    are not directions of one space.
    """

    def start(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"momentum": zeros(p)} if group["hidden"] else {"step": 0, "mean": zeros(p), "square": zeros(p)}

    def decay(self, group: Group, params: Tensors, grads: Tensors) -> Tensors:
        shrink(group, params)
        return grads

    def move(self, group: Group, params: Tensors, grads: Tensors, kept: dict[str, list[Any]]) -> None:
        if not group["hidden"]:
            _adam(group, params, grads, kept)
            return
        momentum = group["momentum"]
        torch._foreach_mul_(kept["momentum"], momentum)
        torch._foreach_add_(kept["momentum"], grads)
        ahead = torch._foreach_add(grads, kept["momentum"], alpha=momentum) if group["nesterov"] else kept["momentum"]
        for p, direction in zip(params, ahead, strict=True):
            update_RC = orthogonalize(direction.flatten(1), group["ns_steps"])
            rows, columns = update_RC.shape
            if group["adjust_lr"] == "original":
                scale = math.sqrt(max(1.0, rows / columns))
            else:
                scale = 0.2 * math.sqrt(max(rows, columns))
            p.sub_(update_RC.view(p.shape), alpha=group["lr"] * scale)


def orthogonalize(matrix_RC: Tensor, steps: int = 5) -> Tensor:
    """The matrix with all its singular values near 1: about U V^T of U S V^T, by Newton-Schulz iteration.

        X <- X / |X|_F;  X <- a X + (b A + c A^2) X with A = X X^T, `steps` times

    On a GPU in bfloat16, which the iteration bears (Jordan et al. 2024); on a CPU in the matrix's own type.
    """
    a, b, c = QUINTIC
    x = matrix_RC.bfloat16() if matrix_RC.device.type == "cuda" else matrix_RC
    tall = x.shape[0] > x.shape[1]
    x = x.t() if tall else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.t()
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.t() if tall else x).to(matrix_RC.dtype).contiguous()


def _adam(group: Group, params: Tensors, grads: Tensors, kept: dict[str, list[Any]]) -> None:
    """w <- w - lr m^ / (sqrt(s^) + eps)."""
    beta1, beta2 = group["betas"]
    torch._foreach_lerp_(kept["mean"], grads, 1 - beta1)
    torch._foreach_mul_(kept["square"], beta2)
    torch._foreach_addcmul_(kept["square"], grads, grads, 1 - beta2)
    root = torch._foreach_sqrt(torch._foreach_div(kept["square"], [1 - beta2**step for step in kept["step"]]))
    root = torch._foreach_add(root, group["eps"])
    torch._foreach_addcdiv_(params, kept["mean"], root, [-group["lr"] / (1 - beta1**step) for step in kept["step"]])
