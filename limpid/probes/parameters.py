"""Which tensors the network has, which of them are to learn, and which of them the optimiser moves."""

from __future__ import annotations

from typing import Any

from torch import nn

from limpid.optim.param_groups import UNDECAYED
from limpid.probes.subject import Subject

LEAST_WEIGHTS = 48  # of a tensor whose spread is looked at; its standard error is then a twentieth


def measure(subject: Subject) -> dict[str, Any]:
    """By name of the tensor: {numel, trainable, in_optimizer, layer, kind, rate, random}.

    `kind` is weight (a matrix or kernel), embedding, scale (of a normalisation, or another single row of numbers) or
    bias; `layer` the type of the module that holds it; `rate` the learning rate of its group over the highest one.
    `random`, of weights that do not learn: whether they look as torch draws them, uniform up to 1 / sqrt(fan in).
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
                "random": not p.requires_grad and _looks_drawn(module, p),
                "rate": rates.get(id(p), 0.0) / highest if highest > 0 else None,
            }
    return told


def _kind(name: str, module: nn.Module, ndim: int) -> str:
    if name.rpartition(".")[2].startswith("bias"):
        return "bias"
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return "embedding"
    return "scale" if ndim < 2 or isinstance(module, UNDECAYED) else "weight"


def _looks_drawn(module: nn.Module, p: nn.Parameter) -> bool:
    """Whether a weight is spread evenly between -b and b, b = 1 / sqrt(fan in); trained weights leave these bounds."""
    if not isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d) or p.ndim < 2 or p.numel() < LEAST_WEIGHTS:
        return False
    bound = (p.numel() / len(p)) ** -0.5
    largest, spread = p.detach().abs().max().item(), p.detach().std().item()
    return 0.9 * bound < largest < 1.0001 * bound and abs(spread * 3**0.5 / bound - 1) < 0.15
