"""Delimited text (CSV, TSV, ...) as a frame of strings, every guess stated and every fault named by its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from limpid.errors import DataError

if TYPE_CHECKING:
    import polars as pl

SEPARATORS = (",", "\t", ";", "|")
# Cells (in small letters) that stand for a missing number.
MISSING = ("", "?", "-", "na", "n/a", "nan", "null", "none")
# A column of text is numbers, and a few words, if this share of its cells are numbers.
ALMOST_NUMBERS = 0.9
DECIMAL_COMMA = r"^([-+]?\d+),(\d+)$"
# Rows looked at when deciding whether the first one holds names.
HEADER_SAMPLE = 1000


@dataclass(frozen=True)
class Delimited:
    """Cells as stripped strings, empty ones null. `header`: whether the first line gave the names."""

    frame: pl.DataFrame
    header: bool
    notes: tuple[str, ...] = ()


def parse_delimited(
    data: bytes,
    name: str,
    *,
    separator: str | None = None,
    header: bool | None = None,
    columns: Sequence[str] = (),
    target: Sequence[str] = (),
) -> Delimited:
    """Cells of a delimited text in UTF-8, with or without a line of column names.

    Args:
        name: of the file, for messages.
        separator: None guesses it from the first lines.
        header: None infers it.
        columns: names known from training; they tell a header, and name the columns of a file without one.
        target: those of `columns` that such a file may lack.
    Raises:
        DataError: not UTF-8, empty, ragged (with the line), an unclosed quote, duplicate names, or no rows.
    """
    import polars as pl

    data = checked_text(data, name)
    notes: list[str] = []
    separator = separator or _guess_separator(data)
    field_counts, lines = _count_fields(data, separator, name)
    filled = np.flatnonzero(field_counts)
    if len(filled) == 0:
        raise DataError(f"{name} is empty. Expected a table with one row per line.")
    skip = 0
    if len(filled) > 1 and field_counts[filled[0]] == 1 and field_counts[filled[1]] > 1:
        skip = int(lines[filled[1]]) - 1
        notes.append(f"{name}: line {int(lines[filled[0]])} has no separator and was left out as a title")
        filled = filled[1:]
    _refuse_ragged(field_counts[filled], lines[filled], separator, name)
    try:
        frame = pl.read_csv(
            data, has_header=False, separator=separator, infer_schema=False, skip_lines=skip, raise_if_empty=False
        )
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{name} cannot be read as delimited text: {reason}. Check its quotation marks.") from None
    frame = frame.with_columns(pl.all().str.strip_chars())
    frame = frame.with_columns(pl.when(pl.col(text) != "").then(pl.col(text)) for text in frame.columns)
    if frame.height != len(filled):  # blank lines between rows
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    if frame.height == 0:
        raise DataError(f"{name} has no filled cell. Expected a table with one row per line.")
    if header is None:
        header, reason = _infer_header(frame, columns)
        notes.append(f"{name}: {reason}")
    frame = _with_names(frame, header, columns, target, name)
    if frame.height == 0:
        raise DataError(f"{name} holds a header and no rows. Expected at least one row below it.")
    if separator == ";":
        frame = _decimal_points(frame, name, notes)
    return Delimited(frame, header, tuple(notes))


def checked_text(data: bytes, name: str, wanted: str = "a table with one row per line") -> bytes:
    """The text without byte order mark and with "\\n" line ends. Raises DataError when it is empty or not UTF-8."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{name} is in UTF-16 (byte 0 is 0x{data[0]:02x}). Save it as UTF-8.")
    if data[:2] == b"\x1f\x8b":
        raise DataError(
            f"{name} is packed with gzip. Unpack it first, for example with: gunzip -c {name} > unpacked.csv"
        )
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise DataError(f"{name} is empty. Expected {wanted}.")
    zero = data.find(b"\0")
    if zero >= 0:
        line = data.count(b"\n", 0, zero) + 1
        raise DataError(
            f"{name}, line {line}: byte {zero} is NUL, so this is not text in UTF-8. If it is UTF-16, save it as "
            "UTF-8; if it is a binary format, give it that format's file ending."
        )
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}, line {line}: byte {error.start} (0x{data[error.start]:02x}) is not UTF-8. The file is probably "
            f"in Latin-1 or Windows-1252; save it as UTF-8, for example with: "
            f"iconv -f WINDOWS-1252 -t UTF-8 {name} > utf8{name[name.rfind('.') :] if '.' in name else ''}"
        ) from None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\n" not in data:
            data = data.replace(b"\r", b"\n")
    return data


def _guess_separator(data: bytes) -> str:
    """The separator that most of the first lines hold equally often."""
    lines = [line for line in data[:65536].decode("utf-8", "ignore").split("\n")[:20] if line.strip()]
    best, best_score = ",", (0, 0)
    for separator in SEPARATORS if lines else ():
        counts = [len(next(csv.reader([line], delimiter=separator), [])) - 1 for line in lines]
        common = max(set(counts), key=counts.count)
        score = (counts.count(common) if common > 0 else 0, common)
        if score > best_score:
            best, best_score = separator, score
    return best


