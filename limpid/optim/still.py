"""The optimiser of models that find their weights by themselves: it moves nothing.

A step that is not gradient descent still has a learning rate under a schedule, and may have to keep sums over the
batches of an epoch. Both live in this optimiser's parameter group, so that checkpoints hold them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch

from limpid.optim.rule import spare_the_compiler


@final
class Still(torch.optim.Optimizer):
    """w <- w. `memory` of its groups is for the model's own step: numbers and tensors by name, saved and restored."""

    def __init__(self, params: Any, *, lr: float) -> None:
        spare_the_compiler()
        super().__init__(params, {"lr": lr})
        for group in self.param_groups:
            group["memory"] = {}

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Leave every weight as it is."""
        assert closure is None, "there is no loss to evaluate"


def build_still(groups: list[dict[str, Any]], *, lr: float, fused: bool) -> torch.optim.Optimizer:
    """An optimiser that leaves the weights alone; `fused` means nothing to it."""
    return Still(groups, lr=lr)
