"""Members dealt to workers in hands: those that wait sorted by kind, and given out by how much work waits of each.

A hand of several is trained as one program. What kills it says little of whose fault it was: those of a hand that are
not done are dealt once more, each alone, and their host hears no epoch twice. What kills a member that is alone in its
hand has failed it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from limpid.config import Config
from limpid.data.dataset import Dataset
from limpid.errors import LimpidError
from limpid.population.ground import Ground
from limpid.population.host import Host, Told
from limpid.population.lobby import LEAST_WIDTH, width_of
from limpid.population.member import Member, Outcome
from limpid.population.stackable import Unstackable, form_of

# Options of members that may be trained together all the same; see stackable.cohort_key for what must agree.
MAY_DIFFER = {"dropout", "keep", "init", "bias_init", "embedding_init", "start"}
MUST_AGREE = {"batch_size", "device", "matmul", "precision", "steps", "threads"}
USUAL_BATCH = 64  # rows; only to compare what waits, where no batch size is given


@dataclass(eq=False)
class Kind:
    """Members that wait, and can be trained as one as far as their configurations tell; on the same data.

    Attributes:
        width: how many of them are worth training as one; 1: each alone; None: not known yet.
    """

    dataset: Dataset
    members: deque[Member] = field(default_factory=deque)
    width: int | None = None

    @property
    def work(self) -> float:
        """In proportion to the steps that wait."""
        if not self.members:
            return 0.0
        training = self.members[0].config.training
        return len(self.members) * (training.epochs or 1) / (training.batch_size or USUAL_BATCH)


@dataclass(eq=False)
class Hand:
    """Members that one worker trains.

    Attributes:
        members: that are not done, by number.
        most: of them at a time; 1: a member that is trained alone.
    """

    kind: Kind
    members: dict[int, Member]
    most: int


class Dealer:
    """The owner of all hands: takes members from a host, deals them, and passes on what is said of them.

    Args:
        host: asks for members, and hears of them.
        ground: the data.
        ahead: members that may wait; more of them meet others of their kind.
        width: of every kind; None: as its first member tells, once two of it wait.
    """

    def __init__(self, host: Host, ground: Ground, *, ahead: int, width: int | None = None) -> None:
        self.host, self.ground = host, ground
        self.kinds: dict[Hashable, Kind] = {}
        self._ahead, self._width = ahead, width
        self._heard: dict[int, int] = {}  # epochs that the host knows of a member in training, by number

    def ask(self) -> bool:
        """Let members come while there is room; whether any wait. One whose data cannot be read is done at once."""
        while sum(len(kind.members) for kind in self.kinds.values()) < self._ahead:
            member = self.host.next()
            if member is None:
                break
            try:
                dataset = self.ground.dataset(member.config)
            except LimpidError as error:
                self.host.done(member, Outcome(member.number, "failed", reason=str(error)))
                continue
            key = likeness(member.config, dataset)
            self.kinds.setdefault(key, Kind(dataset, width=self._width)).members.append(member)
        return any(kind.members for kind in self.kinds.values())

    def deal(self, idle: int) -> Hand:
        """A hand for one of so many idle workers, of the kind of which most work waits: its share of all that waits.

        A few are not left behind where other kinds wait: as one more program they would take longer than as guests.
        """
        kinds = [kind for kind in self.kinds.values() if kind.members]
        kind = max(kinds, key=lambda kind: kind.work)
        total = sum(one.work for one in kinds)
        share = math.ceil(len(kind.members) * min(1.0, total / (idle * kind.work)))
        if len(kinds) >= idle and len(kind.members) - share < LEAST_WIDTH:
            share = len(kind.members)
        rounds = math.ceil(share / self._width_of(kind))
        members = [kind.members.popleft() for _ in range(math.ceil(share / rounds))]
        return Hand(kind, {member.number: member for member in members}, len(members))

    def successor(self, hand: Hand) -> Member | None:
        """One more member for a hand that has room: of its kind, or none."""
        self.ask()
        if not hand.kind.members or len(hand.members) >= hand.most:
            return None
        member = hand.kind.members.popleft()
        hand.members[member.number] = member
        return member

    def hear(self, hand: Hand, rows: Sequence[tuple[int, Mapping[str, Any], Mapping[str, Any] | None]]) -> list[bool]:
        """An epoch of each of some members, by number; whether each goes on. What the host knows goes on."""
        told = [Told(hand.members[n], row, valid) for n, row, valid in rows if row["epoch"] > self._heard.get(n, 0)]
        answers = self.host.epochs(told) if told else []
        goes_on = {one.member.number: answer for one, answer in zip(told, answers, strict=True)}
        self._heard |= {one.member.number: one.row["epoch"] for one in told}
        return [goes_on.get(number, True) for number, _, _ in rows]

    def done(self, hand: Hand, outcome: Outcome) -> None:
        """What came of a member."""
        self._heard.pop(outcome.number, None)
        self.host.done(hand.members.pop(outcome.number), outcome)

    def lose(self, hand: Hand, reason: str) -> None:
        """A hand whose training was cut off."""
        for member in list(hand.members.values()):
            if hand.most > 1:
                self.kinds["again", member.number] = Kind(hand.kind.dataset, deque([member]), width=1)
            else:
                self.done(hand, Outcome(member.number, "failed", reason=reason))

    def _width_of(self, kind: Kind) -> int:
        if kind.width is None and len(kind.members) > 1:
            try:
                form = form_of(self.ground.wiring(kind.members[0]))
            except LimpidError:  # it will say so when its turn comes
                form = Unstackable("")
            kind.width = 1 if isinstance(form, Unstackable) else width_of(form.num_weights)
        return kind.width or 1


def likeness(config: Config, dataset: Dataset) -> Hashable:
    """Equal for configurations whose networks can be trained as one, as far as can be told without building them."""
    optim = config.optim
    return (
        id(dataset),
        config.model.model_dump_json(exclude=MAY_DIFFER),
        config.training.model_dump_json(include=MUST_AGREE),
        config.augment.model_dump_json(),
        (optim.accumulate, bool(optim.ema), bool(optim.swa), bool(optim.lookahead), bool(optim.sam_rho)),
    )
