"""What every update rule written here shares: which parameters move, their state, and weight decay.

A rule says in `start` what it keeps for a parameter and in `move` how all parameters of a group move together; the
lists of tensors go through torch's foreach kernels. Only parameters with a gradient move, decay or get a state.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Group = dict[str, Any]
Tensors = list[Tensor]


class Rule(torch.optim.Optimizer):
    """An optimiser that moves the parameters of one group at a time by `move`."""

    def __init__(self, groups: list[Group], **defaults: Any) -> None:
        spare_the_compiler()
        super().__init__(groups, {"weight_decay": 0.0, **defaults})

    def start(self, p: Tensor, group: Group) -> dict[str, Any]:
        """State of a parameter before its first update: tensors of its shape, or plain numbers."""
        raise NotImplementedError

    def move(self, group: Group, params: Tensors, grads: Tensors, kept: dict[str, list[Any]]) -> None:
        """Update `params` in place; `kept` holds the state by key, one entry to a parameter. `grads` is read only."""
        raise NotImplementedError

    def decay(self, group: Group, params: Tensors, grads: Tensors) -> Tensors:
        """The gradients with weight decay in them: g + lambda w. A rule whose decay stands apart overrides this."""
        return list(torch._foreach_add(grads, params, alpha=group["weight_decay"]))

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        assert closure is None, "the loss is computed before the step"
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            states = [self.state[p] for p in params]
            for p, state in zip(params, states, strict=True):
                if not state:
                    state.update(self.start(p, group))
                if "step" in state:
                    state["step"] += 1
            grads = [p.grad for p in params]
            if group["weight_decay"]:
                grads = self.decay(group, params, grads)
            self.move(group, params, grads, {key: [state[key] for state in states] for key in states[0]})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients."""
        drop_gradients(self.param_groups)


def shrink(group: Group, params: Tensors) -> None:
    """Weight decay apart from the gradient (Loshchilov & Hutter 2019): w <- (1 - lr lambda) w."""
    torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])


def zeros(p: Tensor) -> Tensor:
    """Zeros in the shape and memory layout of a parameter."""
    return torch.zeros_like(p, memory_format=torch.preserve_format)


def drop_gradients(groups: list[Group]) -> None:
    """Forget the gradients of all parameters."""
    for group in groups:
        for p in group["params"]:
            p.grad = None


def spare_the_compiler() -> None:
    """Let torch's optimiser base class run as it is written, without importing the compiler to be shielded from it.

    Nothing is changed once the compiler is loaded; then the shield costs nothing.
    """
    if "torch._dynamo" in sys.modules:
        return
    base = torch.optim.Optimizer
    for method in (base.add_param_group, base.state_dict, base.zero_grad):
        plain = getattr(method, "__wrapped__", None)
        if plain is not None and not hasattr(plain, "__dynamo_disable"):
            plain.__dynamo_disable = plain


@functools.cache
def spared(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """The same optimiser of torch, whose step does not import the compiler: a second less in every new process.

    torch wraps `step` to switch gradients and to mark a break for the compiler; here only the first is left.
    """
    spare_the_compiler()
    return type(kind.__name__, (kind,), {"step": torch.no_grad()(inspect.unwrap(kind.step))})
