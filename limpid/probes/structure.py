"""The order in which layers are called, and what lies between them: for rules that read a network like a drawing.

One forward pass in evaluation mode. Two layers follow each other directly when the second is given the very numbers
that the first one gave; an activation called as a function between them makes other numbers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from limpid.probes.subject import Subject

ROWS = 2
MOST_LAYERS = 400


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """{layers: [{name, type, after, shape, ...}], unused: names, again: names called twice}."""
    subject.network.eval()
    leaves = {module: name for name, module in subject.network.named_modules() if not [*module.children()] and name}
    layers: list[dict[str, Any]] = []
    made: dict[int, tuple[Tensor, int, str]] = {}  # by storage: the tensor, its version, who made it
    again: list[str] = []

    def note(module: nn.Module, args: Any, answer: Any) -> None:
        name = leaves[module]
        given = next((a for a in args if isinstance(a, Tensor)), None)
        maker = None if given is None else made.get(given.untyped_storage().data_ptr())
        direct = maker is not None and given is not None and maker[1] == given._version
        if any(layer["name"] == name for layer in layers):
            again.append(name)
        layers.append({"name": name, "after": maker[2] if direct and maker else "", **_facts(module, given)})
        if isinstance(answer, Tensor) and answer is not given:  # an identity makes nothing
            made[answer.untyped_storage().data_ptr()] = (answer, answer._version, name)

    hooks = [module.register_forward_hook(note) for module in leaves]
    try:
        subject.answer(*(x[:ROWS] for x in subject.inputs))
    finally:
        for hook in hooks:
            hook.remove()
    called = {layer["name"] for layer in layers}
    unused = [n for m, n in leaves.items() if n not in called and next(m.parameters(), None) is not None]
    return {
        "layers": layers[:MOST_LAYERS],
        "unused": unused,
        "again": sorted(set(again)),
        "decayed": _decayed(subject),
    }


def _facts(module: nn.Module, given: Tensor | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"type": type(module).__name__}
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor):
        facts |= {"bias": getattr(module, "bias", None) is not None, "ndim": weight.ndim}
        facts["constant"] = weight.numel() > 1 and bool((weight == weight.flatten()[0]).all())
    if isinstance(module, nn.modules.dropout._DropoutNd):
        facts["p"] = module.p
    if given is not None:
        facts["shape"] = list(given.shape[1:])
    return facts


def _decayed(subject: Subject) -> list[str]:
    """Names of vectors (biases, gains of a normalisation) that the optimiser's weight decay pulls at."""
    if subject.optimizer is None:
        return []
    decayed = {id(p) for group in subject.optimizer.param_groups if group.get("weight_decay") for p in group["params"]}
    return [name for name, p in subject.network.named_parameters() if id(p) in decayed and p.ndim == 1]
