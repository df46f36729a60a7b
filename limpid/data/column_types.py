"""What kind of thing a column holds, and its cells as numbers.

Four types: number, category, boolean, date. A cell counts as missing when it is empty or "?"; in columns that are
otherwise numbers, booleans or dates, also when it is NA, N/A, nan, null, None or "-". In a category column those words
are values like any other (NA is a country). A feature that is numbers but for a few words of its own ("n.v.", "90+")
is numbers, and those words are missing cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from limpid.data.delimited import ALMOST_NUMBERS, MISSING
from limpid.errors import DataError

if TYPE_CHECKING:
    import polars as pl

Type = Literal["number", "category", "boolean", "date"]

# (word of false, word of true), in small letters
BOOLEAN_WORDS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"), ("off", "on"))
DATE_FORMATS = (
    "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S%.fZ", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M",
)  # fmt: skip
# Longest integer that float64 holds exactly, in digits; longer ones are identifiers.
LONGEST_NUMBER = 15
LONG_INTEGER = rf"^[-+]?\d{{{LONGEST_NUMBER + 1},}}$"
LEADING_ZEROS = r"^[-+]?0\d"
CURRENCIES = "$€£¥₹"
NUMBER_IN_WORDS = (
    rf"^(?P<currency>[{CURRENCIES}]?) ?(?P<number>[-+]?(?:\d+|\d{{1,3}}(?:[,.' \u00a0]\d{{3}})+)(?:[.,]\d+)?)"
    rf"(?P<unit>[ \u00a0]?(?:[{CURRENCIES}%°]|[A-Za-zµ°][A-Za-zµ°/²³]{{0,7}})?)$"
)
# Words in a column of numbers stand for missing cells if so many of the numbers are different, or some have a fraction
# (few different whole numbers may be codes, like "A"), ...
NUMBERS_OF_A_QUANTITY = 20
# ... and there are no more words than these.
MOST_WORDS = 50


@dataclass(frozen=True)
class ColumnType:
    """A type with the form of its text: a date format, or the word of true.

    `words` are those of a number column that stand for missing cells; `note` is for people.
    """

    type: Type
    form: str = ""
    note: str = ""
    words: tuple[str, ...] = ()


def infer_type(column: pl.Series) -> ColumnType | None:
    """Type of a column from its cells; None when every cell is missing.

    Raises DataError for nested cells (lists, structs).
    """
    import polars as pl

    kind = column.dtype
    if kind != pl.String:
        if column.null_count() == len(column):
            return None
        if kind == pl.Boolean:
            return ColumnType("boolean")
        if kind.is_numeric():
            return ColumnType("number")
        if kind in (pl.Date, pl.Datetime):
            return ColumnType("date")
        raise DataError(
            f"Column {column.name!r} holds {kind} cells. Expected numbers, text, booleans or dates; drop the column "
            "(data.drop) or flatten it first."
        )
    cells = column.unique().drop_nulls()
    cells = cells.filter(cells != "?")
    present = cells.filter(~cells.str.to_lowercase().is_in(MISSING))
    if len(cells) == 0:
        return None
    if len(present) == 0:
        return ColumnType("category")  # nothing but words like NA
    parsed = present.cast(pl.Float64, strict=False)
    if parsed.null_count() == 0:
        if present.str.contains(LEADING_ZEROS).any():
            return ColumnType("category", note="digits with leading zeros are kept as text")
        if present.str.contains(LONG_INTEGER).any():
            return ColumnType("category", note=f"integers of more than {LONGEST_NUMBER} digits are kept as text")
        return ColumnType("number")
    for no, yes in BOOLEAN_WORDS:
        if len(present) <= 4 and present.str.to_lowercase().is_in([no, yes]).all():
            return ColumnType("boolean", yes)
    form = _date_format(present)
    return ColumnType("date", form) if form else ColumnType("category")


def feature_type(column: pl.Series, declared: Type | None = None) -> ColumnType | None:
    """Type of a feature: as declared, or else from its cells; None when every cell is missing.

    In a feature of numbers, other words stand for missing cells, if they are few or the type was declared.
    Raises DataError for nested cells, and when no cell allows the declared type.
    """
    kind = infer_type(column) if declared is None else declared_type(column, declared)
    if kind is None or (kind.type, declared) not in (("category", None), ("number", "number")):
        return kind
    return _numbers_with_words(column, declared=declared is not None) or kind


def _numbers_with_words(column: pl.Series, *, declared: bool) -> ColumnType | None:
    """The type of a text column of numbers among which are words, or None where there are none or, unless it was
    declared a number, more than a few. Raises DataError where a declared one has no number."""
    import polars as pl

    if column.dtype != pl.String:
        return None
    cells = column.drop_nulls()
    cells = cells.filter(~cells.str.to_lowercase().is_in(MISSING))
    parsed = cells.cast(pl.Float64, strict=False)
    numbers, odd = parsed.drop_nulls(), cells.filter(parsed.is_null())
    words = odd.unique().sort().to_list()
    if not words:
        return None
    if declared and len(numbers) == 0:
        raise DataError(f"Column {column.name!r} is declared number, but no cell is one; the first says {cells[0]!r}.")
    which = repr(words[0]) if len(words) == 1 else f"such as {words[0]!r}"
    told = f"1 cell is no number ({which})" if len(odd) == 1 else f"{len(odd)} cells are no numbers ({which})"
    if not declared:
        if len(numbers) < ALMOST_NUMBERS * len(cells) or len(words) > MOST_WORDS:
            return None
        if cells.str.contains(f"{LEADING_ZEROS}|{LONG_INTEGER}").any():
            return None
        if numbers.n_unique() < NUMBERS_OF_A_QUANTITY and (numbers % 1 == 0).all():
            return ColumnType("category", note=f"text, because {told}")
    return ColumnType("number", note=f"{told}, counted as missing", words=tuple(words))


def declared_type(column: pl.Series, type_: Type) -> ColumnType:
    """The type that the user names, with the form that its text has. Raises DataError when no cell allows it."""
    import polars as pl

    inferred = infer_type(column)
    if inferred is not None and inferred.type == type_:
        return inferred
    if type_ in ("date", "boolean") and not (type_ == "boolean" and _is_zero_one(column)):
        example = column.drop_nulls()
        cell = f" such as {example[0]!r}" if len(example) else ""
        known = ", ".join(DATE_FORMATS[:4]) if type_ == "date" else "true/false, yes/no, t/f, y/n, 0/1"
        raise DataError(f"Column {column.name!r} is declared {type_}, but its cells{cell} are not. Known: {known}.")
    if type_ == "number" and column.dtype not in (pl.String, pl.Boolean):
        raise DataError(f"Column {column.name!r} is declared number, but holds {column.dtype} cells.")
    return ColumnType(type_, "1" if type_ == "boolean" else "")


def as_numbers(column: pl.Series, type_: Type, form: str = "") -> tuple[pl.Series, int | None]:
    """Float64 cells, null where missing, of a number, boolean (0 or 1) or date (days since 1970) column.

    Returns (values, bad), where `bad` is the first row whose cell is there but is not of this type, or None.
    """
    import polars as pl

    if type_ == "date":
        moments = as_moments(column, form)
        values = moments.dt.timestamp("us") / 86_400e6
    elif type_ == "boolean" and column.dtype == pl.String:
        low = column.str.to_lowercase()
        no = "0" if form == "1" else {yes: no for no, yes in BOOLEAN_WORDS}[form]
        values = low.replace_strict([no, form], [0.0, 1.0], default=None, return_dtype=pl.Float64)
    elif column.dtype == pl.String:
        values = column.cast(pl.Float64, strict=False).fill_nan(None)
    elif column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        values = column if column.dtype == pl.Float64 else column.cast(pl.Float64)
        return (values.fill_nan(None) if np.isnan(values.to_numpy()).any() else values), None
    else:
        values = pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
    if values.null_count() == column.null_count():
        return values.cast(pl.Float64), None
    text = column.cast(pl.String, strict=False).str.to_lowercase()
    bad = (values.is_null() & column.is_not_null() & ~text.is_in(MISSING)).arg_true()
    return values.cast(pl.Float64), int(bad[0]) if len(bad) else None


def without_words(column: pl.Series, words: Sequence[str]) -> pl.Series:
    """The column with null for each cell that says one of these words."""
    import polars as pl

    return column.replace(list(words), None) if words and column.dtype == pl.String else column


def numbers_from_text(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The frame with those text columns as float64 of which every cell is plainly a number, the others untouched.

    Only a change of form, for all columns at once: such a column would be read as numbers in any case.
    """
    import polars as pl

    schema = frame.schema
    text = [name for name in names if schema[name] == pl.String]
    if not text:
        return frame
    numbers = frame.select(pl.col(text).cast(pl.Float64, strict=False))
    kept = [name for name in text if numbers[name].null_count() == frame[name].null_count() < frame.height]
    if not kept:
        return frame
    cells = pl.col(kept)
    odd = frame.select(cells.str.contains(f"{LEADING_ZEROS}|{LONG_INTEGER}").any()).row(0)
    plain = [name for name, is_odd in zip(kept, odd, strict=True) if not is_odd]
    return frame.with_columns(numbers.select(pl.col(plain).fill_nan(None)).get_columns()) if plain else frame


