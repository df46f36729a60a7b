"""The times of a series: which column holds them, how far apart the steps are, and what is wrong with them.

A step is one of: so many months (dates that share their day of the month, or are all the last of theirs), so many
microseconds, or so much of a number.
"""

from __future__ import annotations

import calendar
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from limpid.data.column_types import as_moments, as_numbers, infer_type
from limpid.errors import DataError

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Unit = Literal["month", "microsecond", "number"]

MONTH = r"^\d{4}-\d{1,2}$"
PARTS = ("year", "month", "day", "hour", "minute", "second")  # columns that together are a date
EPOCH = datetime(1970, 1, 1)
SAME = 1e-6  # steps of numbers count as equal up to this share
NAMED_STEPS = {3600: "hour", 86_400: "day", 604_800: "week", 60: "minute", 1: "second"}


@dataclass(frozen=True)
class TimeAxis:
    """Equally spaced times.

    Attributes:
        columns: that hold the times; none: rows are taken as equally spaced.
        step: so many units.
        last: time of the last row, in units since 1970 (dates) or 0 (numbers).
        day: day of the month of monthly dates, 0 for the last one.
        form: how a time is written: "%Y-%m", ...
    """

    columns: tuple[str, ...]
    unit: Unit
    step: float
    last: float
    day: int = 1
    form: str = ""

    def after(self, steps: int) -> str:
        """The time so many steps after the last row (0: that of the last row), as text."""
        return self.text_of(self.last + steps * self.step)

    def text_of(self, time: float) -> str:
        """A time in units as text."""
        if self.unit == "number":
            return str(int(time)) if float(time).is_integer() else f"{time:.12g}"
        if self.unit == "microsecond":
            return (EPOCH + timedelta(microseconds=time)).strftime(self.form)
        year, month = divmod(round(time), 12)
        day = min(self.day or 31, calendar.monthrange(year + 1970, month + 1)[1])
        return datetime(year + 1970, month + 1, day).strftime(self.form)

    def describe(self) -> str:
        """The step in words: "1 month", "3 hours"."""
        amount, word = self.step, self.unit.removesuffix("s")
        if self.unit == "microsecond":
            seconds = self.step / 1e6
            size, word = next(((s, w) for s, w in _by_size() if seconds % s == 0), (1, "second"))
            amount = seconds / size
        if self.unit == "month" and amount % 12 == 0:
            amount, word = amount / 12, "year"
        if self.unit == "number":
            return f"{amount:g}"
        return f"{amount:g} {word}{'' if amount == 1 else 's'}"

    def seasons(self) -> tuple[int, ...]:
        """Steps of the seasons that a calendar suggests, the likeliest first."""
        if self.unit == "month":
            return (int(12 // self.step),) if self.step < 12 and 12 % self.step == 0 else ()
        if self.unit == "microsecond":
            spans = (86_400e6, 604_800e6, 365.25 * 86_400e6)
            return tuple(round(span / self.step) for span in spans if span / self.step >= 2)
        return ()

    def to_state(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "columns": list(self.columns)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TimeAxis:
        return cls(**{**state, "columns": tuple(state["columns"])})


@dataclass(frozen=True)
class Arranged:
    """Rows in the order of their times. `rows` (S,) numbers the row of each step, -1 where a gap is filled."""

    axis: TimeAxis
    rows: Index
    notes: tuple[str, ...] = ()


def arrange_times(frame: pl.DataFrame, named: str | None, how: str, origin: str) -> Arranged:
    """Find the time column and put the rows in order.

    Args:
        named: the time column, if the user names one; otherwise the first column of dates, or year, month, day, ...
            columns, or a column that counts.
        how: "check" refuses gaps, duplicate and unordered times; "mend" sorts, keeps the last of equal times and opens
            missing rows in gaps; "ignore" takes the rows as equally spaced.
    Raises:
        DataError: naming the row and time that is wrong, and the option that resolves it.
    """
    rows = np.arange(frame.height, dtype=np.int64)
    found = _find_times(frame, named, origin)
    if found is None:
        note = "no time column: rows are taken as equally spaced, in the order of the file"
        return Arranged(TimeAxis((), "number", 1.0, float(frame.height - 1)), rows, (note,))
    columns, unit, time_S, day, form = found
    axis = TimeAxis(columns, unit, 1.0, float(time_S[-1]), day, form)
    shown = " ".join(columns)
    if how == "ignore":
        step = _usual_step(np.abs(np.diff(time_S)))
        axis = TimeAxis(columns, unit, step, float(time_S[-1]), day, form)
        return Arranged(axis, rows, (f"times in {shown!r} are not checked: rows are taken as equally spaced",))
    problem = _first_problem(time_S, axis)
    if problem is not None and how == "check":
        row, what = problem
        raise DataError(
            f"{origin}, row {row} (from 0): {what} in {shown!r}. Set data.times=mend to sort the rows, keep the last "
            "of equal times and fill gaps by data.missing, or data.times=ignore to take the rows as equally spaced."
        )
    order = np.argsort(time_S, kind="stable")
    last_of_equal = np.append(np.diff(time_S[order]) > 0, True)
    kept = order[last_of_equal]
    step = _usual_step(np.diff(time_S[kept]))
    place = np.rint((time_S[kept] - time_S[kept[0]]) / step).astype(np.int64)
    filled = np.full(int(place[-1]) + 1, -1, np.int64)
    filled[place] = kept
    axis = TimeAxis(columns, unit, step, float(time_S[kept[-1]]), day, form)
    notes = [f"times in {shown!r}, a step of {axis.describe()}, up to {axis.after(0)}"]
    if problem is not None:
        lost, opened = frame.height - len(kept), int((filled < 0).sum())
        notes.append(f"times were mended: {lost} row(s) of equal times left out, {opened} missing row(s) opened")
    return Arranged(axis, filled, tuple(notes))


def _first_problem(time_S: Floats, axis: TimeAxis) -> tuple[int, str] | None:
    """The first row whose time goes back, or else does not follow on the one before, and what is wrong with it."""
    if len(time_S) < 2:
        return None
    step_S = np.diff(time_S)
    usual = _usual_step(step_S)
    wrong = np.flatnonzero(np.abs(step_S - usual) > SAME * max(abs(usual), 1e-12))
    if len(wrong) == 0:
        return None
    back = np.flatnonzero(step_S < 0)  # told first: of rows out of order, the first one looks like a gap
    row = int((back if len(back) else wrong)[0]) + 1
    before, now = axis.text_of(time_S[row - 1]), axis.text_of(time_S[row])
    if now == before:
        return row, f"the time {now} occurs twice"
    if time_S[row] < time_S[row - 1]:
        return row, f"the time {now} comes after {before}: the rows are not in order of time"
    step = TimeAxis(axis.columns, axis.unit, usual, 0.0, axis.day, axis.form).describe()
    if step_S[row - 1] < usual:
        return row, f"the time {now} follows on {before} in less than the usual step of {step}"
    return row, f"a gap: the time {now} follows on {before}, where the step is {step}"


def _usual_step(step_S: Floats) -> float:
    """The positive step that occurs most often."""
    positive = step_S[step_S > 0]
    if len(positive) == 0:
        return 1.0
    (value, _), *_ = Counter(np.round(positive, 9).tolist()).most_common(1)
    return float(value)


def _find_times(
    frame: pl.DataFrame, named: str | None, origin: str
) -> tuple[tuple[str, ...], Unit, Floats, int, str] | None:
    """Columns, unit, time of each row, day of the month, and form."""
    import polars as pl

    for name in [named] if named is not None else frame.columns:
        found = _read_times(frame[name], required=named is not None, origin=origin)
        if found is not None:
            return (name,), *found
    low = {name.lower(): name for name in frame.columns}
    parts = [low[part] for part in PARTS if part in low]
    if [name.lower() for name in parts[:2]] == list(PARTS[:2]):
        numbers = [frame[name].cast(pl.Int64, strict=False) for name in parts]
        if all(column.null_count() == 0 for column in numbers):
            day = numbers[2] if len(numbers) > 2 else pl.Series([1] * frame.height)
            rest = [*numbers[3:], *[pl.Series([0] * frame.height)] * (6 - max(3, len(numbers)))]
            moments = pl.select(pl.datetime(numbers[0], numbers[1], day, *rest, time_unit="us")).to_series()
            form = "%Y-%m" if len(parts) == 2 else "%Y-%m-%d" if len(parts) == 3 else "%Y-%m-%d %H:%M"
            return tuple(parts), *_from_moments(moments, form)
    for name in frame.columns:
        if counts_steps(frame[name]):
            return (name,), "number", as_numbers(frame[name], "number")[0].to_numpy().astype(np.float64), 1, ""
    return None


def counts_steps(cells: pl.Series) -> bool:
    """Whether a column does nothing but count: whole numbers, each larger than the one before by the same step."""
    values, bad = as_numbers(cells, "number")
    if bad is not None or values.null_count() or len(values) < 3:
        return False
    number_S = values.to_numpy()
    step_S = np.diff(number_S)
    return bool(step_S[0] > 0 and (step_S == step_S[0]).all() and (number_S % 1 == 0).all())


def _read_times(cells: pl.Series, *, required: bool, origin: str) -> tuple[Unit, Floats, int, str] | None:
    import polars as pl

    months = cells.dtype == pl.String and len(cells) > 0 and cells.str.contains(MONTH).fill_null(False).all()
    if months:
        moments = (cells + "-01").str.strptime(pl.Date, "%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
        if moments.null_count() == 0:
            return _from_moments(moments, "%Y-%m")
    kind = infer_type(cells)
    if kind is not None and kind.type == "date":
        moments = as_moments(cells, kind.form)
        form = kind.form.replace("%.f", "") or ("%Y-%m-%d" if cells.dtype == pl.Date else "%Y-%m-%d %H:%M:%S")
        if moments.null_count():
            row = int(moments.is_null().arg_true()[0])
            raise DataError(f"{origin}, row {row} (from 0): the time in {cells.name!r} is missing. Fill it.")
        return _from_moments(moments, form)
    if required:
        values = None if kind is None or kind.type != "number" else as_numbers(cells, "number")[0]
        if values is None or values.null_count():
            raise DataError(f"{origin}: the time column {cells.name!r} holds neither dates nor numbers in every row.")
        return "number", values.to_numpy().astype(np.float64), 1, ""
    return None


def _from_moments(moments: pl.Series, form: str) -> tuple[Unit, Floats, int, str]:
    days = moments.dt.day()
    ends = bool((days == moments.dt.month_end().dt.day()).all())
    midnight = bool((moments.dt.hour() + moments.dt.minute() + moments.dt.second() == 0).all())
    if midnight and (days.n_unique() == 1 or ends) and len(moments) > 1:
        month_S = (moments.dt.year().cast(float) - 1970) * 12 + moments.dt.month().cast(float) - 1
        return "month", month_S.to_numpy(), 0 if ends and days.n_unique() > 1 else int(days[0]), form
    return "microsecond", moments.dt.timestamp("us").cast(float).to_numpy(), 1, form


def _by_size() -> list[tuple[int, str]]:
    return sorted(NAMED_STEPS.items(), reverse=True)
