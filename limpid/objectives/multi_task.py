"""Several tasks from one network: a weighted sum of the losses of its heads.

    L = sum_h w_h L_h(outputs_h, target_h)

Shapes: B samples; outputs (B, sum of the heads' outputs); targets (B, sum of the heads' target columns) float.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from limpid.objectives.intervals import Interval
from limpid.objectives.objective import Classification, Objective


@dataclass(frozen=True)
class Head:
    """One task: its objective, its weight in the sum, and its columns of the outputs and of the target."""

    name: str
    objective: Objective
    weight: float
    outputs: slice
    target: slice

    def of_outputs(self, outputs: Tensor) -> Tensor:
        return outputs[:, self.outputs]

    def of_target(self, target: Tensor) -> Tensor:
        """(B, columns); class numbers as int64 (B,)."""
        part = target[:, self.target]
        return part[:, 0].long() if isinstance(self.objective, Classification) else part


class MultiTask(Objective):
    """The heads together. The first one is the main task: its score is the headline figure."""

    def __init__(self, heads: Sequence[Head]) -> None:
        self.heads = tuple(heads)
        self.score = f"{heads[0].name}_{heads[0].objective.score}"
        self.prior = torch.cat([head.objective.prior for head in heads])

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        parts = [h.weight * h.objective.loss(h.of_outputs(outputs), h.of_target(target)) for h in self.heads]
        return torch.stack(parts).sum()

    def losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        parts = [h.weight * h.objective.losses(h.of_outputs(outputs), h.of_target(target)) for h in self.heads]
        return torch.stack(parts).sum(dim=0)

    def predict(self, outputs: Tensor) -> Tensor:
        """The heads' decisions side by side, float32 (B, sum of their columns)."""
        decisions = [head.objective.predict(head.of_outputs(outputs)).float() for head in self.heads]
        return torch.cat([d if d.ndim == 2 else d[:, None] for d in decisions], dim=1)

    def probabilities(self, outputs: Tensor) -> Tensor | None:
        """Those of the heads that have any, side by side; None if no head has."""
        shares = [head.objective.probabilities(head.of_outputs(outputs)) for head in self.heads]
        known = [share for share in shares if share is not None]
        return torch.cat(known, dim=1) if known else None

    def metrics(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """Each head's figures under its name, such as age_rmse."""
        return {
            f"{head.name}_{figure}": value
            for head in self.heads
            for figure, value in head.objective.metrics(head.of_outputs(outputs), head.of_target(target)).items()
        }

    def interval(self, kept: Tensor, target: Tensor) -> Interval:
        """Of the first head's score."""
        first = self.heads[0]
        return first.objective.interval(first.of_outputs(kept), first.of_target(target))
