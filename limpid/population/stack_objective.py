"""What is wanted of many members at once: the loss of each, and the figures of each.

Shapes: M members, B samples of each, N samples of a split, K outputs.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from limpid.objectives.objective import Objective


class StackedObjective:
    """The objectives of the members; those that are wanted alike are computed together."""

    def __init__(self) -> None:
        self.each: list[Objective] = []
        self._alike: list[tuple[Objective, list[int]]] = []

    def resize(self, objectives: Sequence[Objective], keys: Sequence[Hashable]) -> None:
        """Take the objectives of the members, and what tells those that differ apart."""
        self.each = list(objectives)
        rows: dict[Hashable, list[int]] = {}
        for row, key in enumerate(keys):
            rows.setdefault(key, []).append(row)
        self._alike = [(self.each[found[0]], found) for found in rows.values()]

    def losses(self, outputs_MBK: Tensor, target: Tensor) -> Tensor:
        """Mean loss of each member's batch, float32 (M,); `target` (M B, ...) lies member behind member."""
        num_members, batch = outputs_MBK.shape[:2]
        if len(self._alike) == 1:
            return self._alike[0][0].losses(outputs_MBK.flatten(0, 1), target).view(num_members, batch).mean(dim=1)
        means: list[Tensor] = [outputs_MBK.new_zeros(())] * num_members
        targets = target.unflatten(0, (num_members, batch))
        for objective, rows in self._alike:
            losses = objective.losses(outputs_MBK[rows].flatten(0, 1), targets[rows].flatten(0, 1))
            for row, mean in zip(rows, losses.view(len(rows), batch).mean(dim=1).unbind(), strict=True):
                means[row] = mean
        return torch.stack(means)

    def keep(self, outputs_MBK: Tensor, target: Tensor) -> Tensor:
        """The outputs with the samples in front, so that batches join: (B, M, K)."""
        return outputs_MBK.transpose(0, 1)

    def kept_loss(self, kept_NMK: Tensor, target: Tensor) -> Tensor:
        """0: what the loop would take for the loss of one network. Those of the members are among the figures."""
        return kept_NMK.new_zeros(())

    def metrics(self, kept_NMK: Tensor, target: Tensor) -> dict[str, list[dict[str, float]]]:
        """{"members": the loss and every figure of each}."""
        members = []
        for objective, kept_NK in zip(self.each, kept_NMK.transpose(0, 1).contiguous(), strict=True):
            loss = objective.kept_loss(kept_NK, target).item()
            members.append({"loss": loss, **objective.metrics(kept_NK, target)})
        return {"members": members}
