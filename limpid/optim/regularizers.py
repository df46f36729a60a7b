"""Penalties and limits on the weights, around the optimiser's step.

    before the step   g <- g + l2 w + 2 l2_sum w + l1 sign(w)      the gradient of l2/2 |w|^2 + l2_sum |w|^2 + l1 |w|_1
    after the step    w <- sign(w) max(|w| - lr l1, 0)              l1 with `proximal`: the weights reach exactly zero
                      w_u <- w_u min(1, max_norm / |w_u|)           w_u: the incoming weights of unit u

The penalty joins the gradient after it has been accumulated and clipped, once for each update, and the loss that is
reported stays the loss on the data. Without a penalty or limit nothing is attached to the optimiser.

Sources: Krogh & Hertz 1991 (L2); Tibshirani 1996 (L1); Zou & Hastie 2005 (both: elastic net); Parikh & Boyd 2014,
section 6.5.2 (soft thresholding); Srebro & Shraibman 2005 and Srivastava et al. 2014 (max-norm).
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from limpid.config import RegularizeConfig
from limpid.errors import ConfigError, nearest
from limpid.optim.param_groups import UNDECAYED


def attach_regularizers(config: RegularizeConfig, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Make the optimiser's steps obey the section's penalties and limits.

    Raises ConfigError when `on` names no parameter, or proximal is set without l1.
    """
    if config.proximal and not config.l1:
        raise ConfigError("regularize.proximal=true is the form of the L1 penalty: set regularize.l1, such as 1e-4.")
    l2 = config.l2 + 2.0 * config.l2_sum
    if not (config.l1 or l2 or config.max_norm):
        return
    moved = {id(p) for group in optimizer.param_groups for p in group["params"]}
    chosen = [p for p in chosen_parameters(model, config.on) if id(p) in moved]
    if l2 or (config.l1 and not config.proximal):
        penalty = Penalty(chosen, l1=0.0 if config.proximal else config.l1, l2=l2)
        optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: penalty.add_gradient())
    if config.l1 and config.proximal:
        threshold = SoftThreshold(chosen, config.l1)
        optimizer.register_step_post_hook(lambda optimizer, args, kwargs: threshold.apply(optimizer.param_groups))
    if config.max_norm:
        limit = MaxNorm(chosen, config.max_norm)
        optimizer.register_step_post_hook(lambda optimizer, args, kwargs: limit.apply())


def chosen_parameters(model: nn.Module, on: str) -> list[nn.Parameter]:
    """Parameters that a penalty is for.

    Args:
        model: whose parameters they are.
        on: "weights": matrices and kernels, without biases, normalisation weights and look-up tables; "all"; or a
            pattern of names such as "0.*" or "*.weight", without the leading "body.", where the name of a layer stands
            for all that it has.

    Raises ConfigError when that is none.
    """
    named = {name.removeprefix("body."): p for name, p in model.named_parameters()}
    if on == "all":
        chosen = list(named.values())
    elif on == "weights":
        spared = {id(p) for module in model.modules() if isinstance(module, UNDECAYED) for p in module.parameters()}
        chosen = [p for p in named.values() if p.ndim > 1 and id(p) not in spared]
    else:
        chosen = [p for name, p in named.items() if fnmatchcase(name, on) or name.startswith(f"{on}.")]
    if not chosen:
        close = nearest(on, named) or next(iter(named), "none")
        raise ConfigError(
            f"regularize.on={on} names no parameter of the model: use weights, all, or names such as {close} or *.bias."
        )
    return chosen


class Penalty:
    """The gradient l2 w + l1 sign(w) of l2/2 |w|^2 + l1 |w|_1, added to the gradients of the data."""

    def __init__(self, parameters: list[nn.Parameter], *, l1: float = 0.0, l2: float = 0.0) -> None:
        self.parameters = parameters
        self.l1 = l1
        self.l2 = l2

    @torch.no_grad()
    def add_gradient(self) -> None:
        """Add the penalty's gradient to every gradient that there is; parameters without one do not move."""
        weights: list[Tensor] = [p for p in self.parameters if p.grad is not None]
        if not weights:
            return
        gradients: list[Any] = [w.grad for w in weights]
        if self.l2:
            torch._foreach_add_(gradients, weights, alpha=self.l2)
        if self.l1:
            torch._foreach_add_(gradients, torch._foreach_sign(weights), alpha=self.l1)


class SoftThreshold:
    """w <- sign(w) max(|w| - lr l1, 0) after a step of size lr: the proximal step of l1 |w|_1.

    With an optimiser that scales its gradients (Adam) the threshold stays lr l1 for every weight.
    """

    def __init__(self, parameters: list[nn.Parameter], l1: float) -> None:
        self.chosen = {id(p) for p in parameters}
        self.l1 = l1

    @torch.no_grad()
    def apply(self, groups: list[dict[str, Any]]) -> None:
        """Shrink the chosen parameters of each group by its own rate."""
        for group in groups:
            weights: list[Tensor] = [p for p in group["params"] if id(p) in self.chosen]
            if weights:
                shrunk = torch._foreach_abs(weights)
                torch._foreach_sub_(shrunk, float(group["lr"]) * self.l1)
                torch._foreach_clamp_min_(shrunk, 0.0)
                torch._foreach_mul_(shrunk, torch._foreach_sign(weights))
                torch._foreach_copy_(weights, shrunk)


class MaxNorm:
    """|w_u| <= c for the incoming weights of every unit: a row of a matrix, the kernels of one output channel."""

    def __init__(self, parameters: list[nn.Parameter], most: float) -> None:
        self.parameters = [p for p in parameters if p.ndim > 1]
        self.most = most

    @torch.no_grad()
    def apply(self) -> None:
        """Scale units that are too long back to the norm `most`."""
        for w in self.parameters:
            norm = torch.linalg.vector_norm(w, dim=tuple(range(1, w.ndim)), keepdim=True)
            w.mul_((self.most / norm).clamp_(max=1.0))