def as_text(column: pl.Series) -> pl.Series:
    """Cells of a category column as text, null where missing; whole numbers are written without a point."""
    import polars as pl

    if column.dtype == pl.String:
        return column.replace("?", None)
    if column.dtype.is_float():
        whole = (column.drop_nulls().drop_nans() % 1 == 0).all()
        column = column.fill_nan(None)
        return (column.cast(pl.Int64) if whole else column).cast(pl.String)
    if column.dtype == pl.Boolean:
        return column.cast(pl.Int8).replace_strict([0, 1], ["False", "True"], default=None, return_dtype=pl.String)
    return column.cast(pl.String)


def as_moments(column: pl.Series, form: str) -> pl.Series:
    """Cells of a date column as microsecond moments, null where missing or not of this form."""
    import polars as pl

    if column.dtype == pl.String:
        if "%H" in form:
            return column.str.strptime(pl.Datetime("us"), form, strict=False)
        return column.str.strptime(pl.Date, form or "%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    if column.dtype == pl.Datetime:
        return column.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us"))
    return pl.Series(column.name, [None] * len(column), dtype=pl.Datetime("us"))


def _date_format(present: pl.Series) -> str:
    """The first known format that every cell has, or an empty text."""
    head = present.head(20)
    if not head.str.contains(r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}").all():
        return ""
    for form in DATE_FORMATS:
        if as_moments(head, form).null_count() == 0 and as_moments(present, form).null_count() == 0:
            return form
    return ""


def number_in_words(cells: pl.Series) -> str | None:
    """A cell of a column of text whose cells are all numbers in other clothes, or None where they are not.

    Those are a currency before them, the same unit or currency behind each, or marks between thousands.
    """
    shapes = cells.drop_nulls().unique(maintain_order=True).str.extract_groups(NUMBER_IN_WORDS).struct
    number, unit = shapes.field("number"), shapes.field("unit")
    if len(number) < 2 or number.null_count() or unit.n_unique() != 1:
        return None
    dressed = unit[0] != "" or (shapes.field("currency") != "").any() or number.str.contains(r"[,' \u00a0]").any()
    return str(cells.drop_nulls()[0]) if dressed else None


def _is_zero_one(column: pl.Series) -> bool:
    values, bad = as_numbers(column, "number")
    return bad is None and values.drop_nulls().is_in([0.0, 1.0]).all()
