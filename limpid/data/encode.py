"""Rows of a table as numbers and category codes, by rules learned from the training rows alone.

Shapes: N rows, F number features, C category columns.

Per column type:

- number, boolean, date: missing cells take the training median, and a column "... missing" (0 or 1) is added if the
  training rows had any; a date becomes days since the first training date, with sine and cosine of month and weekday
  (and of the hour, if there is one);
- category: code 1, 2, ... in sorted order of the training values, code 0 for a missing or unseen one. One-hot, code 0
  is a row of zeros.

The state is plain JSON in `DataSpec.preparation`, so prediction repeats exactly what training did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.data.column_types import Type, as_moments, as_numbers, as_text, without_words
from limpid.errors import DataError
from limpid.spec import DataSpec

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]

MOST_BINS = 128  # of a feature's piecewise-linear code
LEAST_BIN = 1e-5  # width of a bin, standard deviations; float32 resolves little less
QUANTILE_ROWS = 100_000  # rows that the edges are learned from, evenly spaced

FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ColumnCode:
    """How one column is written as features."""

    name: str
    type: Type
    form: str = ""  # of the text: date format or word of true
    fill: float = 0.0  # number that stands for a missing cell, before any subtraction
    indicator: bool = False  # adds a feature that is 1 where the cell is missing
    origin: float = 0.0  # date: day that counts as 0, in days since 1970
    clock: bool = False  # date: has a time of day
    values: tuple[str, ...] = ()  # category: training values in the order of their codes 1, 2, ...
    words: tuple[str, ...] = ()  # number: what stands for a missing cell, besides what does in any column

    def feature_names(self) -> list[str]:
        """Names of the number features, in order."""
        names = [self.name]
        if self.type == "date":
            waves = ("month", "weekday", "hour") if self.clock else ("month", "weekday")
            names = [f"{self.name} days", *(f"{self.name} {wave} {f}" for wave in waves for f in ("sin", "cos"))]
        return [*names, f"{self.name} missing"] if self.indicator else names

    def cells_of(self, frame: pl.DataFrame) -> pl.Series:
        """The column's cells in a frame, null where one of its words says that the cell is missing."""
        return without_words(frame[self.name], self.words)


@dataclass(frozen=True)
class Encoded:
    """Features of N rows, and how many cells were missing or of unseen categories, by column."""

    numbers: Floats  # (N, F)
    codes: Codes | None  # (N, C), None when categories are one-hot numbers or absent
    missing: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)

    def tensors(self) -> tuple[Tensor, ...]:
        numbers = torch.from_numpy(self.numbers)
        return (numbers,) if self.codes is None else (numbers, torch.from_numpy(self.codes))


