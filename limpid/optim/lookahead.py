"""Lookahead: slow weights that follow the fast ones of any optimiser.

    every k steps:  slow <- slow + alpha (fast - slow);  fast <- slow

Zhang et al. 2019 (arXiv 1907.08610).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Lookahead:
    """Hooks around an optimiser's step that keep the slow weights in its state, where a checkpoint finds them."""

    def __init__(self, optimizer: torch.optim.Optimizer, every: int, alpha: float) -> None:
        assert every >= 1
        self.every, self.alpha = every, alpha
        self._begun: dict[Tensor, Tensor] = {}  # first weights of parameters whose state the optimiser has yet to make
        optimizer.register_step_pre_hook(self._before)
        optimizer.register_step_post_hook(self._after)

    @torch.no_grad()
    def _before(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        for p in _moving(optimizer):
            if "slow" not in optimizer.state.get(p, ()):
                self._begun[p] = p.detach().clone(memory_format=torch.preserve_format)

    @torch.no_grad()
    def _after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        due = []
        for p in _moving(optimizer):
            state = optimizer.state[p]
            if p in self._begun:
                state.update(slow=self._begun.pop(p), fast_steps=0)
            state["fast_steps"] += 1
            if state["fast_steps"] == self.every:
                state["fast_steps"] = 0
                due.append(p)
        if due:
            slow = [optimizer.state[p]["slow"] for p in due]
            torch._foreach_lerp_(slow, due, self.alpha)
            torch._foreach_copy_(due, slow)


def _moving(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
