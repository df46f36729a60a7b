"""One training step and one evaluation pass: what every depth of the interface runs.

Shapes: B samples of a batch, N samples of a split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Batch(Protocol):
    """What a step needs of a batch."""

    @property
    def inputs(self) -> tuple[Tensor, ...]: ...
    @property
    def target(self) -> Tensor: ...


class Objective(Protocol):
    """What a step needs of an objective."""

    def loss(self, outputs: Any, target: Tensor) -> Tensor: ...


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """The arithmetic of a forward pass: bfloat16 where torch thinks it safe, or plain float32."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def train_step(
    model: nn.Module,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    *,
    context: AbstractContextManager[Any] | None = None,
    clip_norm: float | None = None,
    weight: float = 1.0,
    update: bool = True,
    guard: bool = False,
) -> Tensor:
    """Forward, loss, backward, clip, update. Returns the mean loss of the batch, detached and still on the device.

    Args:
        model: called with the batch's inputs.
        objective: maps outputs and target to a scalar loss.
        optimizer: its gradients are cleared after the update.
        batch: anything with `inputs` (a tuple of tensors) and `target`.
        context: arithmetic of the forward pass, see `autocast`; reused, so it must be re-entrant.
        clip_norm: largest norm of all gradients together (Pascanu et al. 2013); None leaves them alone.
        weight: share of this batch in the update, below 1 when gradients of several batches are accumulated.
        update: False only adds to the gradients.
        guard: read the loss before the weights move. On a GPU this waits for the device, so it is not for every step.

    Raises:
        FloatingPointError: with `guard`, when the loss is NaN or infinite; gradients and weights are untouched.
    """
    if context is None:
        outputs = model(*batch.inputs)
    else:
        with context:
            outputs = model(*batch.inputs)
    loss = objective.loss(outputs, batch.target)
    if guard and not math.isfinite(loss.item()):
        raise FloatingPointError("the loss is not finite")
    (loss if weight == 1.0 else loss * weight).backward()
    if update:
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        optimizer.zero_grad()
    return loss.detach()


@torch.inference_mode()
def collect_outputs(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    context: AbstractContextManager[Any] | None = None,
    keep: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Outputs and targets of a whole split in evaluation mode, as float32 (N, ...) and (N, ...) on the device.

    `keep` reduces a batch's outputs to what is needed of them. The model's training flag is left as it was found.
    """
    was_training = model.training
    model.eval()
    outputs, targets = [], []
    try:
        with context or nullcontext():
            for batch in batches:
                answer = model(*batch.inputs).float()
                outputs.append(answer if keep is None else keep(answer, batch.target))
                targets.append(batch.target)
    finally:
        model.train(was_training)
    return torch.cat(outputs), torch.cat(targets)
