"""Optimisers that train at one point and are judged at another (schedule-free, Nesterov's own form, averaged SGD)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class TrainsElsewhere(Protocol):
    """An optimiser whose iterate is not where the parameters stand while training."""

    param_groups: list[dict[str, Any]]

    def evaluation_weight(self, p: Tensor, group: dict[str, Any]) -> Tensor: ...


class EvaluationWeights:
    """The optimiser's own iterate in place of the training weights, by the protocol of a weight average.

    It keeps nothing: all is in the optimiser's state. Running statistics of batch normalisation stay those of the
    training weights.
    """

    def __init__(self, optimizer: TrainsElsewhere) -> None:
        self._optimizer = optimizer

    def update(self, model: nn.Module) -> None:
        """Nothing: the optimiser's step has done it."""

    @contextmanager
    def averaged(self, model: nn.Module) -> Iterator[nn.Module]:
        """The model with the optimiser's iterate inside the block, and with the training weights again after it."""
        groups = self._optimizer.param_groups
        with torch.no_grad():
            params = [p for group in groups for p in group["params"]]
            own = [p.detach().clone() for p in params]
            for group in groups:
                for p in group["params"]:
                    p.copy_(self._optimizer.evaluation_weight(p, group))
        try:
            yield model
        finally:
            with torch.no_grad():
                torch._foreach_copy_(params, own)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        assert not state, "the saved average belongs to another optimiser"
