"""P1: the loss of the network as it is, beside the loss of the best constant answer.

Cross-entropy of K balanced classes: ln K; squared error of a standardised target: 1. Source: Karpathy 2019, "A Recipe
for Training Neural Networks".
"""

from __future__ import annotations

from typing import Any

import torch

from limpid.probes.subject import Subject


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """{loss, chance, n}; None where the task's constant answer is not known (a user's own loss)."""
    if subject.objective is None:
        return None
    subject.network.eval()
    outputs = subject.answer().float()
    loss = subject.objective.loss(outputs, subject.target).item()
    return {"loss": loss, "chance": subject.objective.chance(subject.target), "n": len(subject.target)}
