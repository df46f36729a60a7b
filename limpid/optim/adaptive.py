"""Steps scaled by the gradients of the past: AdaGrad, RMSProp, AdaDelta, Adafactor.

Torch supplies them in the form that papers and programs use. The forms that differ are here: epsilon inside the root,
and a sum that lags one gradient behind.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.errors import ConfigError
from limpid.optim.rule import Group, Rule, Tensors, spared, zeros


def build_adagrad(
    groups: list[Group],
    *,
    lr: float,
    fused: bool,
    eps: float,
    lr_decay: float,
    initial_accumulator_value: float,
    form: str,
) -> torch.optim.Optimizer:
    if form == "torch":
        return spared(torch.optim.Adagrad)(
            groups, lr=lr, eps=eps, lr_decay=lr_decay, initial_accumulator_value=initial_accumulator_value, fused=fused
        )
    return RootedAdagrad(
        groups, lr=lr, eps=eps, lr_decay=lr_decay, first=initial_accumulator_value, lagged=form == "lagged"
    )


def build_rmsprop(
    groups: list[Group],
    *,
    lr: float,
    fused: bool,
    alpha: float,
    eps: float,
    momentum: float,
    centered: bool,
    form: str,
) -> torch.optim.Optimizer:
    if form == "torch":
        return spared(torch.optim.RMSprop)(groups, lr=lr, alpha=alpha, eps=eps, momentum=momentum, centered=centered)
    if momentum or centered:
        raise ConfigError(
            "optim.form=inside_root has neither momentum nor centered: leave them out, or use form=torch."
        )
    return RootedRMSProp(groups, lr=lr, alpha=alpha, eps=eps)


def build_adadelta(groups: list[Group], *, lr: float, fused: bool, rho: float, eps: float) -> torch.optim.Optimizer:
    return spared(torch.optim.Adadelta)(groups, lr=lr, rho=rho, eps=eps)


def build_adafactor(
    groups: list[Group], *, lr: float, fused: bool, beta2_decay: float, eps: tuple[float | None, float], d: float
) -> torch.optim.Optimizer:
    return spared(torch.optim.Adafactor)(groups, lr=lr, beta2_decay=beta2_decay, eps=eps, d=d)


class RootedAdagrad(Rule):
    """AdaGrad with epsilon inside the root (Duchi et al. 2011).

        s <- s + g^2;  w <- w - lr g / sqrt(s + eps)

    With `lagged` the step comes before the sum, so that the first one divides by sqrt(eps) alone.
    """

    def start(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"step": 0, "sum": torch.full_like(p, group["first"])}

    def move(self, group: Group, params: Tensors, grads: Tensors, kept: dict[str, list[Any]]) -> None:
        if not group["lagged"]:
            torch._foreach_addcmul_(kept["sum"], grads, grads)
        root = torch._foreach_sqrt(torch._foreach_add(kept["sum"], group["eps"]))
        rates = [-group["lr"] / (1 + (step - 1) * group["lr_decay"]) for step in kept["step"]]
        torch._foreach_addcdiv_(params, grads, root, rates)
        if group["lagged"]:
            torch._foreach_addcmul_(kept["sum"], grads, grads)


class RootedRMSProp(Rule):
    """RMSProp with epsilon inside the root: s <- alpha s + (1 - alpha) g^2;  w <- w - lr g / sqrt(s + eps)."""

    def start(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"square": zeros(p)}

    def move(self, group: Group, params: Tensors, grads: Tensors, kept: dict[str, list[Any]]) -> None:
        torch._foreach_mul_(kept["square"], group["alpha"])
        torch._foreach_addcmul_(kept["square"], grads, grads, 1 - group["alpha"])
        root = torch._foreach_sqrt(torch._foreach_add(kept["square"], group["eps"]))
        torch._foreach_addcdiv_(params, grads, root, -group["lr"])
