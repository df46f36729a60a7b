"""P5: the same rows in training and in evaluation mode; and twice in evaluation mode, which must agree."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from limpid.probes.subject import Subject

ROWS = 32
NORM = nn.modules.batchnorm._NormBase
DROPOUT = nn.modules.dropout._DropoutNd


def sensitive(network: nn.Module) -> dict[str, str]:
    """Layers that act differently in the two modes, by name: "norm" or "dropout"."""
    found = {}
    for name, module in network.named_modules():
        if isinstance(module, NORM) and module.track_running_stats:
            found[name] = "norm"
        elif (isinstance(module, DROPOUT) and module.p > 0) or (isinstance(module, nn.RNNBase) and module.dropout > 0):
            found[name] = "dropout"
    return found


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """{train, eval: losses; repeat: largest change between two evaluation passes over the outputs' spread; layers}."""
    inputs, target = tuple(x[:ROWS] for x in subject.inputs), subject.target[:ROWS]
    if len(target) < 2:
        return None
    subject.network.eval()
    first, second = subject.answer(*inputs), subject.answer(*inputs)
    if not isinstance(first, Tensor):
        return None
    spread = first.float().std().item()
    moved = (first.float() - second.float()).abs().max().item()
    loss = float(subject.loss(first, target))
    subject.network.train()
    return {
        "train": float(subject.loss(subject.answer(*inputs), target)),
        "eval": loss,
        "repeat": moved / spread if spread > 0 else moved,
        "layers": sensitive(subject.network),
        "n": len(target),
    }
