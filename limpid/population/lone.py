"""One member, trained by the loop that trains a single network, without a folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from limpid.errors import DataError, LimpidError, ModelError, NonFiniteLoss
from limpid.population.ground import Ground
from limpid.population.member import Member, Outcome, State
from limpid.population.memory import memory_suffices
from limpid.training.history import Silence
from limpid.training.loop import Plan, fit
from limpid.training.randomness import own_randomness
from limpid.training.signals import StopRequest
from limpid.training.stopping import EarlyStopping
from limpid.wiring import Wiring

PLACES = ("split", "step", "epoch")  # what a metric row holds beside figures
Heard = Callable[[Mapping[str, Any], Mapping[str, Any] | None], bool]


def train_member(member: Member, ground: Ground, heard: Heard, *, stop: StopRequest | None = None) -> Outcome:
    """Train a member to its end, or until `heard` answers an epoch with False.

    A member that cannot be built or does not fit in memory, or whose loss becomes NaN, has failed; that is an outcome,
    not an exception.

    Raises Stopped when `stop` asks for it.
    """
    try:
        wiring = ground.wiring(member)
    except LimpidError as error:
        return Outcome(member.number, "failed", reason=str(error))
    return train_wired(member, wiring, heard, stop=stop)


def train_wired(member: Member, wiring: Wiring, heard: Heard, *, stop: StopRequest | None = None) -> Outcome:
    """The same for a member whose parts are at hand."""
    started = time.perf_counter()
    plan = replace(wiring.plan, checkpoint_seconds=math.inf, checkpoint_steps=None)
    log = _Log(heard)
    state: State = "finished"
    reason = "all epochs done"
    with own_randomness(wiring.config.training.seed), wiring.fast_roads():
        try:
            with memory_suffices():
                position = fit(wiring.parts, plan, log, log, stop=stop)
            reason = "early stopping" if position.stopping.exhausted else reason
        except _LetGo:
            state, reason = "pruned", f"let go after epoch {log.epochs}"
        except (NonFiniteLoss, ModelError, DataError) as error:  # of memory, and of files that are gone by then
            state, reason = "failed", str(error)
    kept = None
    if state == "finished":
        kept = {name: tensor.detach().cpu().clone() for name, tensor in wiring.network.state_dict().items()}
    return replace(
        outcome_of(member, log.rows, plan),
        state=state,
        reason=reason,
        seconds=time.perf_counter() - started,
        weights=kept,
    )


def outcome_of(member: Member, rows: Sequence[Mapping[str, Any]], plan: Plan) -> Outcome:
    """What the metric rows of a member say of it; its best epoch is the one whose weights its plan keeps."""
    train = [row for row in rows if row["split"] == "train"]
    valid = [row for row in rows if row["split"] == "valid"]
    judged, monitor = (valid, plan.monitor) if valid else (train, "loss")
    stopping = EarlyStopping(plan.higher_is_better and bool(valid), min_delta=plan.min_delta)
    for row in judged:
        stopping.observe(row[monitor], epoch=row["epoch"], step=row["step"])
    keeps_best = bool(valid) and plan.restore_best
    kept = next((row for row in judged if row["epoch"] == stopping.best_epoch), None) if keeps_best else None
    kept = (judged[-1] if judged else None) if kept is None else kept
    return Outcome(
        member.number,
        "finished",
        monitor=monitor,
        figure=kept[monitor] if kept else math.nan,
        figures=tuple(row[monitor] for row in judged),
        valid={key: kept[key] for key in kept if key not in PLACES} if kept and valid else {},
        best_epoch=kept["epoch"] if kept else 0,
        best_step=kept["step"] if kept else 0,
        epochs=train[-1]["epoch"] if train else 0,
        steps=train[-1]["step"] if train else 0,
        rows=tuple(rows),
    )


class _LetGo(Exception):
    """The host wants this member trained no further."""


class _Log(Silence):
    """Keeps the rows of epochs, and passes them on as they come."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self.rows: list[Mapping[str, Any]] = []
        self.epochs = 0

    def add(self, kind: str, **fields: Any) -> None:
        if kind == "metric" and fields["split"] != "train_step":
            self.rows.append(fields)

    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None:
        self.epochs = row["epoch"]
        if not self._heard(row, valid_row):
            raise _LetGo
