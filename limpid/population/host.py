"""Who asks for members and hears of them: a search, a list of seeds, the folds of a cross-validation.

An executor takes members from its host while it has room for them, tells it of every epoch, and hands over what came
of each. It may train several at a time, in any order, and tells of those that it trains together in one call; a host
that needs answers before it can ask for more says so by having no next member, and is asked again after the next
outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from limpid.population.member import Member, Outcome


class Told(NamedTuple):
    """An epoch of a member: its metric row of training, and of validation where there was one."""

    member: Member
    row: Mapping[str, Any]
    valid_row: Mapping[str, Any] | None


class Host(Protocol):
    """The asking side of a population."""

    def next(self) -> Member | None:
        """The next member to train; None: there is none now, nor ever where nothing is being trained."""

    def epochs(self, told: Sequence[Told]) -> list[bool]:
        """Hear of an epoch of each of some members. False, at its place: train this one no further."""

    def done(self, member: Member, outcome: Outcome) -> None:
        """Take what came of a member."""


class Listed:
    """The plainest host: a given list of members, each trained to its end; `outcomes` by number."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._waiting = iter(members)
        self.outcomes: dict[int, Outcome] = {}

    def next(self) -> Member | None:
        return next(self._waiting, None)

    def epochs(self, told: Sequence[Told]) -> list[bool]:
        return [True] * len(told)

    def done(self, member: Member, outcome: Outcome) -> None:
        self.outcomes[member.number] = outcome
