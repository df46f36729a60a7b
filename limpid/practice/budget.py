"""What trials may take, what they took, and the request to stop that reaches trainings when nothing is left."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from limpid.errors import ConfigError, Stopped
from limpid.training.signals import StopRequest


class OutOfBudget(Exception):
    """The budget of trials is used up; what was finished before stands."""


@dataclass(frozen=True)
class Budget:
    """What trials may take, together: seconds of the clock, or steps of training, which are the same everywhere."""

    seconds: float = math.inf
    steps: float = math.inf

    @classmethod
    def parse(cls, text: str | float) -> Budget:
        """`90`, `90s`, `5m`, `1.5h`, `20000 steps`. Raises ConfigError for anything else.

        >>> Budget.parse("5m").seconds
        300.0
        """
        form = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|steps)?\s*", str(text))
        if form is None or not float(form[1]) > 0:
            raise ConfigError(
                f"budget={text}: expected a time such as 90s, 5m or 1h, or a number of steps: 20000 steps."
            )
        if form[2] == "steps":
            return cls(steps=float(form[1]))
        return cls(seconds=float(form[1]) * {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600}[form[2]])


class Purse:
    """A budget in use.

    Attributes:
        budget: what there was.
        steps: of training that were taken so far, those of trainings that were given up among them.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.steps = 0
        self._opened = time.monotonic()
        self._stop = StopRequest()

    @property
    def seconds(self) -> float:
        """Since the purse was opened."""
        return time.monotonic() - self._opened

    def can_afford(self, seconds: float, steps: float = 0.0) -> bool:
        """Whether so much more is within the budget."""
        return self.seconds + seconds <= self.budget.seconds and self.steps + steps <= self.budget.steps

    def spend(self, steps: int) -> None:
        """Hear of the steps of an epoch that has ended, of any training."""
        self.steps += steps
        self.expect(0)

    def expect(self, steps: int) -> None:
        """Hear of steps in an epoch that goes on; they are spent when it ends."""
        if not self.can_afford(0.0, steps):
            self._ask_to_stop()

    @contextmanager
    def spending(self) -> Iterator[StopRequest]:
        """Gives what asks the trainings inside to stop as soon as the budget is used up.

        Raises OutOfBudget where it was in the meantime, or before.
        """
        if not self.can_afford(0.0, 1.0):
            raise OutOfBudget
        self._stop = StopRequest()  # no handler of signals: Ctrl-C ends the whole program
        left = self.budget.seconds - self.seconds
        alarm = threading.Timer(min(left, threading.TIMEOUT_MAX), self._ask_to_stop)
        alarm.daemon = True
        alarm.start()
        try:
            yield self._stop
        except Stopped:
            raise OutOfBudget from None
        finally:
            alarm.cancel()
        if self._stop.requested is not None:
            raise OutOfBudget

    def _ask_to_stop(self) -> None:
        self._stop.requested = "SIGTERM"  # as a scheduler asks whose time is over