@dataclass(frozen=True)
class TableEncoder:
    """The learned rules of every feature column. Made by `limpid.data.tables.fit_encoder`."""

    columns: tuple[ColumnCode, ...]
    onehot: bool
    refuse_missing: bool = False

    @property
    def numeric(self) -> tuple[ColumnCode, ...]:
        return tuple(column for column in self.columns if column.type != "category")

    @property
    def categories(self) -> tuple[ColumnCode, ...]:
        return tuple(column for column in self.columns if column.type == "category")

    def feature_names(self) -> tuple[str, ...]:
        """Names of the F number features; one-hot ones read "column=value"."""
        names = [name for column in self.numeric for name in column.feature_names()]
        if self.onehot:
            names += [f"{column.name}={value}" for column in self.categories for value in column.values]
        return tuple(names)

    def scale(self, numbers_NF: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and population standard deviation of each feature over the training rows.

        Indicators and one-hot features keep 0 and 1; a constant feature keeps its mean and standard deviation 1.
        """
        mean_F = numbers_NF.mean(axis=0, dtype=np.float64)
        std_F = numbers_NF.std(axis=0, dtype=np.float64)
        std_F[std_F <= 1e-7 * np.abs(mean_F)] = 1.0
        std_F[std_F == 0.0] = 1.0
        binary: list[bool] = []
        for column in self.numeric:
            width = len(column.feature_names())
            binary += [False] * (width - column.indicator) + [True] * column.indicator
        binary += [True] * (len(mean_F) - len(binary))
        mean_F[binary], std_F[binary] = 0.0, 1.0
        return tuple(mean_F.tolist()), tuple(std_F.tolist())

    def quantiles(self, numbers_NF: Floats) -> tuple[tuple[float, ...], ...]:
        """Rising edges of each feature's bins, learned from the training rows; none where it has but two values.

        Up to `MOST_BINS` bins, an edge at every value if there are so few; otherwise half of the edges have equally
        many rows between them, and half equally many different values, so that rare values are told apart as well.
        """
        sample_NF = numbers_NF[:: -(-len(numbers_NF) // QUANTILE_ROWS)]
        return tuple(_edges(x_N.astype(np.float64)) for x_N in sample_NF.T)

    def transform(self, frame: pl.DataFrame, rows: Sequence[int] | Codes | None = None) -> Encoded:
        """Features of every row of the frame, its columns found by name.

        Args:
            rows: number of each row in its source, for messages; None counts from 0.
        Raises:
            DataError: a column is absent, a cell is not of the column's type, infinite, or too large for float32.
        """
        found = set(frame.columns)
        absent = [column.name for column in self.columns if column.name not in found]
        if absent:
            raise DataError(
                f"Column(s) missing: {', '.join(map(repr, absent))}. The model was trained with them. "
                f"Columns found: {', '.join(map(repr, frame.columns))}."
            )
        names = self.feature_names()
        numbers_NF = np.zeros((frame.height, len(names)), np.float32)
        codes = np.zeros((frame.height, 0 if self.onehot else len(self.categories)), np.int64)
        missing: dict[str, int] = {}
        unseen: dict[str, int] = {}
        at = 0
        for column in self.numeric:
            width = len(column.feature_names())
            missing[column.name] = _write_numbers(column, column.cells_of(frame), numbers_NF[:, at : at + width], rows)
            at += width
        for c, column in enumerate(self.categories):
            text = as_text(frame[column.name])
            code_N = category_codes(text, column.values)
            missing[column.name] = text.null_count()
            unseen[column.name] = int((code_N == 0).sum()) - text.null_count()
            if self.onehot:
                known = np.flatnonzero(code_N)
                numbers_NF[known, at + code_N[known] - 1] = 1.0
                at += len(column.values)
            else:
                codes[:, c] = code_N
        if self.refuse_missing:
            self._refuse_missing(frame, missing, rows)
        return Encoded(
            numbers_NF,
            None if self.onehot or not self.categories else codes,
            {name: count for name, count in missing.items() if count},
            {name: count for name, count in unseen.items() if count},
        )

    def _refuse_missing(self, frame: pl.DataFrame, missing: dict[str, int], rows: Sequence[int] | Codes | None) -> None:
        for column in self.columns:
            if missing[column.name]:
                cells = column.cells_of(frame)
                cells = as_text(cells) if column.type == "category" else as_numbers(cells, column.type, column.form)[0]
                row = _row(int(cells.is_null().arg_true()[0]), rows)
                raise DataError(
                    f"{row}, column {column.name!r}: the cell is missing, and data.missing is 'error'. Fill it, or "
                    "set data.missing=impute."
                )

    def to_state(self) -> dict[str, Any]:
        """Plain JSON values."""
        columns = [
            {**asdict(column), "values": list(column.values), "words": list(column.words)} for column in self.columns
        ]
        return {"columns": columns, "onehot": self.onehot, "refuse_missing": self.refuse_missing}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TableEncoder:
        tuples = ("values", "words")
        columns = tuple(
            ColumnCode(**{**column, **{name: tuple(column.get(name, ())) for name in tuples}})
            for column in state["columns"]
        )
        return cls(columns, state["onehot"], state["refuse_missing"])


def encode_frame(frame: pl.DataFrame, spec: DataSpec) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """Raw rows of a table as the model's inputs, and a report on the cells.

    The report holds "rows", "extra" (columns that were ignored), and "missing" and "unseen" (cells by column).
    Raises DataError when a training column is absent or a cell is not of its column's type.
    """
    state = spec.preparation
    if state.get("kind") != "table":
        raise DataError(f"The model was trained on data of kind {spec.kind!r}, not on a table of named columns.")
    encoded = TableEncoder.from_state(state["encoder"]).transform(frame)
    used = {column["name"] for column in state["encoder"]["columns"]}
    expected = used | set(state["target"]) | set(state["dropped"])
    report = {
        "rows": frame.height,
        "extra": [name for name in frame.columns if name not in expected],
        "missing": encoded.missing,
        "unseen": encoded.unseen,
    }
    return encoded.tensors(), report


def category_codes(text: pl.Series, values: Sequence[str]) -> Codes:
    """(N,) code of each cell: 1 + its place in `values`, 0 for a missing or unknown one."""
    import polars as pl

    if not values:
        return np.zeros(len(text), np.int64)
    codes = text.replace_strict(list(values), list(range(1, len(values) + 1)), default=0, return_dtype=pl.Int64)
    return codes.fill_null(0).to_numpy()


def finite_numbers(column: pl.Series, type_: Type, form: str, rows: Sequence[int] | Codes | None) -> pl.Series:
    """Float64 cells, null where missing. Raises DataError naming a cell that is of another type or not finite."""
    values, bad = as_numbers(column, type_, form)
    if bad is not None:
        i = bad
        shape = f"a date like {form}" if type_ == "date" and form else f"a {type_}"
        counted = f"{column.name}=number counts such cells as missing, " if type_ == "number" else ""
        raise DataError(
            f"{_row(i, rows)}, column {column.name!r}: {column[i]!r} is not {shape}, as the training rows have there. "
            "Mend the cell or leave it empty, or train with the column's type declared (data.types): "
            f"{counted}{column.name}=category keeps them as text."
        )
    highest, lowest = values.max(), values.min()
    if highest is not None and (highest > FLOAT32_MAX or lowest < -FLOAT32_MAX):  # type: ignore[operator]
        i = int((values.abs() > FLOAT32_MAX).arg_true()[0])
        raise DataError(
            f"{_row(i, rows)}, column {column.name!r}: {column[i]!r} is infinite or too large for float32. Replace it "
            "by a finite number, or leave the cell empty to have it treated as missing."
        )
    return values


def _write_numbers(column: ColumnCode, cells: pl.Series, out_NF: Floats, rows: Sequence[int] | Codes | None) -> int:
    """Write the features of a number, boolean or date column; returns how many cells were missing."""
    values = finite_numbers(cells, column.type, column.form, rows)
    num_missing = values.null_count()
    out_NF[:, 0] = (values.fill_null(column.fill) if num_missing else values).to_numpy() - column.origin
    if column.type == "date":
        moments = as_moments(cells, column.form)
        turns = [(moments.dt.month() - 1) / 12, (moments.dt.weekday() - 1) / 7]
        if column.clock:
            turns.append((moments.dt.hour() + moments.dt.minute() / 60) / 24)
        for k, turn in enumerate(turns):
            angle_N = 2 * np.pi * turn.cast(float).fill_null(float("nan")).to_numpy()
            out_NF[:, 1 + 2 * k] = np.nan_to_num(np.sin(angle_N))
            out_NF[:, 2 + 2 * k] = np.nan_to_num(np.cos(angle_N))
    if column.indicator:
        out_NF[:, -1] = values.is_null().to_numpy()
    return num_missing


def _edges(x_N: NDArray[np.float64]) -> tuple[float, ...]:
    values = np.unique(x_N)
    if len(values) <= 2:
        return ()
    if len(values) > MOST_BINS + 1:
        share = np.linspace(0, 1, MOST_BINS // 2 + 1)
        values = np.unique(np.concatenate([np.quantile(x_N, share), np.quantile(values, share)]))
    apart = np.diff(values) > LEAST_BIN * x_N.std()
    return tuple(values[np.concatenate([[True], apart])].tolist())


def _row(i: int, rows: Sequence[int] | Codes | None) -> str:
    return f"Row {i if rows is None else int(rows[i])} (from 0)"
