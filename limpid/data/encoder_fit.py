"""Learning a `TableEncoder` from the training rows: column types, fills, category values, and what to leave out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from limpid.data.column_types import ColumnType, Type, as_moments, as_text, feature_type, number_in_words, without_words
from limpid.data.encode import ColumnCode, TableEncoder, finite_numbers
from limpid.errors import DataError

if TYPE_CHECKING:
    import polars as pl

# A text column is left out as free text or an identifier above this many values ...
MANY_VALUES = 100
# ... if they make up this share of the cells, or from so many rows on if all differ.
MANY_VALUES_SHARE = 0.5
ROWS_OF_AN_IDENTIFIER = 20
# One-hot features per category column; rarer values count as unknown.
LARGEST_ONEHOT = 255


@dataclass
class FittedColumns:
    """An encoder and the account of how it came about, for the summary."""

    encoder: TableEncoder
    columns: list[dict[str, Any]] = field(default_factory=list)  # name, type, missing, distinct, role
    dropped: list[tuple[str, str]] = field(default_factory=list)  # name, reason
    notes: list[str] = field(default_factory=list)


def fit_encoder(
    train: pl.DataFrame,
    whole: pl.DataFrame,
    *,
    leave_out: Mapping[str, str],
    types: Mapping[str, Type],
    onehot: bool,
    refuse_missing: bool,
    rows: NDArray[np.int64],
) -> FittedColumns:
    """Learn the encoding of every column from the training rows.

    Only the form of the cells is read off all rows, as that of a file is: which type they have, and which words stand
    for missing numbers. A row of another split that the training rows' form does not fit would else be a fault.

    Args:
        train: training rows only.
        whole: rows of all splits.
        leave_out: columns that are no features, with their roles (target, group, time, dropped).
        types: types declared by the user; such columns, and a single one, are never left out as identifiers.
        onehot: categories as one-hot numbers instead of codes.
        refuse_missing: missing cells are errors.
        rows: number of each training row in its source, for messages.
    Raises:
        DataError: no usable column, an infinite cell, or a declared type that the cells do not have.
    """
    fitted = FittedColumns(TableEncoder((), onehot))
    codes: list[ColumnCode] = []
    is_only_one = len(train.columns) - len(leave_out) == 1
    for cells in train.get_columns():
        name = cells.name
        if name in leave_out:
            _describe(fitted, cells, None, leave_out[name])
            continue
        kind = feature_type(whole[name], types.get(name))
        code, reason = None, "every cell is missing in the training rows"
        if kind is not None:
            plain = _plain_cells(cells, kind, rows)
            code = _fit_column(plain, kind, cells, onehot, fitted.notes)
            reason = _reason_to_drop(cells, plain, code, rows, keep=name in types or is_only_one)
        _describe(fitted, cells if kind is None else plain, kind, "left out" if reason else "feature")
        if reason:
            note = f" ({kind.note})" if kind is not None and kind.note else ""
            fitted.dropped.append((name, reason + note))
        elif code is not None and kind is not None:
            codes.append(code)
            if kind.note:
                fitted.notes.append(f"column {name!r}: {kind.note}")
    if not codes:
        reasons = "; ".join(f"{name!r}: {reason}" for name, reason in fitted.dropped) or "there is no other column"
        raise DataError(
            f"No column is left to predict from ({reasons}). What looks like an identifier is kept once its type is "
            "named (data.types)."
        )
    # A network without number features has no first input; then categories are written as numbers.
    all_categories = all(code.type == "category" for code in codes)
    fitted.encoder = TableEncoder(tuple(codes), onehot or all_categories, refuse_missing)
    return fitted


def _plain_cells(cells: pl.Series, kind: ColumnType, rows: NDArray[np.int64]) -> pl.Series:
    """Cells as text (category) or float64 (all other types), null where missing."""
    if kind.type == "category":
        return as_text(cells)
    return finite_numbers(without_words(cells, kind.words), kind.type, kind.form, rows)


def _fit_column(plain: pl.Series, kind: ColumnType, cells: pl.Series, onehot: bool, notes: list[str]) -> ColumnCode:
    name = cells.name
    if kind.type == "category":
        text = plain.drop_nulls()
        values: Iterable[str] = text.unique().sort().to_list()
        if onehot and text.n_unique() > LARGEST_ONEHOT:
            counts = text.value_counts(sort=True).sort("count", name, descending=[True, False])
            values = sorted(counts[name].head(LARGEST_ONEHOT).to_list())
            notes.append(f"column {name!r}: its {LARGEST_ONEHOT} most frequent values are kept, the others are unknown")
        return ColumnCode(name, "category", values=tuple(values))
    median = plain.median()
    fill = float(median) if isinstance(median, int | float) else 0.0
    indicator = plain.null_count() > 0
    if kind.type != "date":
        return ColumnCode(name, kind.type, kind.form, fill, indicator, words=kind.words)
    moments = as_moments(cells, kind.form)
    lowest = plain.min()
    origin = float(np.floor(lowest)) if isinstance(lowest, int | float) else 0.0
    clock = bool(((moments.dt.hour() != 0) | (moments.dt.minute() != 0)).any())
    return ColumnCode(name, "date", kind.form, fill, indicator, origin, clock)


def _reason_to_drop(
    cells: pl.Series, plain: pl.Series, code: ColumnCode, rows: NDArray[np.int64], *, keep: bool
) -> str:
    """Why a column is no feature, or an empty text. With `keep` it is one even if it looks like an identifier."""
    present = len(plain) - plain.null_count()
    distinct = len(code.values) if code.type == "category" else plain.n_unique() - code.indicator
    if present == 0:
        return "every cell is missing in the training rows"
    if distinct == 1 and present == len(plain):
        return f"constant: every training row says {cells[0]!r}"
    if keep or len(plain) < ROWS_OF_AN_IDENTIFIER:
        return ""
    if code.type == "category":
        if distinct == present and 2 * present < min(ROWS_OF_AN_IDENTIFIER, len(plain)):
            return f"text in {present} of {len(plain)} training rows only"
        if distinct == present or (distinct > MANY_VALUES and distinct > MANY_VALUES_SHARE * present):
            number = number_in_words(plain)
            if number is not None:
                return f"text such as {number!r}; write plain numbers to have it used"
            return f"text with {distinct} different values in {present} rows, free text or an identifier"
    elif code.type == "number" and distinct == len(plain):
        values = plain.to_numpy()
        if (values - values[0] == rows - rows[0]).all():
            return "numbers the rows"
        if re.search(r"(^|[_\s])id$", code.name, re.IGNORECASE):
            return "an identifier by its name, different in every row"
    return ""


def _describe(fitted: FittedColumns, plain: pl.Series, kind: ColumnType | None, role: str) -> None:
    fitted.columns.append(
        {
            "name": plain.name,
            "type": kind.type if kind else "unknown",
            "missing": plain.null_count(),
            "distinct": plain.n_unique() - (plain.null_count() > 0),
            "role": role,
        }
    )
