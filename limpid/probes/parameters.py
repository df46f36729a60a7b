"""Which tensors the network has, which of them are to learn, and which of them the optimiser moves."""

from __future__ import annotations

from typing import Any

from torch import nn

from limpid.optim.param_groups import UNDECAYED
from limpid.probes.subject import Subject


def measure(subject: Subject) -> dict[str, Any]:
    """By name of the tensor: {numel, trainable, in_optimizer, layer, kind, rate}.

    `kind` is weight (a matrix or kernel), embedding, scale (of a normalisation, or another single row of numbers) or
    bias; `layer` the type of the module that holds it; `rate` the learning rate of its group over the highest one.
    `in_optimizer` is None where the optimiser is not known.
    """
    groups = [] if subject.optimizer is None else subject.optimizer.param_groups
    highest = max((float(group["lr"]) for group in groups if "lr" in group), default=0.0)
    rates = {id(p): float(group.get("lr", highest)) for group in groups for p in group["params"]}
    told: dict[str, Any] = {}
    seen: set[int] = set()
    for path, module in subject.network.named_modules():
        for name, p in module.named_parameters(prefix=path, recurse=False):
            if id(p) in seen:
                continue
            seen.add(id(p))
            told[name] = {
                "numel": p.numel(),
                "trainable": p.requires_grad,
                "in_optimizer": None if subject.optimizer is None else id(p) in rates,
                "layer": type(module).__name__,
                "kind": _kind(name, module, p.ndim),
                "rate": rates.get(id(p), 0.0) / highest if highest > 0 else None,
            }
    return told


def _kind(name: str, module: nn.Module, ndim: int) -> str:
    if name.rpartition(".")[2].startswith("bias"):
        return "bias"
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return "embedding"
    return "scale" if ndim < 2 or isinstance(module, UNDECAYED) else "weight"
