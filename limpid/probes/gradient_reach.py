"""Does every parameter that is to learn get a gradient? One forward and backward pass in training mode."""

from __future__ import annotations

from typing import Any

import torch

from limpid.probes.learner import learns_by_gradient
from limpid.probes.subject import Subject

ROWS = 16


def measure(subject: Subject) -> dict[str, Any] | None:
    """{norms: L2 norm of each trainable tensor's gradient, None where none arrived; n}.

    None for networks that learn by another rule than the gradient's, and where the loss itself has no gradient.
    """
    if not learns_by_gradient(subject) or len(subject.target) < 2:
        return None
    inputs, target = tuple(x[:ROWS] for x in subject.inputs), subject.target[:ROWS]
    named = {name: p for name, p in subject.network.named_parameters() if p.requires_grad}
    subject.network.train()
    with torch.enable_grad():
        loss = subject.loss(subject.answer(*inputs), target)
        if not loss.requires_grad:
            return {"norms": dict.fromkeys(named), "n": len(target)}
        gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    norms = {
        name: None if gradient is None else gradient.float().norm().item()
        for (name, gradient) in zip(named, gradients, strict=True)
    }
    return {"norms": norms, "n": len(target)}