def _count_fields(data: bytes, separator: str, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Fields of each record, 0 for a blank line, and the line on which the record starts, from 1."""
    if b'"' not in data:
        bytes_ = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(bytes_ == ord("\n"))
        if len(ends) == 0 or ends[-1] != len(data) - 1:
            ends = np.append(ends, len(data))
        upto = np.searchsorted(np.flatnonzero(bytes_ == ord(separator)), ends)
        counts = np.diff(upto, prepend=0) + 1
        starts = np.append(0, ends[:-1] + 1)
        for i in np.flatnonzero(counts == 1):  # a line without separator: blank, or a single field
            if not data[starts[i] : ends[i]].strip():
                counts[i] = 0
        return counts.astype(np.int64), np.arange(1, len(counts) + 1)
    reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), delimiter=separator, strict=False)
    counts_list, lines, start = [], [], 1
    csv.field_size_limit(2**31 - 1)
    for record in reader:
        counts_list.append(0 if not record or (len(record) == 1 and not record[0].strip()) else len(record))
        lines.append(start)
        start = reader.line_num + 1
        last = record[-1] if record else ""
    if reader.line_num > lines[-1] and last.count("\n") and data.count(b'"') % 2:
        raise DataError(f"{name}, line {lines[-1]}: a quotation mark opens a field that is never closed. Close it.")
    return np.array(counts_list, np.int64), np.array(lines, np.int64)


def _refuse_ragged(counts: NDArray[np.int64], lines: NDArray[np.int64], separator: str, name: str) -> None:
    wrong = np.flatnonzero(counts != counts[0])
    if len(wrong):
        first = wrong[0]
        shown = "tab" if separator == "\t" else separator
        raise DataError(
            f"{name}, line {lines[first]}: {counts[first]} fields where line {lines[0]} has {counts[0]} "
            f"(separator {shown!r}; {len(wrong)} such line(s)). Mend the line, or put a field that holds the "
            "separator in quotation marks."
        )


def _infer_header(frame: pl.DataFrame, columns: Sequence[str]) -> tuple[bool, str]:
    """Whether the first row holds names, and why."""
    import polars as pl

    first = frame.row(0)
    cells = [cell or "" for cell in first]
    if columns:
        known = sum(cell in set(columns) for cell in cells)
        if 2 * known >= min(len(cells), len(columns)):
            return True, f"header, because {known} of {len(cells)} first cells are known column names"
    numeric = [i for i, cell in enumerate(cells) if is_number(cell)]
    if len(numeric) >= 3 and all(cells[i] == str(i) for i in numeric):
        return True, "the first row counts the columns, so it is read as a header"
    if numeric:
        return False, f"no header, as the first row holds the number {cells[numeric[0]]}; columns are column_0, ..."
    rest = frame.slice(1, HEADER_SAMPLE)
    if rest.height == 0:
        return True, "the only row is read as a header"
    shares = rest.select(pl.all().cast(pl.Float64, strict=False).is_not_null().mean()).row(0)
    if any((share or 0.0) > 0.5 and cell.lower() not in MISSING for share, cell in zip(shares, cells, strict=True)):
        return True, "header, because the first row is text above columns of numbers"
    if any(not cell for cell in cells[1:]) or len(set(cells)) < len(cells):
        return False, "no header, because the first row has empty or equal cells; columns are column_0, ..."
    recurring = sum(bool((rest.to_series(i) == cell).any()) for i, cell in enumerate(cells))
    if recurring:
        return False, f"no header, because {recurring} cell(s) of the first row recur below; columns are column_0, ..."
    return True, "header, because no cell of the first row recurs below it"


def is_number(cell: str) -> bool:
    """Whether a cell says a finite number."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell and cell.lower() not in ("nan", "inf", "infinity", "-inf")


def _with_names(
    frame: pl.DataFrame, header: bool, columns: Sequence[str], target: Sequence[str], name: str
) -> pl.DataFrame:
    """Columns named by the header, by the training columns in order, or by number."""
    if header:
        names = [cell or f"column_{i}" for i, cell in enumerate(frame.row(0))]
        twice = sorted({text for text in names if names.count(text) > 1})
        if twice:
            raise DataError(
                f"{name}: the column name {twice[0]!r} occurs {names.count(twice[0])} times in the header. "
                "Give every column a name of its own."
            )
        frame = frame.slice(1)
    else:
        features = [text for text in columns if text not in set(target)]
        known = {len(columns): list(columns), len(features): features}
        names = known.get(frame.width) or [f"column_{i}" for i in range(frame.width)]
    return frame.rename(dict(zip(frame.columns, names, strict=True)))


def _decimal_points(frame: pl.DataFrame, name: str, notes: list[str]) -> pl.DataFrame:
    """Columns of numbers written with a decimal comma (in text separated by ;) with a point instead.

    Nearly all cells have to be such numbers; others stay as they are.
    """
    import polars as pl

    for column in frame.get_columns():
        present = column.drop_nulls()
        present = present.filter(~present.str.to_lowercase().is_in(MISSING))
        commas = len(present.filter(present.str.contains(DECIMAL_COMMA)))
        whole = len(present.filter(present.str.contains(r"^[-+]?\d+$")))
        if commas and commas + whole >= ALMOST_NUMBERS * len(present):
            frame = frame.with_columns(pl.col(column.name).str.replace(DECIMAL_COMMA, "${1}.${2}"))
            notes.append(f"{name}: column {column.name!r} is read with decimal commas")
    return frame
