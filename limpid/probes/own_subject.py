"""A subject for probes made of what was seen of a user's own loop.

Shapes: B batch, T places, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from limpid.probes.subject import Subject
from limpid.training.own_loop import Seen

PROBE_ROWS, PICTURE_ROWS = 256, 64  # of the first batch that are looked at again; of pictures and sequences


class OwnLoss:
    """A loop's loss as probes call it: with the answer of the network in the shape that the loop gave it."""

    def __init__(self, criterion: Callable[..., Any], seen: Seen) -> None:
        self.criterion = criterion
        self.extra = seen.extra
        self.tail = None if seen.how != "reshaped" else seen.given.shape[1:]
        self.flat = seen.how == "reshaped" and len(seen.target) != len(seen.inputs[0])

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        if self.tail is not None:
            outputs = outputs.reshape(-1, *self.tail)
        loss = self.criterion(outputs, target.flatten() if self.flat else target, **self.extra)
        return loss if loss.ndim == 0 else loss.mean()


def own_subject(seen: Seen, criterion: Callable[..., Any], optimizer: torch.optim.Optimizer) -> Subject:
    """What probes look at: the call of the network that gave the loss its outputs, or those outputs alone."""
    network, inputs, target = seen.network, seen.inputs, seen.target
    if seen.how == "changed":
        network, inputs = nn.Identity(), (seen.given,)
    elif len(target) != len(inputs[0]) and target.numel() % len(inputs[0]) == 0:
        target = target.reshape(len(inputs[0]), -1)
    rows = PROBE_ROWS if inputs[0].ndim == 2 and inputs[0].is_floating_point() else PICTURE_ROWS
    if all(len(x) == len(target) for x in inputs if x.ndim):
        inputs, target = tuple(x[:rows] for x in inputs), target[:rows]
    return Subject(
        network=network,
        loss=OwnLoss(criterion, seen),
        inputs=inputs,
        target=target,
        optimizer=optimizer,
        context=seen.context,
    )
