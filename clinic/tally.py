"""Rows of cases as counts: what each check found where, how often it was right, and how often it cried wolf."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clinic.condition import Condition

ALARMS = ("warning", "stop")  # levels that a user sees in the terminal
Z = 1.96  # of a 95 % interval

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Share:
    """So many of so many, with Wilson's 95 % interval."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """(p + z^2/2n -+ z sqrt(p (1-p)/n + z^2/4n^2)) / (1 + z^2/n). Source: Wilson 1927.

        >>> [round(end, 3) for end in Share(9, 10).interval]
        [0.596, 0.982]
        """
        if not self.n:
            return (0.0, 1.0)
        p, n = self.value, self.n
        half = Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
        middle = p + Z**2 / (2 * n)
        return (max(0.0, (middle - half) / (1 + Z**2 / n)), min(1.0, (middle + half) / (1 + Z**2 / n)))

    def render(self) -> str:
        """ "9/10 (60-98 %)"; "-" of nothing."""
        if not self.n:
            return "-"
        low, high = self.interval
        return f"{self.hits}/{self.n} ({100 * low:.0f}-{100 * high:.0f} %)"


@dataclass
class Record:
    """What the clinic knows of one check."""

    code: str
    exists: bool = True
    found: Share = Share(0, 0)  # among the findings, at any level, on its sick runs
    alarmed: Share = Share(0, 0)  # the same at warning level
    first: Share = Share(0, 0)  # or its kin, as the first-ranked root cause
    false: Share = Share(0, 0)  # warnings on healthy runs in which it could say something
    noted: int = 0  # notes on healthy runs
    near: Share = Share(0, 0)  # near misses on which it stayed silent
    elsewhere: Counter[str] = field(default_factory=Counter)  # sick conditions of other codes on which it warned


def fired(row: Mapping[str, Any], *, alarms: bool = False) -> set[str]:
    """Codes of the findings of a row; with `alarms` only those of warning level and above."""
    return {one["code"] for one in row.get("findings", ()) if not alarms or one["level"] in ALARMS}


def stands_first(row: Mapping[str, Any], codes: Iterable[str]) -> bool:
    """Whether the root cause is one of these; where all findings are notes, they stand side by side."""
    if any(one["level"] in ALARMS for one in row["findings"]):
        return row["first"] in codes
    return bool(fired(row) & set(codes))


def usable(rows: Rows) -> list[Mapping[str, Any]]:
    """The rows of cases that ran; a refusal of the data is counted apart, an error is a fault of ours."""
    return [row for row in rows if row["status"] in ("finished", "failed")]


def tally(rows: Rows, conditions: Mapping[str, Condition], known: Iterable[str]) -> dict[str, Record]:
    """One record for each check that exists or ought to, by code."""
    planted = {condition.code for condition in conditions.values() if condition.group == "sick"}
    records = {code: Record(code, exists=code in set(known)) for code in sorted({*known, *planted})}
    ran = usable(rows)
    for code, record in records.items():
        sick = [row for row in ran if _is(conditions[row["condition"]], "sick", code)]
        near = [row for row in ran if _is(conditions[row["condition"]], "near", code)]
        healthy = [row for row in ran if conditions[row["condition"]].group == "healthy" and code in row["asked"]]
        record.found = _count(code in fired(row) for row in sick)
        record.alarmed = _count(code in fired(row, alarms=True) for row in sick)
        record.first = _count(stands_first(row, (code, *conditions[row["condition"]].kin)) for row in sick)
        record.false = _count(code in fired(row, alarms=True) for row in healthy)
        record.noted = sum(code in fired(row) - fired(row, alarms=True) for row in healthy)
        record.near = _count(code not in fired(row, alarms=True) for row in near)
        for row in ran:
            condition = conditions[row["condition"]]
            if condition.group == "sick" and condition.code != code and code in fired(row, alarms=True):
                record.elsewhere[condition.name] += 1
    return records


def false_alarms(rows: Rows, conditions: Mapping[str, Condition], scope: str = "run") -> Share:
    """Healthy runs, or searches, with at least one finding at warning level."""
    chosen = [
        name for name, condition in conditions.items() if (condition.group, condition.scope) == ("healthy", scope)
    ]
    healthy = [row for row in usable(rows) if row["condition"] in chosen]
    return _count(bool(fired(row, alarms=True)) for row in healthy)


def confusion(rows: Rows) -> dict[str, Counter[str]]:
    """Condition -> how many of its runs each check fired on, at any level; "runs" counts them."""
    table: dict[str, Counter[str]] = {}
    for row in usable(rows):
        counts = table.setdefault(row["condition"], Counter())
        counts["runs"] += 1
        counts.update(fired(row))
    return table


def _is(condition: Condition, group: str, code: str) -> bool:
    return condition.group == group and condition.code == code


def _count(hits: Iterable[bool]) -> Share:
    kept = list(hits)
    return Share(sum(kept), len(kept))
