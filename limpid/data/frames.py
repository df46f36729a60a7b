"""Tables from files and from memory as polars frames; cells of text files stay text until a column's type is known."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limpid.data.delimited import parse_delimited
from limpid.errors import DataError

if TYPE_CHECKING:
    import polars as pl

SEPARATOR_OF = {".csv": None, ".txt": None, ".tsv": "\t"}
FRAME_SUFFIXES = (*SEPARATOR_OF, ".parquet", ".arrow", ".feather", ".ipc", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class TableFile:
    """A table as read: `digest` is the SHA-256 of its content, `header` whether it named its columns."""

    frame: pl.DataFrame
    header: bool
    digest: str
    notes: tuple[str, ...] = ()


def read_frame(
    path: str | Path, *, header: bool | None = None, columns: Sequence[str] = (), target: Sequence[str] = ()
) -> pl.DataFrame:
    """Rows of a table file; see `read_table` for the arguments and errors."""
    return read_table(path, header=header, columns=columns, target=target).frame


def read_table(
    path: str | Path, *, header: bool | None = None, columns: Sequence[str] = (), target: Sequence[str] = ()
) -> TableFile:
    """Read CSV, TSV, delimited text, Parquet, Arrow/Feather or JSON lines, the form being told by the file ending.

    Args:
        header: whether delimited text starts with column names; None infers it.
        columns: names known from training, which name the columns of a file without a header, in this order.
        target: those of `columns` that a file for prediction may lack.
    Raises:
        DataError: missing, empty, unreadable, ragged, without rows, or with duplicate column names.
    """
    file = Path(path)
    data = _content(file)
    digest = hashlib.sha256(data).hexdigest()
    if file.suffix.lower() in SEPARATOR_OF:
        separator = SEPARATOR_OF[file.suffix.lower()]
        parsed = parse_delimited(data, str(file), separator=separator, header=header, columns=columns, target=target)
        return TableFile(parsed.frame, parsed.header, digest, parsed.notes)
    frame = _strip_text(_parse_typed(data, file))
    if frame.height == 0:
        raise DataError(f"{file} holds no rows. Expected at least one.")
    return TableFile(frame, True, digest)


def to_frame(table: Any) -> pl.DataFrame:
    """A pandas, polars or Arrow table, or a dict of columns, as a polars frame with text column names.

    Raises DataError for duplicate column names and for cells that are neither numbers, text, dates nor booleans.
    """
    import polars as pl

    if isinstance(table, pl.LazyFrame):
        table = table.collect()
    if isinstance(table, pl.DataFrame):
        return _strip_text(table)
    if type(table).__module__.partition(".")[0] == "pandas":
        names = [str(name) for name in table.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"The frame has several columns named {twice[0]!r}. Give each its own name.")
        series = [_from_pandas(name, table.iloc[:, i]) for i, name in enumerate(names)]
        return _strip_text(pl.DataFrame(series))
    try:
        return _strip_text(pl.DataFrame(table))
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise DataError(f"A {type(table).__name__} cannot be read as a table: {error}.") from None


def is_frame(source: Any) -> bool:
    """Whether an object is a table of named columns (pandas, polars, Arrow, dict of columns is not)."""
    module = type(source).__module__.partition(".")[0]
    return module in ("pandas", "polars", "pyarrow") and hasattr(source, "columns")


def frame_digest(frame: pl.DataFrame) -> str:
    """SHA-256 of names, types and cells."""
    digest = hashlib.sha256(repr(list(frame.schema.items())).encode())
    for column in frame.get_columns():
        buffer = io.BytesIO()
        column.to_frame().write_ipc(buffer)
        digest.update(buffer.getvalue())
    return digest.hexdigest()


def _content(file: Path) -> bytes:
    if file.suffix.lower() not in FRAME_SUFFIXES:
        raise DataError(f"{file}: not a table that can be read. Known endings: {', '.join(FRAME_SUFFIXES)}.")
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{file}: no such file.") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from None
    if not data:
        raise DataError(f"{file} is empty (0 bytes). Expected a table.")
    return data


def _parse_typed(data: bytes, file: Path) -> pl.DataFrame:
    import polars as pl

    suffix = file.suffix.lower()
    try:
        if suffix == ".parquet":
            return pl.read_parquet(io.BytesIO(data))
        if suffix in (".jsonl", ".ndjson"):
            return pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
        try:
            return pl.read_ipc(io.BytesIO(data))
        except pl.exceptions.PolarsError:  # Arrow files come in two forms
            return pl.read_ipc_stream(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{file} is not readable as {suffix[1:]}: {reason}. Is it complete?") from None


def _strip_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Text cells without surrounding spaces, empty ones null; categoricals as text."""
    import polars as pl

    text = [name for name, kind in frame.schema.items() if kind in (pl.String, pl.Categorical, pl.Enum)]
    frame = frame.with_columns(pl.col(text).cast(pl.String).str.strip_chars()) if text else frame
    return frame.with_columns(pl.when(pl.col(name) != "").then(pl.col(name)) for name in text) if text else frame


def _from_pandas(name: str, column: Any) -> pl.Series:
    """A pandas column without the detour over Arrow, which is an optional package."""
    import polars as pl

    missing = column.isna().to_numpy()
    values = column.to_numpy()
    if values.dtype.kind in "biufM" and not missing.any():
        return pl.Series(name, values)
    if values.dtype.kind in "fM":
        return pl.Series(name, values, nan_to_null=True)
    cells = [None if absent else cell for cell, absent in zip(values.tolist(), missing, strict=True)]
    kinds = {bool if isinstance(cell, np.bool_) else type(cell) for cell in cells if cell is not None}
    if len(kinds) > 1 and not kinds <= {int, float, bool}:
        cells = [None if cell is None else str(cell) for cell in cells]
    try:
        series = pl.Series(name, cells, strict=False)
        if series.dtype == pl.Object:
            raise TypeError(f"{cells[int(series.is_not_null().arg_max() or 0)]!r}")
        return series
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise DataError(f"Column {name!r} of the frame holds cells that are not plain values: {error}.") from None
