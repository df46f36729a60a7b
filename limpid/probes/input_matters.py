"""P3: does the network do better with its own inputs than with those of other rows, or with zeros?

    gain = mean(loss with other rows' inputs) - mean(loss with its own)

with the standard error of the paired differences.

Asked of the trained network, on rows that it was trained on. Source: Karpathy 2019, "input-independent baseline".
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from limpid.probes.subject import Subject

GROUPS = 16  # parts of the rows whose losses are compared, for the standard error


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """{own, permuted, zero: losses; gain, error, n}; None for too few rows."""
    subject.network.eval()
    target = subject.target
    if len(target) < 2 * GROUPS or not isinstance(subject.answer(), Tensor):
        return None
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(target), generator=generator).to(target.device)
    others = tuple(x[order] for x in subject.inputs)
    nothing = (torch.zeros_like(subject.inputs[0]), *subject.inputs[1:])
    own = _losses(subject, subject.inputs)
    permuted, zero = _losses(subject, others), _losses(subject, nothing)
    gains = [b - a for a, b in zip(own, permuted, strict=True)]
    mean = sum(gains) / len(gains)
    error = math.sqrt(sum((g - mean) ** 2 for g in gains) / (len(gains) - 1) / len(gains))
    return {
        "own": sum(own) / len(own),
        "permuted": sum(permuted) / len(permuted),
        "zero": sum(zero) / len(zero),
        "gain": mean,
        "error": error,
        "n": len(target),
    }


def _losses(subject: Subject, inputs: tuple[Tensor, ...]) -> list[float]:
    """Mean losses of GROUPS parts of the rows."""
    outputs = subject.answer(*inputs)
    parts = zip(outputs.tensor_split(GROUPS), subject.target.tensor_split(GROUPS), strict=True)
    return [float(subject.loss(part, target)) for part, target in parts]
