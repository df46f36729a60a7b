"""A population inside one run: its members trained, kept in folders of their own, and averaged as the run's network.

Each member is a run of its own in the folder members/ of the run, written when it has ended, so that an interrupted
training goes on with the members that are missing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from limpid.errors import NonFiniteLoss, RecordError, Stopped
from limpid.models.ensemble import as_network, inner, members_of
from limpid.population.choice import Choice
from limpid.population.executors import train_population
from limpid.population.host import Told
from limpid.population.lineup import Lineup, specs_of
from limpid.population.member import Member, Outcome
from limpid.record.files import make_folder, remove_tree, unforced
from limpid.record.run import Run
from limpid.training.position import Position
from limpid.training.signals import StopRequest
from limpid.training.stopping import EarlyStopping
from limpid.training.tensors import BEST, encode_tensors, load_weights
from limpid.wiring import Wiring

FOLDER = "members"


@runtime_checkable
class Audience(Protocol):
    """An observer that wants to know what comes of members."""

    def way(self, text: str) -> None: ...
    def member(self, row: Mapping[str, Any], ended: int, count: int) -> None: ...


def fit_members(
    wiring: Wiring, lineup: Lineup, run: Run, observer: Any, *, stop: StopRequest
) -> tuple[Wiring, Position]:
    """Train what is missing of the members, fill those that answer into the run's network, and keep its weights.

    A member that failed is left out of the network.

    Raises NonFiniteLoss when every member failed, Stopped when `stop` asks for it; what is finished of the members
    stays.
    """
    started = time.perf_counter()
    shelf = Shelf(wiring, lineup, run, observer)
    try:
        train_population(shelf, lineup.ground, on=wiring.config.training.on, stop=stop, tell=shelf.tell)
    except Stopped as error:
        kept = f"{shelf.ended} of {len(lineup.members)} members have ended and are kept."
        raise Stopped(f"Stopped by {error.signal}; {kept}", error.signal) from None
    weights = {number: shelf.weights[number] for number in lineup.answering if number in shelf.weights}
    if not weights:
        raise NonFiniteLoss(f"None of the {len(lineup.answering)} members was trained to its end. {shelf.reason}")
    answering, networks = [], []
    for place, (number, member) in enumerate(zip(lineup.answering, members_of(wiring.network), strict=True)):
        if number in weights:
            network = inner(member)
            network.load_state_dict(weights[number])
            networks.append(network)
            answering.append(wiring.members[place])
    if len(networks) < len(lineup.answering):
        run.add("note", text=f"{len(lineup.answering) - len(networks)} member(s) failed and do not answer.")
        whole = as_network(networks, wiring.dataset.spec, specs_of(answering)).to(wiring.plan.device)
        wiring = replace(wiring, network=whole, members=answering)
    shelf.total.seconds = time.perf_counter() - started
    return wiring, keep_whole(wiring, run, shelf.total)


def keep_whole(wiring: Wiring, run: Run, total: Position) -> Position:
    """Write the weights of the network of all members as the one checkpoint of its run."""
    total.finished = True
    run.write_checkpoint(total.step, {BEST: encode_tensors(wiring.network.state_dict())}, keep=1)
    run.add("checkpoint", step=total.step, epoch=total.epoch)
    return total


class Shelf:
    """The host of a run's members: asks for those that are missing, and keeps what comes of each.

    Members of a snapshot ensemble begin with the weights of the one before: they are asked for one at a time.

    Attributes:
        weights: of the finished members that answer, by number.
        ended: members so far, those of an earlier process included.
        total: steps and epochs of all members, and samples of those that were trained now.
        reason: why the last of the failed members failed.
    """

    def __init__(self, wiring: Wiring, lineup: Lineup, run: Run, observer: Any) -> None:
        self._wiring, self._lineup, self._run, self._observer = wiring, lineup, run, observer
        self._snapshot = wiring.config.training.ensemble == "snapshot"
        self.ended = self._in_training = 0
        self._previous: str | None = None
        self.weights: dict[int, Mapping[str, Tensor]] = {}
        self.total = Position(EarlyStopping(wiring.plan.higher_is_better))
        self.reason = ""
        make_folder(run.path / FOLDER, exist_ok=True)
        known = {row["number"]: row for row in run.events("member")}
        missing = [one for one in lineup.members if not self._is_kept(one, known.get(one.number + 1))]
        self._waiting = iter(missing)

    def tell(self, choice: Choice) -> None:
        """Pass on how members are trained together."""
        if choice.members < 2:
            return
        self._run.add("note", text=f"Trained {choice.text()}.")
        if isinstance(self._observer, Audience):
            self._observer.way(choice.text())

    def next(self) -> Member | None:
        if self._snapshot and self._in_training:
            return None
        member = next(self._waiting, None)
        if member is None:
            return None
        self._in_training += 1
        if self._previous is None:
            return member
        model = member.config.model.model_copy(update={"start": self._previous})
        return replace(member, config=member.config.model_copy(update={"model": model}))

    def epochs(self, told: Sequence[Told]) -> list[bool]:
        for member, row, valid_row in told:
            self._observer.epoch({**row, "member": member.number + 1}, valid_row)
        return [True] * len(told)

    def done(self, member: Member, outcome: Outcome) -> None:
        self._in_training -= 1
        folder = self._folder(member)
        with unforced():
            _write_member(folder, member, outcome, self._lineup, self._run)
        self._count(member, outcome.to_row(), outcome.weights)
        epochs = [row for row in outcome.rows if row["split"] == "train"]
        self.total.samples += round(sum(row["seconds"] * row["samples_per_second"] for row in epochs))
        path = str(folder.relative_to(self._run.path))
        row = {**outcome.to_row(), "number": member.number + 1, "path": path, **_differs(member, self._lineup)}
        self._run.add("member", **row)
        if isinstance(self._observer, Audience):
            self._observer.member(row, self.ended, len(self._lineup.members))

    def _folder(self, member: Member) -> Path:
        width = len(str(len(self._lineup.members)))
        return self._run.path / FOLDER / f"{member.number + 1:0{width}}"

    def _is_kept(self, member: Member, row: Mapping[str, Any] | None) -> bool:
        """Whether an earlier process trained this member, and its folder is intact; what is not is removed."""
        folder = self._folder(member)
        if row is not None and row["state"] == "failed":
            self._count(member, row, None)
            return True
        try:
            checkpoint = Run.open(folder).latest_checkpoint() if row is not None else None
        except RecordError:
            checkpoint = None
        if row is None or checkpoint is None:
            if folder.exists():
                remove_tree(folder)
            return False
        self._count(member, row, load_weights(checkpoint))
        return True

    def _count(self, member: Member, row: Mapping[str, Any], weights: Mapping[str, Tensor] | None) -> None:
        self.ended += 1
        self.total.step += row["steps"]
        self.total.epoch += row["epochs"]
        if weights is None:
            self.reason = row["reason"]
        elif member.number in self._lineup.answering:
            self.weights[member.number] = weights
        if self._snapshot and weights is not None:
            self._previous = str(self._folder(member))


def _write_member(folder: Path, member: Member, outcome: Outcome, lineup: Lineup, parent: Run) -> None:
    """The folder of a member that has ended: its rows, and its weights where it finished."""
    created = {key: parent.header[key] for key in ("created", "limpid") if key in parent.header}
    with Run.create(folder, created | lineup.header_of(member)) as run:
        for row in outcome.rows:
            run.add("metric", **row)
        if outcome.weights is not None:
            run.write_checkpoint(outcome.steps, {BEST: encode_tensors(outcome.weights)}, keep=1)
            run.add("checkpoint", step=outcome.steps, epoch=outcome.epochs)
        best = {"best_step": outcome.best_step} if outcome.weights is not None else {}
        run.add("end", status=outcome.state, reason=outcome.reason, step=outcome.steps, seconds=outcome.seconds, **best)


def _differs(member: Member, lineup: Lineup) -> dict[str, Any]:
    """What sets a member apart from the others; `rows` are those that it trains on."""
    data, rows = member.config.data, lineup.ground.dataset(member.config).spec.num_train
    found: dict[str, Any] = {"seed": member.config.training.seed, "rows": rows, "fold": data.fold}
    found["bootstrap"] = member.bootstrap
    if lineup.header["config"]["training"]["sizes"]:
        found |= {"share": data.train_share or 1.0, "draw": data.train_draw}
    return {key: value for key, value in found.items() if value is not None}
