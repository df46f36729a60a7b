"""How often each check was right and how often it cried wolf, as the clinic last counted it (error_rates.toml)."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class ErrorRate:
    """Counts of one check over runs that were kept back from calibration.

    Attributes:
        found: sick runs among whose findings it was.
        sick: runs with a fault of its kind planted.
        first: sick runs in which it, or another word for the same fault, was the root cause ranked first.
        false_alarms: healthy runs on which it warned.
        healthy: healthy runs in which it could say something.
    """

    found: int
    sick: int
    first: int
    false_alarms: int
    healthy: int

    @property
    def sensitivity(self) -> float:
        """found / sick; NaN where nothing was planted."""
        return self.found / self.sick if self.sick else math.nan

    @property
    def false_alarm_rate(self) -> float:
        """false_alarms / healthy; NaN where it was never asked."""
        return self.false_alarms / self.healthy if self.healthy else math.nan

    def cells(self) -> dict[str, str]:
        """Both as texts with their counts: "96 % of 24", "0.3 % of 390"; empty where nothing was counted."""
        found = f"{100 * self.sensitivity:.0f} % of {self.sick}" if self.sick else ""
        false = f"{100 * self.false_alarm_rate:.1f} % of {self.healthy}" if self.healthy else ""
        return {"found": found, "false alarms": false}


UNKNOWN = ErrorRate(0, 0, 0, 0, 0)


@cache
def error_rates() -> dict[str, ErrorRate]:
    """By code of the check; a check that the clinic has not met is left out."""
    if not FILE.is_file():
        return {}
    values = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {code: ErrorRate(**counts) for code, counts in values.items() if isinstance(counts, dict)}
