"""SGD and Adam on torch's fused kernels, with nothing around them.

The arithmetic is torch's (`torch.optim.SGD` and `Adam` with fused=True give the same bits). What is left out is the
hooks, the sorting by device and dtype, and the import of torch's compiler, which its optimisers pull in on first use:
60 microseconds of every step and about a second of every process that trains a small network.

For one device and one dtype, dense gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, final

import torch
from torch import Tensor

from limpid.optim.rule import drop_gradients, spare_the_compiler


@final
class FusedSGD(torch.optim.Optimizer):
    """v <- mu v + g + lambda w;  w <- w - lr v, or with Nesterov's look-ahead w <- w - lr (g + lambda w + mu v)."""

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        nesterov: bool,
        dampening: float = 0.0,
    ) -> None:
        spare_the_compiler()
        options = {"momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, {"lr": lr, **options})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        assert closure is None, "the loss is computed before the step"
        for group in self.param_groups:
            for fresh in (False, True):  # a parameter's first gradient becomes its momentum
                params = [p for p in group["params"] if p.grad is not None and self._is_fresh(p) is fresh]
                if not params:
                    continue
                if fresh and group["momentum"]:
                    for p in params:
                        self.state[p]["momentum_buffer"] = torch.empty_like(p)
                torch._fused_sgd_(
                    params,
                    [p.grad for p in params],  # type: ignore[misc]
                    [self.state[p]["momentum_buffer"] for p in params] if group["momentum"] else [],
                    weight_decay=group["weight_decay"],
                    momentum=group["momentum"],
                    lr=group["lr"],
                    dampening=group["dampening"],
                    nesterov=group["nesterov"],
                    maximize=False,
                    is_first_step=fresh,
                )
                if not group["momentum"]:
                    break  # nothing is kept, so all parameters are fresh for ever and have been moved at once

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients."""
        drop_gradients(self.param_groups)

    def _is_fresh(self, p: Tensor) -> bool:
        return "momentum_buffer" not in self.state.get(p, ())


@final
class FusedAdam(torch.optim.Optimizer):
    """m, s <- moving averages of g, g^2;  w <- w - lr m^ / (sqrt(s^) + eps).

    Weight decay is part of g (Adam), or with `decoupled` shrinks w apart from it (AdamW).
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        decoupled: bool,
    ) -> None:
        spare_the_compiler()
        self._kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
        # "fused" tells whoever restores a state that step counts belong on the device.
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "fused": True})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        assert closure is None, "the loss is computed before the step"
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            states = [self._state_of(p) for p in params]
            steps = [state["step"] for state in states]
            torch._foreach_add_(steps, 1)
            beta1, beta2 = group["betas"]
            self._kernel(
                params,
                [p.grad for p in params],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                steps,
                lr=group["lr"],
                beta1=beta1,
                beta2=beta2,
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients."""
        drop_gradients(self.param_groups)

    def _state_of(self, p: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[p]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=p.device)
            state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)
        return state
