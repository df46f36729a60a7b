"""The members of one run, as its record tells them: what each reached, their mean and their spread.

Shapes: M members.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from limpid.reporting.intervals import mean_interval
from limpid.reporting.reading import Reading, Row
from limpid.reporting.text import SHARES

FROM_ZERO = {"f1", "macro_f1", "auc"}  # to one, and printed as they are


@dataclass(frozen=True)
class Spread:
    """Mean of M figures, their standard deviation (M - 1), the 95 % interval of the mean by Student's t, and range.

    With one figure, deviation and interval are NaN.
    """

    n: int
    mean: float
    deviation: float
    low: float
    high: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float], name: str = "", *, judged: int = 0, overlap: float = 0.0) -> Spread:
        """Of at least one figure; the interval stays within what the figure can be.

        Args:
            judged: rows that each figure comes from: a share of so many is known in steps only, and several may agree
                by chance. 0: unknown.
            overlap: of training rows, see `mean_interval`.
        """
        import numpy as np

        values_M = np.asarray(values, dtype=np.float64)
        low = high = deviation = math.nan
        if len(values_M) > 1:
            step = math.sqrt(0.5) / judged if judged and name in SHARES else 0.0  # variance of rounding: step²/12
            low, high = mean_interval(values_M, step=step, overlap=overlap)
            deviation = float(values_M.std(ddof=1))
            low = max(low, 0.0) if name in SHARES | FROM_ZERO else low
            high = min(high, 1.0) if name in SHARES | FROM_ZERO | {"r2"} else high
        return cls(
            len(values_M), float(values_M.mean()), deviation, low, high, float(values_M.min()), float(values_M.max())
        )


@dataclass(frozen=True)
class Population:
    """The members of a run.

    Attributes:
        how: what members differ by: seeds, bagging, snapshot, folds or sizes.
        rows: of the members that have ended, by rising number.
        results: of those that answer, on the split that the run is scored on, by number.
        held_out: the score on training rows by members that have not seen them; None: there is none.
        figure: name of the validation figure that they are compared by.
        answering: numbers of those whose mean answers.
        judged: rows that each validation figure comes from.
        failed: members that came to nothing.
    """

    how: str
    rows: list[Row]
    results: dict[int, Row]
    held_out: Row | None
    figure: str
    answering: frozenset[int]
    judged: int = 0
    failed: list[Row] = field(default_factory=list)

    def value(self, row: Row) -> float | None:
        """The validation figure of a member."""
        found = (row.get("valid") or {}).get(self.figure)
        found = row.get("figure") if found is None and row.get("monitor") == self.figure else found
        return float(found) if isinstance(found, int | float) and math.isfinite(found) else None

    def values(self) -> list[float]:
        """The validation figures of those members that answer."""
        found = [self.value(row) for row in self.rows if row["number"] in self.answering]
        return [value for value in found if value is not None]

    def spread(self) -> Spread:
        """Of the validation figures of those members that answer, of which there is one at least."""
        count = len(self.answering) + len(self.failed)
        overlap = 1 / (count - 1) if self.how == "folds" and count > 1 else 0.0
        return Spread.of(self.values(), self.figure, judged=self.judged, overlap=overlap)

    def score_spread(self, name: str) -> Spread:
        """The same of what they reached on the split that the run is scored on."""
        rows = [int(row.get("n") or 0) for row in self.results.values()]
        return Spread.of(self.scores(name), name, judged=min(rows, default=0))

    def size_spreads(self) -> list[tuple[int, Spread]]:
        """The same of the figures with each number of training rows."""
        return [(rows, Spread.of(values, self.figure, judged=self.judged)) for rows, values in self.sizes()]

    def scores(self, name: str) -> list[float]:
        """What those members that answer reached on the split that the run is scored on."""
        found = [self.results[number].get(name) for number in sorted(self.results)]
        return [float(value) for value in found if isinstance(value, int | float) and math.isfinite(value)]

    def sizes(self) -> list[tuple[int, list[float]]]:
        """Numbers of training rows, rising, and the validation figures that were reached with so many."""
        by_rows: dict[int, list[float]] = {}
        for row in self.rows:
            value = self.value(row)
            if value is not None and isinstance(row.get("rows"), int):
                by_rows.setdefault(row["rows"], []).append(value)
        return sorted(by_rows.items())

    def to_row(self, score: str | None) -> Row:
        """What there is to know of the members, as plain values."""
        row: Row = {"how": self.how, "members": len(self.answering), "failed": len(self.failed)}
        if self.values():
            row["valid"] = {"figure": self.figure, **vars(self.spread())}
        if score and self.scores(score):
            row["members_score"] = {"figure": score, **vars(self.score_spread(score))}
        if self.held_out:
            row["held_out"] = {key: value for key, value in self.held_out.items() if key not in ("kind", "time")}
        if self.how == "sizes":
            row["sizes"] = [{"rows": rows, **vars(spread)} for rows, spread in self.size_spreads()]
        return row


def read_population(reading: Reading) -> Population | None:
    """The members of a run; None where it has none, or joins runs that were trained apart."""
    training = (reading.header.get("config") or {}).get("training") or {}
    known = {row["number"]: row for row in reading.run.events("member") if isinstance(row.get("number"), int)}
    described = reading.header.get("members") or ()
    if not known or not described:
        return None
    rows = [known[number] for number in sorted(known)]
    alive = [row for row in rows if row.get("state", "finished") == "finished"]
    failed = [row for row in rows if row not in alive]
    numbers = {one.get("number", place) for place, one in enumerate(described, 1)}
    results = {row["number"]: row for row in reading.run.events("member_result")}
    held_out = reading.run.events("held_out")
    how = "sizes" if training.get("sizes") else str(training.get("ensemble", "seeds"))
    monitor = str(rows[0].get("monitor", "loss"))
    name = reading.score or monitor
    name = name if alive and all(name in (row.get("valid") or {}) for row in alive) else monitor
    answering = frozenset(row["number"] for row in alive if row["number"] in numbers)
    judged = int(reading.data.get("num_valid") or 0)
    if how == "folds" and held_out:
        judged = int(held_out[-1].get("of") or 0) // len(described)
    last = held_out[-1] if held_out else None
    return Population(how, alive, results, last, name, answering, judged, failed)
