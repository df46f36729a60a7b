"""Many members trained as one program: their weights stacked, their batches side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from limpid.data.dataset import Dataset, ResidentRows, Split
from limpid.errors import LimpidError
from limpid.models.network import Network
from limpid.population.ground import Ground
from limpid.population.host import Host
from limpid.population.lone import train_wired
from limpid.population.member import Member, Outcome
from limpid.population.slots import Slot, make_slot
from limpid.population.stack_cohort import Cohort
from limpid.population.stack_loader import Columns
from limpid.population.stackable import Unstackable, cohort_key, form_of
from limpid.training.randomness import own_randomness
from limpid.training.signals import StopRequest
from limpid.wiring import Wiring

WIDTH = 64
MOST_WAITING = 256  # members that are wired before their turn, so that those who fit together meet


def train_stacked(host: Host, ground: Ground, *, stop: StopRequest | None = None) -> None:
    """Train every member that the host asks for, those that fit together as one; others one after another.

    Raises Stopped when `stop` asks for it.
    """
    lobby = Lobby(host, ground)
    while lobby.ask():
        if lobby.alone:
            member, wiring = lobby.alone.popleft()
            host.done(member, train_wired(member, wiring, lambda *rows, m=member: host.epoch(m, *rows), stop=stop))
        else:
            with own_randomness(0):  # to explain a failure may take a forward pass
                lobby.cohort().train(stop=stop)


class Lobby:
    """Members that wait, wired, in the company of those that they could be trained with."""

    def __init__(self, host: Host, ground: Ground) -> None:
        self.host, self.ground = host, ground
        self.alone: deque[tuple[Member, Wiring]] = deque()
        self.together: dict[Hashable, deque[Slot]] = {}
        self._facts: dict[Hashable, dict[str, Any]] = {}
        self._schedules: dict[Any, Any] = {}
        self._columns: dict[int, tuple[Dataset, Columns, Columns | None]] = {}

    def ask(self) -> bool:
        """Let members in while there is room; whether any wait."""
        while self._waiting() < MOST_WAITING and (member := self.host.next()) is not None:
            try:
                wiring, dataset = self.ground.wiring(member), self.ground.dataset(member.config)
            except LimpidError as error:
                self.host.done(member, Outcome(member.number, "failed", reason=str(error)))
                continue
            form = form_of(wiring)
            if isinstance(form, Unstackable):
                self.alone.append((member, wiring))
                continue
            key = cohort_key(wiring, form, dataset)
            slot = make_slot(member, wiring, form, len(dataset.train), self._schedules)
            self.together.setdefault(key, deque()).append(slot)
            if key not in self._facts:
                train, valid = self._standardised(dataset, wiring.network)
                self._facts[key] = {
                    "split": dataset.train,
                    "train": train,
                    "valid": valid,
                    "batch_size": wiring.parts.train.batch_size,  # type: ignore[attr-defined]
                    "num_batches": wiring.parts.train.num_batches,
                }
        return self._waiting() > 0

    def cohort(self) -> Cohort:
        """The largest company that waits."""
        key = max(self.together, key=lambda key: len(self.together[key]))
        waiting = self.together[key]
        first = [waiting.popleft() for _ in range(min(WIDTH, len(waiting)))]
        return Cohort(self.host, first, width=len(first), successor=self._successor_of(key), **self._facts[key])

    def _successor_of(self, key: Hashable) -> Callable[[], Slot | None]:
        def successor() -> Slot | None:
            self.ask()
            return self.together[key].popleft() if self.together[key] else None

        return successor

    def _waiting(self) -> int:
        return len(self.alone) + sum(map(len, self.together.values()))

    def _standardised(self, dataset: Dataset, network: Network) -> tuple[Columns, Columns | None]:
        if id(dataset) not in self._columns:
            valid = None if dataset.valid is None else _columns(dataset.valid, network)
            self._columns[id(dataset)] = (dataset, _columns(dataset.train, network), valid)
        return self._columns[id(dataset)][1:]


def _columns(split: Split, network: Network) -> Columns:
    assert isinstance(split.rows, ResidentRows)
    device = network.scale.mean.device
    first, *rest = split.rows.to(device).tensors
    return Columns((network.scale(first), *rest), split.target.to(device))
