"""The training loop, top to bottom. Start reading at `fit`.

Nothing here waits for the device inside a step: losses stay on it as tensors and are read a few times a second.
On a CPU, where reading is free, every loss is checked before the weights move.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from limpid.errors import NonFiniteLoss, Stopped
from limpid.optim.averaging import Average
from limpid.training.checkpoint import TrainingState, capture, restore
from limpid.training.monitors import Monitors
from limpid.training.nonfinite import describe_failure, explain_nonfinite, nonfinite_weights
from limpid.training.position import Position
from limpid.training.rows import Recorder, train_row, write_rows
from limpid.training.signals import StopRequest
from limpid.training.step import autocast, collect_outputs, train_step
from limpid.training.stopping import EarlyStopping

PULSE_SECONDS = 0.2  # between readings of the loss for the progress bar; five a second look alive
GUARD_EVERY = 64  # steps between checks of the loss where reading it makes the device wait (anything but a CPU)


class Loader(Protocol):
    """Batches of a split, in an order that depends on nothing but (seed, epoch)."""

    num_batches: int

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]: ...


class Observer(Protocol):
    """Who watches: a terminal, or nobody."""

    def step(self, step: int, loss: float) -> None: ...
    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None: ...


@runtime_checkable
class Responsive(Protocol):
    """A schedule that answers to how training goes: it reads the list of the epochs' figures, which grows."""

    def __call__(self, step: int) -> float: ...
    def follow(self, figures: list[float], *, higher_is_better: bool) -> None: ...


@dataclass(frozen=True)
class Parts:
    """The things that the loop moves. `name_of(i)` names row i of the training split for messages."""

    model: nn.Module
    objective: Any
    optimizer: torch.optim.Optimizer
    schedule: Callable[[int], float]
    train: Loader
    valid: Loader | None
    average: Average | None
    name_of: Callable[[int], str]
    step: Callable[..., Tensor] = train_step  # a family whose update is not the gradient's brings its own


@dataclass(frozen=True)
class Plan:
    """Numbers of a run, all resolved."""

    num_epochs: int
    num_steps: int  # updates of the whole run; the last epoch ends early where they are fewer than it would take
    device: torch.device
    precision: str
    accumulate: int = 1
    clip_norm: float | None = None
    monitor: str = "loss"
    higher_is_better: bool = False
    patience: int = 0
    min_delta: float = 0.0
    baseline: float | None = None
    restore_best: bool = True
    evaluate_from: int = 1  # epoch
    evaluate_every: int = 1  # epochs
    checkpoint_seconds: float = math.inf
    checkpoint_steps: int | None = None
    log_every: int = 1  # batches


