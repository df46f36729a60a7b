"""New series, sequences and texts, prepared by the rules that training stored in the spec.

Shapes: S steps of a series, N samples.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limpid.data.archives import is_archive
from limpid.data.arrays import read_arrays
from limpid.data.column_types import as_text
from limpid.data.dataset import Rows
from limpid.data.encode import TableEncoder
from limpid.data.frames import FRAME_SUFFIXES, is_frame, read_table, to_frame
from limpid.data.sequences import read_sequences, sequences_of
from limpid.data.series import encode_steps
from limpid.data.text_files import is_text, read_text, text_files, text_of
from limpid.data.texts import encode_texts
from limpid.data.time_axis import arrange_times
from limpid.data.windows import SeriesWindows
from limpid.errors import DataError
from limpid.spec import DataSpec

Found = tuple[Rows, Sequence[str] | range, dict[str, Any]]


def read_sequence_samples(source: Any, spec: DataSpec) -> Found:
    """Rows, their names, and a report, of a file or of data in memory.

    A series gives a sample for every window that fits, named by the row that it ends with; a .txt file gives a text for
    every line, a folder one for every file. Raises DataError when the source is of another form.
    """
    kind = spec.preparation.get("kind")
    if spec.task == "tokens":
        raise DataError(
            f"The network of {spec.name} says tokens and has no answer to a row. Let it speak with: limpid generate RUN"
        )
    path = Path(source).expanduser() if isinstance(source, str | os.PathLike) else None
    origin = "The data" if path is None else str(path)
    if path is not None and not path.exists():
        raise DataError(f"{path}: no such file or folder.")
    if kind == "texts":
        return _texts(source if path is None else path, spec.preparation, origin)
    if path is not None and path.suffix.lower() == ".npz" and kind == "sequences":
        source = sequences_of(read_arrays(path), origin)
    elif path is not None:
        if path.suffix.lower() not in FRAME_SUFFIXES:
            raise DataError(f"{path}: expected a file that ends in {', '.join(FRAME_SUFFIXES)}.")
        header = False if spec.preparation.get("header") is False else None
        source = read_table(path, header=header, columns=spec.preparation.get("columns", ())).frame
    elif is_frame(source) or isinstance(source, Mapping):
        source = to_frame(source)
    if kind == "forecast":
        return _windows(source, spec.preparation, origin)
    rows = read_sequences(source, spec.preparation, origin)
    return rows, range(len(rows)), {}


def _windows(frame: Any, preparation: dict[str, Any], origin: str) -> Found:
    import polars as pl

    if not isinstance(frame, pl.DataFrame):
        raise DataError(f"{origin}: a forecast takes a table with the columns {', '.join(preparation['columns'])}.")
    times = preparation["times"]["columns"]
    notes = ["A row of the answers is named by the last row that its window has seen."]
    if times and set(times) <= set(frame.columns):
        named = times[0] if len(times) == 1 else None
        arranged = arrange_times(frame.select(times), named, preparation["order"], origin)
        places = pl.Series([None if row < 0 else row for row in arranged.rows.tolist()], dtype=pl.UInt32)
        frame = frame.select(pl.all().gather(places))
        notes += [note for note in arranged.notes if "mended" in note]
    window = preparation["window"]
    if frame.height < window:
        raise DataError(f"{origin} has {frame.height} row(s); the network sees windows of {window}. Give more steps.")
    try:
        numbers_SF = encode_steps(TableEncoder.from_state(preparation["encoder"]), frame)
    except DataError as error:
        raise DataError(f"{origin}: {error}") from None
    ends_N = torch.arange(window - 1, frame.height)
    rows = SeriesWindows(torch.from_numpy(numbers_SF), ends_N, window=window)
    extra = [name for name in frame.columns if name not in preparation["columns"]]
    return rows, range(window - 1, frame.height), {"extra": extra, "notes": notes}


def _texts(source: Any, preparation: dict[str, Any], origin: str) -> Found:
    texts, names, extra = _read_texts(source, preparation, origin)
    if not texts:
        raise DataError(f"{origin} holds no texts. Expected at least one.")
    rows, remarks = encode_texts(texts, preparation)
    return rows, names, {"notes": remarks, "extra": extra}


def _read_texts(
    source: Any, preparation: dict[str, Any], origin: str
) -> tuple[list[str], Sequence[str] | range, list[str]]:
    """Texts, their names, and columns that are not read."""
    frame = None
    if isinstance(source, Path):
        if source.is_dir() or is_archive(source):
            files = text_files(source)
            order = sorted(range(len(files.names)), key=files.names.__getitem__)
            texts = [text_of(files.read(i), f"{source}/{files.names[i]}") for i in order]
            return texts, [files.names[i] for i in order], []
        if is_text(source.name):
            texts = read_text(source).removesuffix("\n").split("\n")
            return texts, range(len(texts)), []
        header = False if preparation.get("header") is False else None
        columns, target = preparation.get("columns", ()), preparation.get("target", ())
        frame = read_table(source, header=header, columns=columns, target=target).frame
    elif is_frame(source) or isinstance(source, Mapping):
        frame = to_frame(source)
    if frame is None:
        texts = [str(text) for text in np.asarray(source, dtype=object).reshape(-1)]
        return texts, range(len(texts)), []
    column = preparation.get("column") or frame.columns[0]
    if column not in frame.columns:
        raise DataError(
            f"{origin}: column {column!r} with the texts is missing. Columns found: "
            f"{', '.join(map(repr, frame.columns))}."
        )
    texts = as_text(frame[column]).fill_null("").to_list()
    known = preparation.get("columns", (column,))
    return texts, range(len(texts)), [name for name in frame.columns if name not in known]
