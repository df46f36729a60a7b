"""The family of Adam: running averages m of the gradient and s of its square.

m^ = m / (1 - b1^t) and s^ = s / (1 - b2^t) are the averages without the pull of their start at zero.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.optim.fused import FusedAdam
from limpid.optim.rule import Group, Rule, Tensors, spared, zeros

Betas = tuple[float, float]


def build_adam(
    groups: list[Group], *, lr: float, fused: bool, betas: Betas, eps: float, form: str
) -> torch.optim.Optimizer:
    if form != "torch":
        return AdamForm(groups, lr=lr, betas=betas, eps=eps, form=form)
    if fused:
        return FusedAdam(groups, lr=lr, betas=betas, eps=eps, weight_decay=0.0, decoupled=False)
    return torch.optim.Adam(groups, lr=lr, betas=betas, eps=eps)


def build_adamw(groups: list[Group], *, lr: float, fused: bool, betas: Betas, eps: float) -> torch.optim.Optimizer:
    if fused:
        return FusedAdam(groups, lr=lr, betas=betas, eps=eps, weight_decay=0.0, decoupled=True)
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps)


def build_amsgrad(
    groups: list[Group], *, lr: float, fused: bool, betas: Betas, eps: float, form: str
) -> torch.optim.Optimizer:
    if form == "torch":
        return spared(torch.optim.Adam)(groups, lr=lr, betas=betas, eps=eps, amsgrad=True, fused=fused)
    return CorrectedAMSGrad(groups, lr=lr, betas=betas, eps=eps)


def build_nadam(
    groups: list[Group], *, lr: float, fused: bool, betas: Betas, eps: float, momentum_decay: float, decoupled: bool
) -> torch.optim.Optimizer:
    return spared(torch.optim.NAdam)(
        groups, lr=lr, betas=betas, eps=eps, momentum_decay=momentum_decay, decoupled_weight_decay=decoupled
    )


def build_adamax(groups: list[Group], *, lr: float, fused: bool, betas: Betas, eps: float) -> torch.optim.Optimizer:
    return spared(torch.optim.Adamax)(groups, lr=lr, betas=betas, eps=eps)


def build_radam(
    groups: list[Group], *, lr: float, fused: bool, betas: Betas, eps: float, decoupled: bool
) -> torch.optim.Optimizer:
    return spared(torch.optim.RAdam)(groups, lr=lr, betas=betas, eps=eps, decoupled_weight_decay=decoupled)


class AdamForm(Rule):
    """Adam as some lectures write it.

    inside_root   w <- w - lr m^ / sqrt(s^ + eps)
    uncorrected   w <- w - lr m / (sqrt(s) + eps): the averages still lean towards zero in the first steps
    """

    def start(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"step": 0, "mean": zeros(p), "square": zeros(p)}

    def move(self, group: Group, params: Tensors, grads: Tensors, kept: dict[str, list[Any]]) -> None:
        _average(group, grads, kept)
        if group["form"] == "uncorrected":
            root = torch._foreach_add(torch._foreach_sqrt(kept["square"]), group["eps"])
            torch._foreach_addcdiv_(params, kept["mean"], root, -group["lr"])
            return
        root = torch._foreach_sqrt(torch._foreach_add(_corrected_square(group, kept), group["eps"]))
        torch._foreach_addcdiv_(params, kept["mean"], root, _rates(group, kept))


class CorrectedAMSGrad(Rule):
    """AMSGrad with the maximum over the corrected squares (Reddi et al. 2018 leave the correction out).

        c <- max(c, s^);  w <- w - lr m^ / (sqrt(c) + eps)

    torch takes the maximum over s and corrects it afterwards, so that early large values weigh less.
    """

    def start(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"step": 0, "mean": zeros(p), "square": zeros(p), "largest": zeros(p)}

    def move(self, group: Group, params: Tensors, grads: Tensors, kept: dict[str, list[Any]]) -> None:
        _average(group, grads, kept)
        torch._foreach_maximum_(kept["largest"], _corrected_square(group, kept))
        root = torch._foreach_add(torch._foreach_sqrt(kept["largest"]), group["eps"])
        torch._foreach_addcdiv_(params, kept["mean"], root, _rates(group, kept))


def _average(group: Group, grads: Tensors, kept: dict[str, list[Any]]) -> None:
    """m <- b1 m + (1 - b1) g;  s <- b2 s + (1 - b2) g^2."""
    beta1, beta2 = group["betas"]
    torch._foreach_lerp_(kept["mean"], grads, 1 - beta1)
    torch._foreach_mul_(kept["square"], beta2)
    torch._foreach_addcmul_(kept["square"], grads, grads, 1 - beta2)


def _corrected_square(group: Group, kept: dict[str, list[Any]]) -> tuple[Tensor, ...]:
    return torch._foreach_div(kept["square"], [1 - group["betas"][1] ** step for step in kept["step"]])


def _rates(group: Group, kept: dict[str, list[Any]]) -> list[float]:
    """-lr with the correction of the mean folded in."""
    return [-group["lr"] / (1 - group["betas"][0] ** step) for step in kept["step"]]