def fit(
    parts: Parts,
    plan: Plan,
    recorder: Recorder,
    observer: Observer,
    *,
    save: Callable[[TrainingState], None] | None = None,
    resume: TrainingState | None = None,
    stop: StopRequest | None = None,
    monitors: Monitors | None = None,
) -> Position:
    """Train until the last epoch, until validation stops improving, or until asked to stop.

    The model is left with its best weights: those of the epoch with the best validation figure, or the last ones
    where there is no validation split (averaged ones, with weight averaging).

    Args:
        parts: model, objective, optimiser, schedule and loaders.
        plan: how long, how precisely, how often to save.
        recorder: gets one row per epoch and per evaluation, and about 500 rows of single steps.
        observer: gets the same, for showing.
        save: writes a checkpoint; called between steps.
        resume: state of a checkpoint; the run continues from it bit for bit.
        stop: asked between steps whether to leave.
        monitors: measure at some steps, and change nothing.

    Raises:
        NonFiniteLoss: the loss became NaN or infinite; the last good weights have been saved.
        Stopped: `stop` asked for it; a checkpoint has been saved.
    """
    model, optimizer = parts.model, parts.optimizer
    context = None if plan.precision == "float32" else autocast(plan.device, plan.precision)
    guard_every = 1 if plan.device.type == "cpu" else GUARD_EVERY
    peak_lrs = [group["lr"] for group in optimizer.param_groups]
    stopping = EarlyStopping(plan.higher_is_better, plan.patience, plan.min_delta, plan.baseline)
    position = Position(stopping, restore_best=plan.restore_best)
    best: dict[str, Tensor] = {}
    keep_weights(parts, best)
    if resume is not None:
        restore(resume, model, optimizer, parts.average)
        position = Position.from_dict(resume.progress)
        for name, tensor in (resume.best or {}).items():
            best[name].copy_(tensor)
    if isinstance(parts.schedule, Responsive):
        parts.schedule.follow(position.figures, higher_is_better=plan.higher_is_better and parts.valid is not None)
    saved_at = time.perf_counter()

    def checkpoint() -> None:
        nonlocal saved_at
        if save is not None:
            save(capture(model, optimizer, parts.average, best, position.to_dict()))
            recorder.add("checkpoint", step=position.step, epoch=position.epoch)
        saved_at = time.perf_counter()

    model.train()
    while position.epoch < plan.num_epochs and position.step < plan.num_steps and not position.stopping.exhausted:
        unread: list[Tensor] = []  # losses still on the device
        last = parts.train.num_batches - 1
        clock = pulse = time.perf_counter()
        for number, batch in enumerate(parts.train.epoch(position.epoch, position.batch), position.batch):
            for group, peak_lr in zip(optimizer.param_groups, peak_lrs, strict=True):
                group["lr"] = peak_lr * parts.schedule(position.step)
            update = number == last or (number + 1) % plan.accumulate == 0
            if monitors is not None and update:
                monitors.before(position.step)
            try:
                loss = parts.step(
                    model,
                    parts.objective,
                    optimizer,
                    batch,
                    context=context,
                    clip_norm=plan.clip_norm,
                    weight=accumulation_weight(number, last, plan.accumulate),
                    update=update,
                    guard=number % guard_every == 0,
                )
            except FloatingPointError:
                read_losses(position, unread)
                del position.losses[position.batch :], position.sizes[position.batch :]
                checkpoint()
                names = [parts.name_of(i) for i in batch.index.tolist()]
                cause = explain_nonfinite(model, batch.inputs, batch.target, names.__getitem__)
                raise NonFiniteLoss(describe_failure(cause, position)) from None
            unread.append(loss)
            position.sizes.append(len(batch.target))
            if not update:
                continue
            if parts.average is not None:
                parts.average.update(model)
            position.batch, position.step = number + 1, position.step + 1

            now = time.perf_counter()
            leaving = stop is not None and stop.requested is not None
            if leaving or is_due(plan, position.step, now - saved_at):
                read_losses(position, unread)
                position.add_seconds(now - clock)
                checkpoint()
                if stop is not None and stop.requested:
                    text = f"Stopped by {stop.requested} after step {position.step}; the checkpoint is complete."
                    raise Stopped(text, stop.requested)
                clock = time.perf_counter()
            if now - pulse > PULSE_SECONDS:
                pulse = now
                read_losses(position, unread)
                observer.step(position.step, position.losses[-1])
            if position.step == plan.num_steps:
                break
        read_losses(position, unread)
        position.add_seconds(time.perf_counter() - clock)

        # The epoch is over: evaluate, write it down, remember the best weights.
        overflown = nonfinite_weights(model)
        if overflown is not None:
            checkpoint()
            cause = f"The update made the weights of {overflown} infinite: lower optim.lr, or set optim.clip_norm=1."
            raise NonFiniteLoss(describe_failure(cause, position))
        position.epoch, position.batch = position.epoch + 1, 0
        position.samples += sum(position.sizes)
        row = train_row(position, optimizer.param_groups[0]["lr"])
        valid_row: dict[str, Any] | None = None
        if parts.valid is not None and must_evaluate(plan, position.epoch):
            figures = evaluate(parts, parts.valid, context)
            valid_row = {"split": "valid", "step": position.step, "epoch": position.epoch, **figures}
        write_rows(
            recorder,
            position,
            row,
            valid_row,
            accumulate=plan.accumulate,
            log_every=plan.log_every,
            lr_at=lambda step: peak_lrs[0] * parts.schedule(step),
        )
        improved = parts.valid is None
        if valid_row is not None:
            figure = valid_row[plan.monitor]
            improved = position.stopping.observe(figure, epoch=position.epoch, step=position.step)
            position.figures.append(figure)
        elif parts.valid is None:
            position.figures.append(row["loss"])
        if improved or not plan.restore_best:
            keep_weights(parts, best)
        position.losses, position.sizes, position.epoch_seconds = [], [], 0.0
        observer.epoch(row, valid_row)
        if valid_row is not None and not math.isfinite(valid_row["loss"]):
            checkpoint()
            raise NonFiniteLoss(describe_failure("It is that of the validation rows, of which none trains.", position))

    if not position.finished:
        position.finished = True
        checkpoint()
    model.load_state_dict(best)
    return position


def accumulation_weight(number: int, last: int, accumulate: int) -> float:
    """Share of batch `number` in its update: 1 over the batches of its group, which is shorter at the end of an epoch.

    >>> [accumulation_weight(i, 4, 2) for i in range(5)]
    [0.5, 0.5, 0.5, 0.5, 1.0]
    """
    first = number - number % accumulate
    return 1.0 / (min(first + accumulate - 1, last) - first + 1)


def must_evaluate(plan: Plan, epoch: int) -> bool:
    """Whether the validation split is looked at after this epoch; after the last one it always is."""
    since = epoch - plan.evaluate_from
    return epoch == plan.num_epochs or (since >= 0 and since % plan.evaluate_every == 0)


def is_due(plan: Plan, step: int, seconds: float) -> bool:
    """Whether a checkpoint is due: every `checkpoint_steps` steps if given, else every `checkpoint_seconds`."""
    if plan.checkpoint_steps is not None:
        return step % plan.checkpoint_steps == 0
    return seconds > plan.checkpoint_seconds


def read_losses(position: Position, unread: list[Tensor]) -> None:
    """Move losses from the device into the position; this is where the host waits for the device."""
    if unread:
        position.losses.extend(torch.stack(unread).tolist())
        unread.clear()


def keep_weights(parts: Parts, kept: dict[str, Tensor]) -> None:
    """Copy the weights and buffers that evaluation uses into `kept`: averaged ones, with weight averaging.

    What is there is written over, since fresh memory costs three times as much as the copy into it.
    """
    with nullcontext() if parts.average is None else parts.average.averaged(parts.model):
        for name, tensor in parts.model.state_dict().items():
            if name in kept:
                kept[name].copy_(tensor)
            else:
                kept[name] = tensor.detach().clone()


def evaluate(parts: Parts, rows: Loader, context: Any) -> dict[str, float]:
    """Loss and metrics of all these rows in evaluation mode, with the averaged weights where there are any."""
    with nullcontext() if parts.average is None else parts.average.averaged(parts.model):
        kept, target = collect_outputs(parts.model, rows.epoch(0), context=context, keep=parts.objective.keep)
    loss = parts.objective.kept_loss(kept, target).item()
    return {"loss": loss, **parts.objective.metrics(kept, target)}
