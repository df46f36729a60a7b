"""How far the signal gets through the fresh network, and the gradient back; and whether units are copies of others.

For every layer and activation function, in the order of the forward pass: what training/listening.py says of its
values, the root mean square of the loss's gradient with respect to them, and for layers of weights the share of their
units that have a twin. Units are twins where weights and gradients agree: nothing will ever tell them apart.

Sources: Glorot & Bengio 2010 (the profiles); Goodfellow et al. 2016, section 8.4 (symmetry).

Shapes: U units, D incoming weights of a unit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from limpid.probes.learner import learns_by_gradient
from limpid.probes.modes import DROPOUT
from limpid.probes.subject import Subject
from limpid.training.listening import Listener, listening, rounded

ROWS = 64
MOST_UNITS, MOST_INPUTS = 256, 1024  # of a layer that are compared, the first ones
SAME = 1e-3  # distance of two twins over their length; equal sums in another order differ by 1e-5, chance by 1e-1


def measure(subject: Subject) -> dict[str, Any] | None:
    """{layers: {place: {kind, units, mean, std, ..., gradient, twins}}, n}; None where there are no two rows.

    In training mode, as a fresh network has no running statistics worth the name, but without dropout.
    """
    network, learns = subject.network, learns_by_gradient(subject)
    inputs, target = tuple(x[:ROWS] for x in subject.inputs), subject.target[:ROWS]
    if len(target) < 2:
        return None
    network.train()
    for module in network.modules():
        if isinstance(module, DROPOUT):
            module.eval()
    for p in network.parameters():
        p.grad = None
    classes = target if target.ndim == 1 and not target.is_floating_point() else None
    listener = Listener(network, len(target), classes, gradients=learns)
    with torch.set_grad_enabled(learns), listening(network, listener):
        outputs = subject.answer(*inputs)
        loss = subject.loss(getattr(outputs, "main", outputs), target) if learns else None
    if loss is not None and loss.requires_grad:
        loss.backward()
    layers = listener.read()
    for name, module in network.named_modules():
        if name in layers and isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            share = _twins(module.weight, module.bias)
            if share is not None:
                layers[name]["twins"] = rounded(share.item())
    return {"layers": layers, "n": len(target)}


@torch.no_grad()
def _twins(weight: nn.Parameter, bias: nn.Parameter | None) -> Tensor | None:
    """Share of units with a twin; None where the layer does not learn, or has one unit."""
    if weight.grad is None or len(weight) < 2:
        return None
    same_UU = ~torch.eye(min(len(weight), MOST_UNITS), dtype=torch.bool, device=weight.device)
    for whole, extra in ((weight, bias), (weight.grad, None if bias is None else bias.grad)):
        rows_UD = whole[:MOST_UNITS].flatten(1)[:, :MOST_INPUTS].float()
        if extra is not None:
            rows_UD = torch.cat((rows_UD, extra[:MOST_UNITS, None].float()), dim=1)
        length_U = rows_UD.norm(dim=1)
        same_UU &= torch.cdist(rows_UD, rows_UD) <= SAME * torch.maximum(length_U[:, None], length_U)
    return same_UU.any(dim=1).float().mean()
