"""Which batches a loop trains on, and in what order, from a fingerprint of each of the first ones.

Shapes: B rows of a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

MOST = 512  # batches that are looked at; reading one waits for the device
LEAST_ROWS = 8  # of a batch whose classes are counted
FEW = 64  # numbers of the first input that make the fingerprint, with the target's


@dataclass
class BatchOrder:
    """The first batches: fingerprints, and counts of the classes of those that are labelled."""

    marks: list[int] = field(default_factory=list)
    counts: list[Tensor] = field(default_factory=list)

    def note(self, inputs: tuple[Any, ...], target: Tensor) -> None:
        """Take a batch down."""
        if len(self.marks) >= MOST:
            return
        parts = [x.detach().flatten()[:FEW] for x in (target, *inputs[:1]) if isinstance(x, Tensor)]
        self.marks.append(hash(tuple(tuple(part.tolist()) for part in parts)))
        if not target.is_floating_point() and target.ndim == 1 and len(target) >= LEAST_ROWS and int(target.min()) >= 0:
            self.counts.append(torch.bincount(target.cpu()))

    def row(self) -> dict[str, Any]:
        """{seen, distinct, low_entropy: share of batches with less than half of the entropy of all, repeats}."""
        return {
            "seen": len(self.marks),
            "distinct": len(set(self.marks)),
            "low_entropy": self._low_entropy(),
            "repeats": self._repeats(),
        }

    def _low_entropy(self) -> float | None:
        if len(self.counts) < 2:
            return None
        width = max(map(len, self.counts))
        counts = torch.stack([torch.nn.functional.pad(c, (0, width - len(c))) for c in self.counts]).double()
        whole = _entropy(counts.sum(dim=0))
        if whole <= 0:
            return None
        return sum(_entropy(row) < 0.5 * whole for row in counts) / len(counts)

    def _repeats(self) -> bool:
        """Whether the batches come round in the same order: two whole rounds alike, of at least two batches."""
        if len(self.marks) < 4 or self.marks[0] not in self.marks[1:]:
            return False
        period = self.marks.index(self.marks[0], 1)
        rounds = len(self.marks) // period
        return period > 1 and rounds > 1 and self.marks[:period] * rounds == self.marks[: period * rounds]


def _entropy(counts: Tensor) -> float:
    share = counts[counts > 0] / counts.sum()
    return -math.fsum((share * share.log()).tolist())
