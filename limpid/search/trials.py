"""The asking side of a search: what is tried next, whether a trial goes on, and what came of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.errors import LimpidError
from limpid.population.host import Told
from limpid.population.member import Member, Outcome
from limpid.search.folder import Row, SearchFolder
from limpid.search.study import Asked, Study


class Audience(Protocol):
    """Who is told how a search goes: a terminal, or nobody."""

    def begins(self, folder: SearchFolder) -> None: ...
    def way(self, text: str) -> None: ...
    def epoch(self) -> None: ...
    def trial(self, row: Row, *, best: bool) -> None: ...
    def finals(self, count: int) -> None: ...
    def final(self, row: Row) -> None: ...
    def close(self) -> None: ...


class Silence:
    """An audience that shows nothing; reporting/search_screen.py has one that does."""

    def begins(self, folder: SearchFolder) -> None: ...
    def way(self, text: str) -> None: ...
    def epoch(self) -> None: ...
    def trial(self, row: Row, *, best: bool) -> None: ...
    def finals(self, count: int) -> None: ...
    def final(self, row: Row) -> None: ...
    def close(self) -> None: ...


class Trials:
    """The host of a search's members.

    Args:
        study: what is asked and told.
        folder: gets a row for each trial, and the weights of the best.
        base: configuration that every trial changes.
        seconds: after which no trial begins, and those in training are let go; None: no such time.
        audience: is told of each trial.
    """

    def __init__(
        self,
        study: Study,
        folder: SearchFolder,
        base: Config,
        audience: Audience,
        *,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study, self._folder, self._base, self._audience = study, folder, base, audience
        self._clock, self._until = clock, math.inf if seconds is None else clock() + seconds
        self._asked: dict[int, Asked] = {}  # that are in training
        self._again = [asked for asked in study.left_over(folder.trials) if not self._recorded(asked)]

    def _recorded(self, asked: Asked) -> bool:
        """Whether the record has what came of a trial of which optuna knows nothing: then it is told now."""
        row = self._folder.trials.get(asked.number)
        if row is not None:
            self._study.tell(asked.number, row["state"], row["figure"])
        return row is not None

    @property
    def in_training(self) -> int:
        """Trials that were asked for and have not ended."""
        return len(self._asked)

    @property
    def overdue(self) -> bool:
        """Whether the time is over."""
        return self._clock() >= self._until

    def next(self) -> Member | None:
        while (asked := self._next()) is not None:
            self._asked[asked.number] = asked
            try:
                patch = self._folder.space.patch(asked.params)
                return Member(asked.number, with_options(self._base, patch))
            except LimpidError as error:
                self._take(asked, Outcome(asked.number, "failed", reason=str(error)))
        return None

    def _next(self) -> Asked | None:
        if self.overdue:
            return None
        if self._again:
            return self._again.pop(0)
        most = self._study.sampler.most
        limit = self._folder.budget if most is None else min(most, self._folder.budget)
        while self._study.num_trials < limit and self._study.can_ask():
            asked = self._study.ask()
            if not self._recorded(asked):  # one that is recorded already comes where study.log was lost
                return asked
        return None

    def epochs(self, told: Sequence[Told]) -> list[bool]:
        return [self._goes_on(*one) for one in told]

    def _goes_on(self, member: Member, row: Mapping[str, Any], valid_row: Mapping[str, Any] | None) -> bool:
        self._audience.epoch()
        if self.overdue:
            return False
        if valid_row is None:
            return True
        goes_on = self._study.report(member.number, valid_row["epoch"], valid_row[self._folder.plan.metric])
        # A trial that has had all its epochs is not let go: it has its figure.
        return goes_on or valid_row["epoch"] >= (member.config.training.epochs or self._folder.plan.epochs)

    def done(self, member: Member, outcome: Outcome) -> None:
        metric = self._folder.plan.metric
        if outcome.state == "finished" and not math.isfinite(outcome.figure):
            outcome = replace(outcome, state="failed", reason=f"Its {metric} on the validation rows is never a number.")
        elif outcome.state == "pruned":
            why = "the time was over" if self.overdue else f"by {self._folder.plan.pruner}"
            outcome = replace(outcome, reason=f"let go after epoch {outcome.epochs}: {why}")
        self._take(self._asked[member.number], outcome)

    def _take(self, asked: Asked, outcome: Outcome) -> None:
        del self._asked[asked.number]
        row = self._folder.add(asked.stage, asked.params, self._folder.plan.seed, outcome)
        self._folder.keep(outcome)
        self._study.tell(asked.number, outcome.state, outcome.figure)
        self._audience.trial(row, best=self._folder.best_trials(1) == [row])
