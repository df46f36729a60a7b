"""A place in a stack of members, and all that belongs to the member that has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from limpid.data.bootstrap import bootstrap_index
from limpid.data.shuffle import epoch_order
from limpid.models.network import Network
from limpid.objectives.objective import Objective
from limpid.population.member import Member
from limpid.population.stack_network import Form, figure_names, pieces_of
from limpid.population.stack_optimizer import Mover
from limpid.training.loop import Plan, Responsive
from limpid.training.position import Position
from limpid.training.stopping import EarlyStopping
from limpid.wiring import Wiring


@dataclass
class Slot:
    """One member in training.

    Attributes:
        objective_key: equal for objectives that do the same.
        best: its row and its running figures after the epoch that it ends with so far.
        rows: of its record.
        failure: why it failed; "" while it has not.
        heard: epochs of which its host was told.
        over: whether its host has what came of it.
        seconds: its share of the time.
    """

    member: Member
    network: Network
    form: Form
    objective: Objective
    objective_key: str
    plan: Plan
    mover: Mover
    generator: torch.Generator
    index_N: Tensor | None  # which row of the data each of its training rows is; None: the same
    position: Position
    best: tuple[Tensor, list[Tensor]] = field(init=False)
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    failure: str = ""
    heard: int = 0
    over: bool = False
    best_epoch: int = 0
    seconds: float = 0.0

    @property
    def seed(self) -> int:
        return self.member.config.training.seed

    def next_order(self, num_rows: int) -> Tensor:
        """The rows of its next epoch, in their order."""
        order_N = epoch_order(num_rows, self.seed, self.position.epoch)
        return order_N if self.index_N is None else self.index_N[order_N]

    def kept_weights(self, num_batches: int) -> dict[str, Tensor]:
        """The weights and figures that it ends with, by name, on the CPU."""
        row, kept = self.best
        figures = iter(kept)
        with torch.no_grad():
            for p, piece in zip(self.form.weights, pieces_of(row, self.form.weights), strict=True):
                p.data = piece
            for layer in self.form.layers:
                for name in figure_names(layer):
                    layer._buffers[name] = next(figures)
                if isinstance(layer, nn.BatchNorm1d) and layer.num_batches_tracked is not None:
                    layer.num_batches_tracked.fill_(self.best_epoch * num_batches)
        return {name: tensor.detach().cpu().clone() for name, tensor in self.network.state_dict().items()}


def make_slot(member: Member, wiring: Wiring, form: Form, num_rows: int, schedules: dict[Any, Any]) -> Slot:
    """A member as wired, ready to take a place. Members whose schedules agree share one, from `schedules`."""
    plan, training = wiring.plan, wiring.config.training
    stopping = EarlyStopping(plan.higher_is_better, plan.patience, plan.min_delta, plan.baseline)
    position = Position(stopping, restore_best=plan.restore_best)
    schedule: Callable[[int], float] = wiring.parts.schedule
    if isinstance(schedule, Responsive):
        schedule.follow(position.figures, higher_is_better=plan.higher_is_better and wiring.parts.valid is not None)
    else:
        optim = wiring.config.optim
        schedule = schedules.setdefault(
            (optim.schedule, optim.warmup, str(optim.options), plan.num_steps, plan.num_epochs), schedule
        )
    return Slot(
        member=member,
        network=wiring.network,
        form=form,
        objective=wiring.objective,
        objective_key=wiring.config.objective.model_dump_json(),
        plan=plan,
        mover=Mover(wiring.parts.optimizer, schedule, plan.clip_norm),
        generator=torch.Generator(plan.device).manual_seed(training.seed),
        index_N=None if member.bootstrap is None else bootstrap_index(num_rows, member.bootstrap),
        position=position,
    )
