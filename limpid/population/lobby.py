"""Where members wait, sorted by whom they can be trained with."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from limpid.cores import usable_cores
from limpid.data.dataset import Dataset, ResidentRows, Split
from limpid.data.loader import Loader
from limpid.errors import LimpidError
from limpid.models.network import Network
from limpid.population.ground import Ground
from limpid.population.host import Host
from limpid.population.member import Member, Outcome
from limpid.population.memory import memory_suffices
from limpid.population.slots import Slot, make_slot
from limpid.population.stack_cohort import Cohort
from limpid.population.stack_loader import Columns
from limpid.population.stackable import Unstackable, cohort_key, form_of

# Numbers in the weights of all members of a stack, 2 MiB. With gradients, averages and updates a step moves five times
# that. Measured on one core: networks of 6,570 weights gain up to 64 at a time, of 17,226 up to 25, of 50,826 up to 8.
MOST_NUMBERS = 2**19
LEAST_WIDTH, MOST_WIDTH = 8, 64
MOST_WAITING = 256  # members that are wired before their turn, so that those who fit together meet
MOST_WEIGHTS_WAITING = 2**25  # in all of them, 128 MiB


@dataclass
class Company:
    """Members that fit together and wait.

    Attributes:
        slots: their places, to be.
        data: what a cohort needs to know of the data.
        num_weights: of each of them.
        most: of them at a time, where more did not fit in memory.
    """

    data: dict[str, Any]
    num_weights: int
    slots: deque[Slot] = field(default_factory=deque)
    most: int = MOST_WIDTH

    @property
    def width(self) -> int:
        """How many of them to train at a time."""
        return min(self.most, width_of(self.num_weights))


def width_of(num_weights: int) -> int:
    """How many members of so many weights each are worth training at a time."""
    return min(MOST_WIDTH, max(LEAST_WIDTH, MOST_NUMBERS // num_weights))


class Lobby:
    """Members that a host has asked for, and that are not in training yet.

    Attributes:
        companies: of those that can be stacked, by what they must agree in.
        alone: the others, each with the reason.
    """

    def __init__(self, host: Host, ground: Ground) -> None:
        self.host, self.ground = host, ground
        self.companies: dict[Hashable, Company] = {}
        self.alone: deque[tuple[Member, str]] = deque()
        self._schedules: dict[Any, Any] = {}
        self._columns: dict[int, tuple[Dataset, Columns, Columns | None]] = {}

    def ask(self) -> bool:
        """Let members in while there is room; whether any wait. One that cannot be built is done at once."""
        while self._has_room() and (member := self.host.next()) is not None:
            try:
                with memory_suffices():
                    self._admit(member)
            except LimpidError as error:
                self.host.done(member, Outcome(member.number, "failed", reason=str(error)))
        return bool(self.alone) or any(company.slots for company in self.companies.values())

    def largest(self) -> Hashable:
        """The company of which most wait."""
        return max(self.companies, key=lambda key: len(self.companies[key].slots))

    def draw(self, key: Hashable) -> list[Slot]:
        """The members of a company whose turn it is."""
        company = self.companies[key]
        return [company.slots.popleft() for _ in range(min(company.width, len(company.slots)))]

    def cohort(self, key: Hashable, first: list[Slot]) -> Cohort:
        """Members of a company as one; who comes later takes the places of those who are done."""
        company = self.companies[key]

        def successor() -> Slot | None:
            self.ask()
            return company.slots.popleft() if company.slots else None

        return Cohort(self.host, first, width=len(first), successor=successor, **company.data)

    def _has_room(self) -> bool:
        companies = self.companies.values()
        weights = sum(len(company.slots) * company.num_weights for company in companies)
        waiting = sum(len(company.slots) for company in companies)
        return waiting < MOST_WAITING and weights < MOST_WEIGHTS_WAITING and len(self.alone) < 2 * usable_cores()

    def _admit(self, member: Member) -> None:
        wiring, dataset = self.ground.wiring(member), self.ground.dataset(member.config)
        form = form_of(wiring)
        if isinstance(form, Unstackable):
            self.alone.append((member, form.reason))
            return
        key = cohort_key(wiring, form, dataset)
        if key not in self.companies:
            train, valid = self._standardised(dataset, wiring.network)
            assert isinstance(wiring.parts.train, Loader)
            data = {
                "split": dataset.train,
                "train": train,
                "valid": valid,
                "batch_size": wiring.parts.train.batch_size,
                "num_batches": wiring.parts.train.num_batches,
            }
            self.companies[key] = Company(data, form.num_weights)
        slot = make_slot(member, wiring, form, len(dataset.train), self._schedules)
        self.companies[key].slots.append(slot)

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
