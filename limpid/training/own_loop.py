"""What can be seen of a user's own loop from outside, by hooks on the network, its loss and its optimiser.

Nothing is changed: hooks look on and return nothing. While `deaf` is set they do not look either, so that passes which
somebody makes between the user's are not taken for his.

    passes         how many forward passes ran in each mode, with and without gradients
    accumulation   steps, and those before which no gradient had been cleared since the step before
    train_step     loss and learning rate of each step, thinned to MOST_STEPS of them
    train, valid   mean losses between one validation and the next, which are the loop's epochs

Shapes: B batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from limpid.training.batch_order import BatchOrder

UNREAD = 64  # steps whose losses stay on the device before they are read together, because reading one waits for it
MOST_STEPS = 500  # rows of single steps that are kept; every second one is dropped when there are more


@dataclass(frozen=True)
class Seen:
    """One call of the loss while training, and the call of the network that gave its outputs.

    `how`: the loss got the very answer ("same"), the answer in another shape ("reshaped"), or something made of it in
    a way that cannot be repeated, such as a softmax ("changed").
    """

    network: nn.Module
    inputs: tuple[Tensor, ...]
    given: Tensor  # first argument of the loss
    target: Tensor
    extra: dict[str, Any]  # further named arguments of the loss
    how: str
    context: AbstractContextManager[Any]


@dataclass
class Mean:
    """Mean of the losses of batches, by their sizes."""

    total: float = 0.0
    rows: int = 0

    def add(self, loss: float, rows: int) -> None:
        self.total += loss * rows
        self.rows += rows

    @property
    def value(self) -> float:
        return self.total / self.rows if self.rows else math.nan


@dataclass
class LoopWatch:
    """Hooks on one loop, and what they have seen.

    Args:
        model, optimizer: of the loop.
        losses: modules that are no part of the network, though the model may hold them.
        before_step, after_step: called around each step of the optimiser, with the number of steps made before it.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    losses: Sequence[Any]
    before_step: Callable[[int], None]
    after_step: Callable[[int], None]
    seen: Seen | None = None  # the last call of the loss in training
    fresh: dict[str, Tensor] | None = None  # weights and buffers before the first pass in training
    deaf: bool = False
    step: int = 0
    epochs: list[dict[str, Any]] = field(default_factory=list)
    curve: list[dict[str, Any]] = field(default_factory=list)
    order: BatchOrder = field(default_factory=BatchOrder)

    def __post_init__(self) -> None:
        self.passes = dict.fromkeys(("train_grad", "eval_grad", "train_no_grad", "eval_no_grad", "latest_eval_grad"), 0)
        self.stale = 0
        self._cleared, self._known = False, (0, 0)  # since the last step; identity and version of the gradient
        self._stride = 1
        self._inside = 0  # depth of calls
        self._call: tuple[nn.Module, tuple[Any, ...], Any] | None = None
        self._pending: list[tuple[Tensor, int]] = []  # losses of batches since the last step
        self._unread: list[tuple[int, float, list[tuple[Tensor, int]]]] = []  # step, rate, losses of its batches
        self._train, self._valid = Mean(), Mean()
        self._handles: list[Any] = [
            self.optimizer.register_step_pre_hook(lambda *_: self._before()),
            self.optimizer.register_step_post_hook(lambda *_: self._after()),
        ]
        for module in (self.model, *(child for child in self.model.children() if child not in self.losses)):
            self._handles.append(module.register_forward_pre_hook(self._enter))
            self._handles.append(module.register_forward_hook(self._leave, with_kwargs=True))
        learning = [p for group in self.optimizer.param_groups for p in group["params"] if p.requires_grad]
        if learning:
            self._handles.append(learning[-1].register_hook(lambda _: self._arriving(learning[-1])))
            self._handles.append(learning[-1].register_post_accumulate_grad_hook(self._arrived))

    def close(self) -> None:
        """Take every hook off, and close the last epoch."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._close_epoch()

    def _enter(self, module: nn.Module, _args: Any) -> None:
        if self.deaf:
            return
        if not self._inside and torch.is_grad_enabled() and self.fresh is None:
            self.fresh = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        self._inside += 1

    def _leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        if self.deaf:
            return
        self._inside = max(0, self._inside - 1)
        if self._inside:
            return
        mode = "train" if module.training else "eval"
        self.passes[f"{mode}_{'grad' if torch.is_grad_enabled() else 'no_grad'}"] += 1
        if torch.is_grad_enabled():
            self.passes["latest_eval_grad"] = 0 if module.training else self.passes["latest_eval_grad"] + 1
        self._call = None if kwargs else (module, args, answer)

    def hear(self, given: Any, target: Any, extra: dict[str, Any], loss: Any) -> None:
        """The loop has computed a loss."""
        if self.deaf or self._inside or not all(isinstance(x, Tensor) for x in (given, target, loss)):
            return
        if loss.numel() != 1:
            loss = loss.mean()
        rows = len(target) if target.ndim else 1
        if not (torch.is_grad_enabled() and loss.requires_grad):
            if self.step:
                self._valid.add(loss.item(), rows)
            return
        if self._valid.rows:
            self._close_epoch()
        self._pending.append((loss.detach(), rows))
        self.order.note(self._call[1] if self._call else (), target)
        self.seen = self._match(given, target, extra)

    def _match(self, given: Tensor, target: Tensor, extra: dict[str, Any]) -> Seen | None:
        """Which answer of the network became the loss's argument, and how."""
        if self._call is None:
            return None
        network, inputs, answer = self._call
        if not inputs or not all(isinstance(x, Tensor) for x in inputs):
            return None
        how = "same" if answer is given else "changed"
        if how == "changed" and isinstance(answer, Tensor) and answer.numel() == given.numel():
            equal = torch.equal(answer.detach().flatten(), given.detach().flatten())
            how = "reshaped" if equal else how
        kind = given.device.type
        mixed = torch.is_autocast_enabled(kind)
        context = torch.autocast(kind, dtype=torch.get_autocast_dtype(kind)) if mixed else nullcontext()
        detached = tuple(x.detach() for x in inputs)
        return Seen(network, detached, given.detach(), target.detach(), extra, how, context)

    def _arriving(self, p: Tensor) -> None:
        """A gradient is about to be added to p.grad: is there an old one, untouched since it was used?"""
        if self.deaf:
            return
        old = p.grad
        if old is None or ((id(old), old._version) != self._known and not bool(old.any())):
            self._cleared = True

    def _arrived(self, p: Tensor) -> None:
        if not self.deaf and p.grad is not None:
            self._known = (id(p.grad), p.grad._version)

    def _before(self) -> None:
        if not self.deaf:
            self.before_step(self.step)

    def _after(self) -> None:
        if self.deaf:
            return
        self.stale += not self._cleared
        self._cleared = False
        self.step += 1
        if self._pending:
            self._unread.append((self.step, float(self.optimizer.param_groups[0]["lr"]), self._pending))
            self._pending = []
            if len(self._unread) >= UNREAD:
                self.read()
        self.after_step(self.step)

    def read(self) -> None:
        """Take the losses of the last steps from the device; `curve` and `epochs` are up to date then."""
        unread, self._unread = self._unread, []
        if not unread:
            return
        values = iter(torch.stack([loss.float() for *_, batches in unread for loss, _ in batches]).tolist())
        for step, lr, batches in unread:
            losses = [next(values) for _ in batches]
            for loss, (_, rows) in zip(losses, batches, strict=True):
                self._train.add(loss, rows)
            self._record(step, lr, sum(losses) / len(losses))

    def _record(self, step: int, lr: float, loss: float) -> None:
        if step % self._stride:
            return
        self.curve.append({"kind": "metric", "split": "train_step", "step": step, "loss": loss, "lr": lr})
        if len(self.curve) > MOST_STEPS:
            self._stride *= 2
            self.curve = [row for row in self.curve if row["step"] % self._stride == 0]

    def _close_epoch(self) -> None:
        """A validation is over: what was seen since the one before is an epoch."""
        self.read()
        if self._valid.rows and self._train.rows:
            epoch = 1 + len(self.epochs) // 2
            lr = float(self.optimizer.param_groups[0]["lr"])
            place = {"kind": "metric", "step": self.step, "epoch": epoch}
            self.epochs.append({**place, "split": "train", "loss": self._train.value, "lr": lr})
            self.epochs.append({**place, "split": "valid", "loss": self._valid.value})
        self._train, self._valid = Mean(), Mean()
