"""Descent along the gradient, with and without momentum, and by its sign alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.errors import ConfigError
from limpid.optim.fused import FusedSGD
from limpid.optim.rule import Group, Rule, Tensors, spared, zeros


def build_sgd(
    groups: list[Group], *, lr: float, fused: bool, momentum: float, nesterov: bool, dampening: float
) -> torch.optim.Optimizer:
    """torch's SGD: v <- mu v + (1 - dampening) g, where the first gradient enters undamped;  w <- w - lr v."""
    if nesterov and dampening:
        raise ConfigError("optim.dampening must be 0 with optim.nesterov=true: the look-ahead is of the full velocity.")
    nesterov = nesterov and momentum > 0  # torch refuses the look-ahead without momentum, where it is plain descent
    options: dict[str, Any] = {"momentum": momentum, "nesterov": nesterov, "dampening": dampening}
    if fused:
        return FusedSGD(groups, lr=lr, weight_decay=0.0, **options)
    return torch.optim.SGD(groups, lr=lr, **options)


def build_momentum(
    groups: list[Group], *, lr: float, fused: bool, momentum: float, dampening: float
) -> torch.optim.Optimizer:
    return Momentum(groups, lr=lr, momentum=momentum, dampening=dampening)


def build_nesterov(groups: list[Group], *, lr: float, fused: bool, momentum: float) -> torch.optim.Optimizer:
    return Nesterov(groups, lr=lr, momentum=momentum)


def build_asgd(
    groups: list[Group], *, lr: float, fused: bool, lambd: float, alpha: float, t0: float
) -> torch.optim.Optimizer:
    return AveragedSGD(groups, lr=lr, lambd=lambd, alpha=alpha, t0=t0)


def build_rprop(
    groups: list[Group], *, lr: float, fused: bool, etas: tuple[float, float], step_sizes: tuple[float, float]
) -> torch.optim.Optimizer:
    return spared(torch.optim.Rprop)(groups, lr=lr, etas=etas, step_sizes=step_sizes)


class Momentum(Rule):
    """Polyak's heavy ball, with the rate inside the velocity (Polyak 1964).

        v <- mu v + (1 - dampening) lr g;  w <- w - v

    torch's SGD multiplies the velocity with the rate of the day instead: there a rate that falls brakes at once, here
    the ball keeps its speed. They agree while the rate is constant and dampening is 0. With dampening they differ from
    the first step, which torch leaves undamped.
    """

    def start(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"velocity": zeros(p)}

    def move(self, group: Group, params: Tensors, grads: Tensors, kept: dict[str, list[Any]]) -> None:
        torch._foreach_mul_(kept["velocity"], group["momentum"])
        torch._foreach_add_(kept["velocity"], grads, alpha=(1 - group["dampening"]) * group["lr"])
        torch._foreach_sub_(params, kept["velocity"])


class Nesterov(Rule):
    """Nesterov's momentum as he wrote it: the gradient is taken where the momentum leads (Nesterov 1983).

        v <- mu v + lr grad f(w - mu v);  w <- w - v

    While training, the parameters stand at the point ahead, a = w - mu v, where the network's gradient is needed:

        a <- a + mu v - (1 + mu) v',    v' = mu v + lr g

    and `evaluation_weight` is w = a + mu v. torch's `nesterov=True` goes along the points a and stays there.
    """

    def start(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"velocity": zeros(p)}

    def move(self, group: Group, params: Tensors, grads: Tensors, kept: dict[str, list[Any]]) -> None:
        mu, v = group["momentum"], kept["velocity"]
        torch._foreach_add_(params, v, alpha=mu)
        torch._foreach_mul_(v, mu)
        torch._foreach_add_(v, grads, alpha=group["lr"])
        torch._foreach_add_(params, v, alpha=-(1 + mu))

    def evaluation_weight(self, p: Tensor, group: Group) -> Tensor:
        """The iterate itself, which the training weights run ahead of."""
        state = self.state.get(p)
        return p.add(state["velocity"], alpha=group["momentum"]) if state else p


class AveragedSGD(spared(torch.optim.ASGD)):  # type: ignore[misc]
    """torch's ASGD; evaluation uses the average that it keeps (Polyak & Juditsky 1992)."""

    def evaluation_weight(self, p: Tensor, group: Group) -> Tensor:
        """Mean of the weights since step t0; up to then the weights themselves."""
        state = self.state.get(p)
        return state["ax"] if state else p
