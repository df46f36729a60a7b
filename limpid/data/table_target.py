"""Target columns of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from limpid.data.column_types import Type, as_numbers, as_text, declared_type, infer_type
from limpid.data.encode import category_codes, finite_numbers
from limpid.data.target import TargetColumn, target_from_numbers
from limpid.errors import DataError

if TYPE_CHECKING:
    import polars as pl


def read_targets(
    frame: pl.DataFrame, names: Sequence[str], types: Mapping[str, Type]
) -> tuple[list[TargetColumn], pl.DataFrame, NDArray[np.int64]]:
    """Target columns, the rows that have them all, and the numbers of these rows in the source.

    Raises DataError when a target has no cell, holds dates, or is infinite.
    """
    kinds: dict[str, Type] = {}
    for name in names:
        kind = declared_type(frame[name], types[name]) if name in types else infer_type(frame[name])
        if kind is None:
            raise DataError(f"The target {name!r} is missing in every row. Choose another column.")
        if kind.type == "date":
            raise DataError(
                f"The target {name!r} holds dates, which cannot be predicted as such. Declare its type "
                f"(data.types, {name}=category) or choose another column."
            )
        kinds[name] = kind.type
    columns = [target_cells(frame[name], kinds[name]) for name in names]
    index = np.flatnonzero(np.all([column.codes >= 0 for column in columns], axis=0)).astype(np.int64)
    if len(index) == 0:
        raise DataError("No row has all targets. Fill them, or choose another column.")
    if len(index) < frame.height:
        frame = frame[index]
        columns = [target_cells(frame[name], kinds[name]) for name in names]
    return columns, frame, index


def target_cells(cells: pl.Series, type_: Type, origin: str = "") -> TargetColumn:
    """A target column of known type.

    Raises DataError for a cell that is not of this type or not finite.
    """
    if type_ == "number":
        try:
            numbers = finite_numbers(cells, "number", "", None)
        except DataError as error:
            raise DataError(f"{origin}: target: {error}" if origin else f"Target: {error}") from None
        return target_from_numbers(cells.name, numbers.fill_null(float("nan")).to_numpy())
    kind = infer_type(cells) if type_ == "boolean" else None
    if kind is not None and kind.type == "boolean":
        return _boolean_cells(cells, kind.form)
    text = as_text(cells)
    values = text.drop_nulls().unique().sort().to_list()
    return TargetColumn(cells.name, "category", category_codes(text, values) - 1, tuple(values))


def _boolean_cells(cells: pl.Series, form: str) -> TargetColumn:
    """Code 0 for false and 1 for true, under the words that the column has for them."""
    numbers, _ = as_numbers(cells, "boolean", form)
    codes_N = numbers.fill_null(-1.0).to_numpy().astype(np.int64)
    text = as_text(cells)
    words = [str(text[int(np.argmax(codes_N == code))]) for code in (0, 1) if (codes_N == code).any()]
    if len(words) == 1:
        codes_N = np.where(codes_N < 0, codes_N, 0)
    return TargetColumn(cells.name, "boolean", codes_N, tuple(words))
