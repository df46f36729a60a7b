"""How far the signal gets through the fresh network, and the gradient back; and whether units are copies of others.

For every layer and activation function, in the order of the forward pass: what training/listening.py says of its
values, the root mean square of the loss's gradient with respect to them, and for layers of weights the share of their
units that have a twin. Units are twins where their weights agree and their gradients agree too, or vanish: nothing will
ever tell them apart.

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

ROWS, ROWS_OF_IMAGES = 64, 32  # the latter through convolutions, whose units answer at every pixel
MOST_UNITS, MOST_INPUTS = 128, 64  # of a layer that are compared: the first units, evenly spaced inputs
SAME = 1e-3  # distance of two twins over their length; equal sums in another order differ by 1e-5, chance by 1e-1
NOTHING = 1e-6  # length of a gradient over that of the weights; what is left where sums cancel


def measure(subject: Subject) -> dict[str, Any] | None:
    """{layers: {place: {kind, units, mean, std, ..., gradient, twins}}, n}; None where there are no two rows.

    In training mode, as a fresh network has no running statistics worth the name, but without dropout.
    """
    network, learns = subject.network, learns_by_gradient(subject)
    convolves = any(isinstance(module, nn.modules.conv._ConvNd) for module in network.modules())
    rows = ROWS_OF_IMAGES if convolves else ROWS
    inputs, target = [x[:rows].clone() for x in subject.inputs], subject.target[:rows]
    if len(target) < 2:
        return None
    network.train()
    for module in network.modules():
        if isinstance(module, DROPOUT):
            module.eval()
    for p in network.parameters():
        p.grad = None
    if learns and inputs[0].is_floating_point():
        inputs[0].requires_grad_()  # so that the gradient of a sequence is seen at each of its places
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
def _twins(weight: Tensor, bias: Tensor | None) -> Tensor | None:
    """Share of units with a twin; None where the layer does not learn, or has one unit."""
    if weight.grad is None or len(weight) < 2:
        return None
    w_UD, w_U = _rows(weight, bias)
    g_UD, g_U = _rows(weight.grad, None if bias is None else bias.grad)
    longest_UU = torch.maximum(g_U[:, None], g_U)
    same_UU = _distances(w_UD) <= SAME * torch.maximum(w_U[:, None], w_U)
    same_UU &= (_distances(g_UD) <= SAME * longest_UU) | (longest_UU < NOTHING * w_U)
    same_UU.fill_diagonal_(False)
    return same_UU.any(dim=1).float().mean()


def _rows(weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """What comes into each unit, bias included, and its length."""
    rows_UD = weight[:MOST_UNITS].flatten(1)
    rows_UD = rows_UD[:, :: -(-rows_UD.shape[1] // MOST_INPUTS)].float()
    if bias is not None:
        rows_UD = torch.cat((rows_UD, bias[:MOST_UNITS, None].float()), dim=1)
    return rows_UD, rows_UD.norm(dim=1)


def _distances(rows_UD: Tensor) -> Tensor:
    """Between all units, exact for equal ones: not by way of products, which leave 1e-3 of the length."""
    return torch.cdist(rows_UD, rows_UD, compute_mode="donot_use_mm_for_euclid_dist")
