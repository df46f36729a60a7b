"""What comes out of the network beside what the loss expects: shapes, the range of the head, sums over the classes.

A softmax, sigmoid or ReLU at the end shows in the range that outputs keep whatever the weights of the last layer are:
they are replaced by large random ones of either sign, and the outputs still lie in [0, 1], or still add up to 1.

Shapes: B batch, K classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.probes.last_layer import last_layer
from limpid.probes.loss_form import in_units_of_outputs, wanted
from limpid.probes.other_weights import far_weights
from limpid.probes.subject import Subject

ROWS = 16  # enough to see a range; the probe takes four passes
MANY = 20  # distinct values of a target from which on it does not look like classes


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """What the loss wants, what it gets, and how the target looks; None for outputs that are not one tensor."""
    subject.network.eval()
    inputs, target = tuple(x[:ROWS] for x in subject.inputs), subject.target[:ROWS]
    outputs = subject.answer(*inputs)
    if not isinstance(outputs, Tensor) or not outputs.is_floating_point() or not outputs.numel():
        return None
    wants, head = wanted(subject), last_layer(subject, *inputs)
    seen = [outputs.float()]
    for sign in (1.0, -1.0) if head else ():
        with far_weights(head[1], sign):  # type: ignore[index]
            seen.append(subject.answer(*inputs).float())
    outputs = seen[0]
    return {
        "wants": wants,
        "shape": list(outputs.shape),
        "target_shape": list(target.shape),
        "low": min(s.min().item() for s in seen),
        "high": max(s.max().item() for s in seen),
        "min": outputs.min().item(),
        "max": outputs.max().item(),
        **_sums(seen, 1 if subject.objective is None and outputs.ndim > 2 else -1),
        **_target(subject, target),
        **_broadcast(subject, outputs, target),
        "head": head[0] if head else "",
        "n": len(target),
    }


def _sums(seen: list[Tensor], axis: int) -> dict[str, float]:
    """Largest distance from 1 of the sums over the classes, of the outputs and of their exponentials."""
    if seen[0].ndim < 2 or seen[0].shape[axis] < 2:
        return {}
    return {
        "sum_distance": max((s.sum(dim=axis) - 1).abs().max().item() for s in seen),
        "exp_sum_distance": max((s.double().exp().sum(dim=axis) - 1).abs().max().item() for s in seen),
    }


def _target(subject: Subject, target: Tensor) -> dict[str, Any]:
    """Range and distinct values of the target over all rows, and the share of it that the head cannot reach."""
    whole = subject.target
    values = whole.unique()
    facts: dict[str, Any] = {"target_integer": not whole.is_floating_point(), "target_distinct": len(values)}
    if not whole.numel():
        return facts
    facts |= {"target_min": values.min().item(), "target_max": values.max().item()}
    whole_values = bool((values == values.round()).all())
    facts["target_codes"] = whole_values and 2 <= len(values) <= MANY and (values.max() - values.min()).item() < MANY
    if whole.is_floating_point():
        held = in_units_of_outputs(subject, whole).float()
        facts |= {"held_min": held.min().item(), "held_max": held.max().item()}
    if target.is_floating_point() and target.ndim == 2 and target.shape[1] > 1:
        facts["target_sum_distance"] = (target.sum(dim=1) - 1).abs().max().item()
    return facts


def _broadcast(subject: Subject, outputs: Tensor, target: Tensor) -> dict[str, float]:
    """The loss as it is, and with the outputs in the shape of the target, where these differ by axes of length 1."""
    if outputs.shape == target.shape or outputs.numel() != target.numel() or not target.is_floating_point():
        return {}
    return {
        "loss": float(subject.loss(outputs, target)),
        "reshaped_loss": float(subject.loss(outputs.reshape(target.shape), target)),
    }
