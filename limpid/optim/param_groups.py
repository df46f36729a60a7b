"""Which parameters decay.

A penalty on the weights keeps them small; biases, normalisation weights and category vectors have no reason to be.
"""

from __future__ import annotations

from typing import Any

from torch import nn

UNDECAYED = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm)  # a LayerNorm's weight may have any dimension


def param_groups(model: nn.Module, weight_decay: float, *, decay_all: bool = False) -> list[dict[str, Any]]:
    """Trainable parameters as groups for a torch optimiser, each parameter in exactly one.

    Matrices and kernels decay; parameters of one dimension or none (biases, normalisation, flat look-up tables), layer
    norms and embeddings do not, unless `decay_all`. Without decay there is one group, as each costs a launch.
    """
    spared = {id(p) for module in model.modules() if isinstance(module, UNDECAYED) for p in module.parameters()}
    trainable = [p for p in model.parameters() if p.requires_grad]
    if weight_decay == 0.0 or decay_all:
        return [{"params": trainable, "weight_decay": weight_decay}]
    decayed = [p for p in trainable if p.ndim > 1 and id(p) not in spared]
    rest = [p for p in trainable if p.ndim <= 1 or id(p) in spared]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def mark_hidden(groups: list[dict[str, Any]], model: nn.Module) -> list[dict[str, Any]]:
    """The same groups, divided by `hidden`: matrices and kernels that map one hidden space to another.

    Vectors, layer norms, embeddings and the weight of the last dense layer are not hidden.
    """
    outer = {id(p) for module in model.modules() if isinstance(module, UNDECAYED) for p in module.parameters()}
    dense = [module for module in model.modules() if isinstance(module, nn.Linear)]
    outer |= {id(dense[-1].weight)} if dense else set()
    divided = []
    for group in groups:
        hidden = [p for p in group["params"] if p.ndim > 1 and id(p) not in outer]
        rest = [p for p in group["params"] if p.ndim <= 1 or id(p) in outer]
        divided += [{**group, "params": hidden, "hidden": True}, {**group, "params": rest, "hidden": False}]
    return [group for group in divided if group["params"]]
