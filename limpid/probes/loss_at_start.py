"""P1: the loss of the network as it is, beside the loss of the best constant answer; and whether it is a sum.

Cross-entropy of K balanced classes: ln K; squared error of a standardised target: 1. Source: Karpathy 2019, "A Recipe
for Training Neural Networks". A mean does not change when every row is given twice; a sum is doubled.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.probes.loss_form import chance, wanted
from limpid.probes.subject import Subject


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """{loss, chance, equal, n, doubled}, where what is not known is None: `equal` is the loss of equal logits, and
    `doubled` is L(rows twice) / L(rows).

    None for outputs that are not one tensor with a row for each sample.
    """
    subject.network.eval()
    outputs, target = subject.answer(), subject.target
    if not isinstance(outputs, Tensor) or len(outputs) != len(target):
        return None
    loss = float(subject.loss(outputs.float(), target))
    twice = float(subject.loss(torch.cat((outputs, outputs)).float(), torch.cat((target, target))))
    doubled = twice / loss if loss else None
    logits = wanted(subject) in ("logits", "logit")
    return {
        "loss": loss,
        "chance": chance(subject, outputs.float()),
        "equal": float(subject.loss(torch.zeros_like(outputs).float(), target)) if logits else None,
        "n": len(target),
        "doubled": doubled,
    }
