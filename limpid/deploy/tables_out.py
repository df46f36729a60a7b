"""A frame of predictions as a file: the extension chooses the form.

CSV cells of text columns that a spreadsheet would run as a formula (they begin with `=`, `+`, `-`, `@`, a tab or a
carriage return) get a leading apostrophe. Texts that are plain numbers, such as the class "-1", stay as they are. The
other forms have no such hazard and keep every text unchanged.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from limpid.errors import DataError
from limpid.record.files import write_file
from limpid.record.run import EVENTS, HEADER

if TYPE_CHECKING:
    import polars as pl

FORMULA = r"^[=+\-@\t\r]"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def write_table(frame: pl.DataFrame, path: str | Path) -> Path:
    """Write `frame` as .csv, .parquet, .json (one list of objects) or .jsonl; complete or not at all.

    Raises DataError for another extension and when the folder does not exist.
    """
    path = check_path(path)
    write_file(path, _WRITERS[path.suffix.lower()](frame))
    return path


def check_path(path: str | Path, source: object = None) -> Path:
    """The path, if a table can be written there. Raises DataError as `write_table` does; before hours of work, say.

    A file is not written over the `source` that it is made from, nor over the record of a run.
    """
    path = Path(path)
    if path.suffix.lower() not in _WRITERS:
        given = f"the extension {path.suffix!r}" if path.suffix else "no extension"
        raise DataError(f"{path}: {given} names no form of table. Use one of {', '.join(_WRITERS)}.")
    if not path.absolute().parent.is_dir():
        raise DataError(f"{path}: the folder {path.absolute().parent} does not exist. Create it first.")
    if path.is_dir():
        raise DataError(f"{path} is a folder. Give the name of a file.")
    if path.exists() and isinstance(source, str | Path) and Path(source).exists() and path.samefile(source):
        raise DataError(f"{path} is the file that is read. Give another name to write to.")
    if path.exists() and path.name in (HEADER, EVENTS):
        raise DataError(f"{path} is the record of a run. Give another name to write to.")
    return path


def neutralised(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with an apostrophe before every text cell that a spreadsheet would take for a formula."""
    import polars as pl

    text = pl.selectors.string()
    risky = text.str.contains(FORMULA) & ~text.str.contains(NUMBER)
    return frame.with_columns(pl.when(risky).then(pl.lit("'") + text).otherwise(text).name.keep())


def _csv(frame: pl.DataFrame) -> bytes:
    return neutralised(frame).write_csv().encode()


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _json(frame: pl.DataFrame) -> bytes:
    return frame.write_json().encode() + b"\n"


def _jsonl(frame: pl.DataFrame) -> bytes:
    return frame.write_ndjson().encode()


_WRITERS: dict[str, Callable[[pl.DataFrame], bytes]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".json": _json,
    ".jsonl": _jsonl,
}
