"""What is wanted of many members at once: the loss of each, and the figures of each.

Shapes: M members, B samples of each, N samples of a split, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

from limpid.objectives.objective import Classification, Objective
from limpid.objectives.point_loss import CrossEntropy
from limpid.population.stack_figures import figures_of
from limpid.population.stack_slopes import Slopes, write_losses_out


class StackedObjective:
    """The objectives of the members; those that are wanted alike are computed together."""

    def __init__(self) -> None:
        self.each: list[Objective] = []
        self._alike: list[tuple[Objective, list[int]]] = []
        self._written: Callable[[Tensor, Tensor], Slopes] | None = None

    def resize(self, objectives: Sequence[Objective], keys: Sequence[Hashable]) -> None:
        """Take the objectives of the members, and what tells those that differ apart."""
        self.each = list(objectives)
        self._written = write_losses_out(objectives)
        rows: dict[Hashable, list[int]] = {}
        for row, key in enumerate(keys):
            rows.setdefault(key, []).append(row)
        self._alike = [(self.each[found[0]], found) for found in rows.values()]

    def losses(self, outputs_MBK: Tensor, target: Tensor) -> Tensor:
        """Mean loss of each member's batch, float32 (M,); `target` (M B, ...) lies member behind member."""
        targets = target.unflatten(0, outputs_MBK.shape[:2])
        if len(self._alike) == 1:
            return _losses(self._alike[0][0], outputs_MBK, targets)
        means: list[Tensor] = [outputs_MBK.new_zeros(())] * len(outputs_MBK)
        for objective, rows in self._alike:
            for row, mean in zip(rows, _losses(objective, outputs_MBK[rows], targets[rows]).unbind(), strict=True):
                means[row] = mean
        return torch.stack(means)

    def slopes(self, outputs_MBK: Tensor, target: Tensor) -> Slopes:
        """These losses, and the gradient of each by its outputs."""
        if self._written is not None:
            with torch.no_grad():
                return self._written(outputs_MBK, target.unflatten(0, outputs_MBK.shape[:2]))
        z_MBK = outputs_MBK.detach().requires_grad_()
        losses_M = self.losses(z_MBK, target)
        return losses_M.detach(), torch.autograd.grad(losses_M.sum(), z_MBK)[0]

    def keep(self, outputs_MBK: Tensor, target: Tensor) -> Tensor:
        """The outputs with the samples in front, so that batches join: (B, M, K)."""
        return outputs_MBK.transpose(0, 1)

    def kept_loss(self, kept_NMK: Tensor, target: Tensor) -> Tensor:
        """0: what the loop would take for the loss of one network. Those of the members are among the figures."""
        return kept_NMK.new_zeros(())

    def metrics(self, kept_NMK: Tensor, target: Tensor) -> dict[str, list[dict[str, float]]]:
        """{"members": the loss and every figure of each}."""
        kept_MNK = kept_NMK.transpose(0, 1).contiguous()
        members: list[dict[str, float]] = [{}] * len(self.each)
        for objective, rows in self._alike:
            alike_MNK = kept_MNK if len(rows) == len(kept_MNK) else kept_MNK[rows]
            loss_M = _losses(objective, alike_MNK, target.expand(len(rows), *target.shape)).tolist()
            for row, loss, figures in zip(rows, loss_M, figures_of(objective, alike_MNK, target), strict=True):
                members[row] = {"loss": loss, **figures}
        return {"members": members}


def _losses(objective: Objective, outputs_MBK: Tensor, targets: Tensor) -> Tensor:
    """(M,), by one objective."""
    if isinstance(objective, Classification) and isinstance(objective.point, CrossEntropy):
        # Torch's softmax over the innermost of few classes takes five times as long as over a dimension further out.
        return objective.losses(outputs_MBK.transpose(1, 2), targets).mean(dim=1)
    losses = objective.losses(outputs_MBK.flatten(0, 1), targets.flatten(0, 1))
    return losses.view(targets.shape[:2]).mean(dim=1)
