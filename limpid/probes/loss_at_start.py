"""P1: the loss of the network as it is, beside the loss of the best constant answer; and whether it is a sum.

Cross-entropy of K balanced classes: ln K; squared error of a standardised target: 1. Source: Karpathy 2019, "A Recipe
for Training Neural Networks". A mean does not change when every row is given twice; a sum is doubled.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.probes.learner import learns_by_gradient, undropped
from limpid.probes.loss_form import chance, wanted
from limpid.probes.subject import Subject

ROWS = 128


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """{loss, chance, equal, n, doubled}, where what is not known is None: `equal` is the loss of equal logits, and
    `doubled` is L(rows twice) / L(rows).

    Asked in training mode without dropout: the statistics of a fresh batch normalisation fit nothing. None for outputs
    that are not one tensor with a row for each sample, and for networks that are not fitted by gradients.
    """
    if not learns_by_gradient(subject) or len(subject.target) < 2:
        return None
    undropped(subject.network)
    inputs, target = tuple(x[:ROWS] for x in subject.inputs), subject.target[:ROWS]
    outputs = subject.answer(*inputs)
    if not isinstance(outputs, Tensor) or len(outputs) != len(target):
        return None
    loss = float(subject.loss(outputs.float(), target))
    twice = float(subject.loss(torch.cat((outputs, outputs)).float(), torch.cat((target, target))))
    doubled = twice / loss if loss else None
    logits = wanted(subject) in ("logits", "logit")
    return {
        "loss": loss,
        "chance": chance(subject, target, outputs.float()),
        "equal": float(subject.loss(torch.zeros_like(outputs).float(), target)) if logits else None,
        "n": len(target),
        "doubled": doubled,
    }
