"""Members that train as one: a round of the loop is an epoch of each, and between rounds places change hands.

The loop is that of a single network (training/loop.py). What it moves is a stack: its network, objective, optimiser
and batches are those of all members, its step is `move` below, and at the end of a round it shows its rows to `epoch`
below, which judges every member as the loop would judge it alone.

Shapes: M members, W places, B samples of a batch, P weights of a member.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from limpid.data.dataset import Split
from limpid.population.host import Host, Told
from limpid.population.lone import outcome_of
from limpid.population.member import State
from limpid.population.slots import Slot
from limpid.population.stack_loader import Columns, SharedBatches, StackedBatches
from limpid.population.stack_network import StackedNetwork
from limpid.population.stack_objective import StackedObjective
from limpid.population.stack_optimizer import StackedOptimizer
from limpid.training.loop import Parts, Plan, fit, must_evaluate
from limpid.training.nonfinite import describe_failure, explain_nonfinite, nonfinite_weights
from limpid.training.rows import train_row
from limpid.training.signals import StopRequest
from limpid.training.step import autocast

ENDLESS = sys.maxsize  # rounds and steps: a cohort ends when nobody is left
EVAL_ROWS = 4096  # of all members together, in one batch of evaluation: the layers' outputs stay in the cache


class Cohort:
    """Members in training, and those who take their places.

    Args:
        host: hears of epochs and outcomes.
        slots: the first members, which all fit together; changes as members come and go.
        width: places; no fewer than slots.
        successor: gives the next member that fits, or None.
        split: the training rows as they are, for messages.
        train, valid: the data of all of them.
        batch_size, num_batches: of a training epoch.
    """

    def __init__(
        self,
        host: Host,
        slots: list[Slot],
        *,
        width: int,
        successor: Callable[[], Slot | None],
        split: Split,
        train: Columns,
        valid: Columns | None,
        batch_size: int,
        num_batches: int,
    ) -> None:
        self.host, self.slots, self.successor, self.split = host, slots, successor, split
        self.width, self.num_rows = width, len(train)
        plan = slots[0].plan
        plain = plan.accumulate == 1 and plan.precision == "float32"
        self.network = StackedNetwork(slots[0].form, width, by_hand=plain)
        self.objective = StackedObjective()
        self.optimizer = StackedOptimizer(self.network)
        self._losses: list[Tensor] = []  # (M,) of every batch of this round
        self._sizes: list[int] = []
        self._first_of_update = True
        self._clock = time.perf_counter()
        for row, slot in enumerate(self.slots):
            self._seat(row, slot)
        self._resize()
        rows = max(1, EVAL_ROWS // len(slots))
        self.parts = Parts(
            model=self.network,
            objective=self.objective,
            optimizer=cast(torch.optim.Optimizer, self.optimizer),  # the loop sets its rate, `move` calls it
            schedule=lambda step: 1.0,
            train=StackedBatches(train, batch_size=batch_size, num_batches=num_batches, orders=self._orders),
            valid=None if valid is None else SharedBatches(valid, batch_size=rows, num_members=lambda: len(self.slots)),
            average=None,
            name_of=split.name_of,
            step=self.move,
        )

    def train(self, *, stop: StopRequest | None = None) -> None:
        """Until nobody is left. Raises Stopped when `stop` asks for it."""
        first = self.slots[0].plan
        plan = Plan(ENDLESS, ENDLESS, first.device, first.precision, accumulate=first.accumulate, log_every=ENDLESS)
        try:
            fit(self.parts, plan, self, self, stop=stop)
        except _NobodyLeft:
            return

    def rehearse(self, batch: Any) -> None:
        """A step that leaves no trace but in the weights, to be timed."""
        self.network.train()
        plan = self.slots[0].plan
        self.move(
            self.network,
            self.objective,
            self.optimizer,
            batch,
            context=autocast(plan.device, plan.precision),
            clip_norm=None,
            weight=1.0,
            update=True,
            guard=True,
        )
        self._losses.clear()

    def move(
        self,
        network: StackedNetwork,
        objective: StackedObjective,
        optimizer: StackedOptimizer,
        batch: Any,
        *,
        context: AbstractContextManager[Any] | None,
        clip_norm: float | None,
        weight: float,
        update: bool,
        guard: bool,
    ) -> Tensor:
        """train_step for every member. One whose loss is NaN or infinite is given up, and nobody else minds."""
        with context or nullcontext():
            outputs_MBK = network(*batch.inputs)
        losses_M, slopes_MBK = objective.slopes(outputs_MBK, batch.target)
        if guard and not math.isfinite(losses_M.sum().item()):
            self._explain(losses_M, batch)
        network.backward(slopes_MBK if weight == 1.0 else slopes_MBK * weight, add=not self._first_of_update)
        self._first_of_update = update
        if update:
            optimizer.step()
        self._losses.append(losses_M)
        self._sizes.append(batch.index.shape[1])
        return torch.zeros(())  # the members' own are read at the end of the round

    def add(self, kind: str, **fields: Any) -> None:
        """Rows of the stack as a whole are nobody's."""

    def step(self, step: int, loss: float) -> None:
        """Neither are its steps."""

    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None:
        """The round is over: judge every member, let those go that are done, seat others."""
        losses_SM = torch.stack(self._losses).tolist()
        sound = torch.isfinite(self.network.weights_WP[: len(self.slots)]).all(dim=1).tolist()
        now = time.perf_counter()
        seconds, self._clock = (now - self._clock) / len(self.slots), now
        told: dict[int, Told] = {}
        for place, slot in enumerate(self.slots):
            slot.seconds += seconds
            slot.position.losses = [losses_M[place] for losses_M in losses_SM]
            slot.position.sizes = self._sizes
            slot.position.add_seconds(seconds)
            if not sound[place] and not slot.failure:
                overflown = nonfinite_weights(slot.network)
                cause = f"The update made the weights of {overflown} infinite: lower optim.lr, or set optim.clip_norm=1"
                slot.failure = describe_failure(f"{cause}.", slot.position)
            if not slot.failure:
                told[place] = self._write_down(place, slot, None if valid_row is None else valid_row["members"][place])
        self._losses, self._sizes = [], []
        goes_on = dict(zip(told, self.host.epochs(list(told.values())), strict=True)) if told else {}
        for place in told:
            self.slots[place].heard = self.slots[place].position.epoch
        leaving = set()
        for place, slot in enumerate(self.slots):
            if slot.failure:
                leaving.add(place)
                self._let_go(slot, "failed", slot.failure)
            elif (end := _end_of(slot, told[place], goes_on=goes_on[place])) is not None:
                leaving.add(place)
                self._let_go(slot, *end)
        if leaving:
            self._fill(leaving)

    def _write_down(self, place: int, slot: Slot, figures: dict[str, float] | None) -> Told:
        """Note an epoch of a member, and its weights if they are the best so far."""
        position, plan = slot.position, slot.plan
        position.epoch, position.step = position.epoch + 1, slot.mover.step
        position.samples += sum(position.sizes)
        row = train_row(position, slot.mover.lr)
        slot.rows.append(row)
        valid_row: dict[str, Any] | None = None
        improved = figures is None
        if figures is None:
            position.figures.append(row["loss"])
        elif must_evaluate(plan, position.epoch):
            valid_row = {"split": "valid", "step": position.step, "epoch": position.epoch, **figures}
            slot.rows.append(valid_row)
            figure = valid_row[plan.monitor]
            improved = position.stopping.observe(figure, epoch=position.epoch, step=position.step)
            position.figures.append(figure)
        if improved or not plan.restore_best:
            slot.best, slot.best_epoch = self.network.values(place), position.epoch
        position.losses, position.sizes, position.epoch_seconds = [], [], 0.0
        return Told(slot.member, row, valid_row)

    def _let_go(self, slot: Slot, state: State, reason: str) -> None:
        outcome = replace(
            outcome_of(slot.member, slot.rows, slot.plan),
            state=state,
            reason=reason,
            seconds=slot.seconds,
            weights=slot.kept_weights(self.parts.train.num_batches) if state == "finished" else None,
        )
        slot.over = True
        self.host.done(slot.member, outcome)

    def _fill(self, leaving: set[int]) -> None:
        """Give the places that became free to those who wait; close the gaps where there are too few."""
        staying = [(place, slot) for place, slot in enumerate(self.slots) if place not in leaving]
        self.slots[:] = [slot for _, slot in staying]
        free = sorted(set(range(self.width)) - {place for place, _ in staying})
        while free and (slot := self.successor()) is not None:
            staying.append((free[0], slot))
            self.slots.append(slot)  # whatever happens now, it is known as one of these
            self._seat(free.pop(0), slot)
        if not staying:
            raise _NobodyLeft
        taken: dict[int, Slot] = dict(staying)
        for place in range(len(taken)):
            if place not in taken:
                last = max(taken)
                taken[place] = taken.pop(last)
                self.network.move(last, place)
                self.optimizer.move(last, place)
                self.network.settle(place, taken[place].form)
        self.slots[:] = [taken[place] for place in range(len(taken))]
        self._resize()

    def _seat(self, place: int, slot: Slot) -> None:
        self.network.take(place, slot.form)
        self.optimizer.clear(place)
        slot.best, slot.best_epoch = self.network.values(place), 0

    def _resize(self) -> None:
        self.network.resize([slot.form for slot in self.slots], [slot.generator for slot in self.slots])
        self.objective.resize([slot.objective for slot in self.slots], [slot.objective_key for slot in self.slots])
        self.optimizer.resize([slot.mover for slot in self.slots])
        self._first_of_update = True

    def _orders(self) -> list[Tensor]:
        return [slot.next_order(self.num_rows) for slot in self.slots]

    def _explain(self, losses_M: Tensor, batch: Any) -> None:
        """Say of the members whose loss is not finite why, before their weights move."""
        targets = batch.target.unflatten(0, batch.index.shape)
        for place in (~torch.isfinite(losses_M)).nonzero().flatten().tolist():
            slot = self.slots[place]
            if slot.failure:
                continue
            index_B = batch.index[place].cpu()
            names = [self.split.name_of(i) for i in index_B.tolist()]
            inputs = tuple(x.to(losses_M.device) for x in self.split.rows.take(index_B))
            cause = explain_nonfinite(slot.network, inputs, targets[place], names.__getitem__)
            slot.position.step = slot.mover.step
            slot.failure = describe_failure(cause, slot.position)


def _end_of(slot: Slot, told: Told, *, goes_on: bool) -> tuple[State, str] | None:
    """How a member ended with the epoch that was told last; None where it goes on."""
    position = slot.position
    if not goes_on:
        return "pruned", f"let go after epoch {position.epoch}"
    if told.valid_row is not None and not math.isfinite(told.valid_row["loss"]):
        return "failed", describe_failure("It is that of the validation rows, of which none trains.", position)
    if position.stopping.exhausted:
        return "finished", "early stopping"
    return ("finished", "all epochs done") if position.epoch == slot.plan.num_epochs else None


class _NobodyLeft(Exception):
    """Every member is done, and no other waits."""
