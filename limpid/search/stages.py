"""One host for a whole search, so that an executor sets up its workers once: first the trials, then the finalists."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from limpid.population.host import Told
from limpid.population.member import Member, Outcome
from limpid.search.finalists import Finals
from limpid.search.trials import Trials


class Stages:
    """The host of a search.

    Args:
        trials: come first.
        make_finals: is called when no trial is in training and none will be.

    Attributes:
        finals: what it made; None before.
    """

    def __init__(self, trials: Trials, make_finals: Callable[[], Finals]) -> None:
        self._trials, self._make_finals = trials, make_finals
        self.finals: Finals | None = None

    def next(self) -> Member | None:
        if self.finals is None:
            member = self._trials.next()
            if member is not None or self._trials.in_training:
                return member
            self.finals = self._make_finals()
        return self.finals.next()

    def epochs(self, told: Sequence[Told]) -> list[bool]:
        return (self.finals or self._trials).epochs(told)

    def done(self, member: Member, outcome: Outcome) -> None:
        (self.finals or self._trials).done(member, outcome)
