"""Measurements in flight: what gradients, weights, updates and activations are like at some steps of a run.

On the steps of its schedule, and only there, something is attached to network and optimiser and taken off again after
the step; on all others the loop asks one set whether it holds a number. Weights, gradients, buffers and random numbers
are as they would have been: a run with monitors has the same bits as one without.

Rows that they write, with step = updates made before:

    grad_norm     |g| of each tensor that learns, before clipping; None where the step gave it no gradient
    weight_norm   |w| of the same tensors before the step
    update_norm   |change of w| by the step
    frozen_norm   |w| of parameters that do not learn, and of the statistics that belong to them alone
    small_moment  Adam and its kin: share of weights with sqrt(s^) < 10 eps, of those that ever had a gradient
    lost_update   weights of 16 bits: share that a gradient left exactly where they were
    activation    training/listening.py, of fixed training rows in training mode
    modes         loss of these rows in training mode and in evaluation mode
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from limpid.training.listening import Listener, listening, rounded
from limpid.training.monitor_schedule import MonitorSchedule
from limpid.training.randomness import own_randomness
from limpid.training.rows import Recorder

SHARE_VALUES = 4096  # of a tensor by which a share of its weights is told, evenly spaced
MOST_COPIED = 2**26  # weights whose update is measured, first ones first: a quarter of a gigabyte for one step


class Monitors:
    """What is measured of one run.

    Args:
        model, optimizer: that are trained.
        loss: (outputs, target) -> mean loss.
        inputs, target: fixed training rows as evaluation sees them, on the model's device.
        schedule: when.
        recorder: gets the rows.
        context: arithmetic of the forward pass.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss: Callable[[Any, Tensor], Tensor],
        inputs: tuple[Tensor, ...],
        target: Tensor,
        schedule: MonitorSchedule,
        recorder: Recorder,
        context: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.inputs, self.target = inputs, target
        self.schedule, self.recorder = schedule, recorder
        self.context = context or nullcontext()
        self._handles: list[Any] = []

    def before(self, step: int) -> None:
        """`step` updates have been made, and the next one is about to be computed: measure what is due."""
        if step in self.schedule.passes:
            self.measure_pass(step)
        if step in self.schedule.norms:
            self.watch_update(step)

    def close(self) -> None:
        """Take off what is still attached, when a step broke off."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def measure_pass(self, step: int) -> None:
        """Send the fixed rows through the network: activations, and the loss in both modes."""
        classes = self.target if not self.target.is_floating_point() else None
        listener = Listener(self.model, len(self.target), classes)
        with torch.no_grad(), untouched(self.model):
            with listening(self.model, listener):
                train_loss = self._loss()
            self.model.eval()
            eval_loss = self._loss()
        self.recorder.add("monitor", name="activation", step=step, values=listener.read())
        modes = dict(zip(("train", "eval"), read_numbers([train_loss, eval_loss]), strict=True))
        self.recorder.add("monitor", name="modes", step=step, values=modes)

    def _loss(self) -> Tensor:
        with self.context:
            outputs = self.model._call_impl(*self.inputs)  # past the compiler, which does not hear hooks
        return self.loss(getattr(outputs, "main", outputs), self.target)

    def watch_update(self, step: int) -> None:
        """Take down the gradients as the next update accumulates them, and what it does to the weights."""
        self.close()
        moved = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        learning = {n: p for n, p in self.model.named_parameters() if p.requires_grad and id(p) in moved}
        frozen = self._frozen(learning)
        kept: dict[str, Tensor] = {}
        room = MOST_COPIED
        for name, p in learning.items():
            if p.numel() <= room:
                kept[name] = p.detach().clone()
                room -= p.numel()
        gradients: dict[str, Tensor] = {}
        for name, p in learning.items():
            self._handles.append(p.register_post_accumulate_grad_hook(_noting(gradients, name)))

        def finish(*_: Any) -> None:
            self.close()
            now = [learning[name].detach() for name in kept]
            updates = torch._foreach_sub(now, list(kept.values()))
            tensors = {
                "weight_norm": norms({name: kept.get(name, p.detach()) for name, p in learning.items()}),
                "grad_norm": gradients,
                "update_norm": norms(dict(zip(kept, updates, strict=True))),
                "frozen_norm": norms(frozen),
                "small_moment": small_moments(self.optimizer, learning, step) if step in self.schedule.passes else {},
                "lost_update": lost_updates(dict(zip(kept, updates, strict=True)), learning),
            }
            read = read_numbers([norm for named in tensors.values() for norm in named.values()])
            for name, named in tensors.items():
                values: dict[str, float | None] = dict(zip(named, read, strict=False))
                if name == "grad_norm":
                    values = {key: values.get(key) for key in learning}
                if values:
                    self.recorder.add("monitor", name=name, step=step, values=values)

        self._handles.append(self.optimizer.register_step_post_hook(finish))

    def _frozen(self, learning: dict[str, nn.Parameter]) -> dict[str, Tensor]:
        """Parameters that do not learn, and buffers of modules that hold no other ones."""
        found: dict[str, Tensor] = {}
        moving = {id(p) for p in learning.values()}  # by identity: a tied tensor has a second name
        for path, module in self.model.named_modules():
            own = dict(module.named_parameters(prefix=path, recurse=False))
            if own and not any(id(p) in moving for p in own.values()):
                buffers = dict(module.named_buffers(prefix=path, recurse=False))
                found |= {n: t.detach() for n, t in {**own, **buffers}.items() if t.is_floating_point()}
        return found


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """While open the model may be run in any mode; afterwards its buffers, modes and all random generators are as they
    were, bit for bit."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        with own_randomness(0):
            yield
    finally:
        with torch.no_grad():
            for buffer, found in buffers:
                buffer.copy_(found)
        for module, mode in modes:
            module.training = mode


def norms(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """L2 norm of each tensor, scalars on the device."""
    if not tensors:
        return {}
    return dict(zip(tensors, torch._foreach_norm(list(tensors.values()), dtype=torch.float32), strict=True))


def read_numbers(scalars: list[Tensor]) -> Iterator[float]:
    """Scalars as numbers; the host waits for the device once."""
    return map(rounded, torch.stack([*map(torch.Tensor.float, scalars)]).tolist() if scalars else ())


@torch.no_grad()
def small_moments(optimizer: torch.optim.Optimizer, params: dict[str, nn.Parameter], step: int) -> dict[str, Tensor]:
    """Where an optimiser divides by sqrt(s^) + eps: share of weights, of those with s > 0, whose sqrt(s^) < 10 eps."""
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    shares = {}
    for name, p in params.items():
        group, state = groups[id(p)], optimizer.state.get(p, {})
        square = state.get("exp_avg_sq", state.get("square"))
        if isinstance(square, Tensor) and square.shape == p.shape and group.get("eps"):
            correction = 1 - group["betas"][1] ** (step + 1) if "betas" in group else 1.0
            values = sample(square)
            small = values < 100 * group["eps"] ** 2 * correction
            shares[name] = (small & (values > 0)).sum() / (values > 0).sum()
    return shares


def lost_updates(updates: dict[str, Tensor], params: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """Share of 16-bit weights with a gradient that the update left as they were, because it was too small for them."""
    shares = {}
    for name, update in updates.items():
        gradient = params[name].grad
        if update.dtype in (torch.float16, torch.bfloat16) and gradient is not None and not gradient.is_sparse:
            wanted = sample(gradient.detach()) != 0
            shares[name] = ((sample(update) == 0) & wanted).sum() / wanted.sum()
    return shares


def sample(tensor: Tensor) -> Tensor:
    """At most 4096 values of a tensor, evenly spaced."""
    return tensor.reshape(-1)[:: -(-tensor.numel() // SHARE_VALUES)]


def _noting(gradients: dict[str, Tensor], name: str) -> Callable[[Tensor], None]:
    def note(p: Tensor) -> None:
        assert p.grad is not None
        gradient = p.grad.coalesce().values() if p.grad.is_sparse else p.grad
        gradients[name] = torch.linalg.vector_norm(gradient.detach(), dtype=torch.float32)

    return note
