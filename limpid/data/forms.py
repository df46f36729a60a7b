"""Sources that are not tables, arrays or images: which form a file, a folder or data in memory have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from limpid.config import DataConfig
from limpid.data.archives import is_archive
from limpid.data.dataset import Dataset
from limpid.data.form_options import TAKES
from limpid.data.frames import FRAME_SUFFIXES, SEPARATOR_OF, TableFile, frame_digest, is_frame, to_frame
from limpid.errors import DataError


def load_form(path: Path, config: DataConfig, seed: int, most_tokens: int) -> Dataset | None:
    """The data at an existing path in the form that was asked for or is plain; None: it is another reader's.

    Raises DataError when the source cannot have the form that was asked for, or anything is wrong with it.
    """
    form = _form_of(path, config) if config.form == "auto" else config.form
    if form == "table":
        if path.suffix.lower() not in FRAME_SUFFIXES:
            raise DataError(f"{path}: data.form = table needs a file that ends in {', '.join(FRAME_SUFFIXES)}.")
        return None
    if form == "auto":
        return None
    tabular, folder = path.suffix.lower() in FRAME_SUFFIXES, path.is_dir()
    plain, npz = path.suffix.lower() in (".txt", ".text"), path.suffix.lower() == ".npz"
    fits = {
        "series": tabular,
        "sequences": (tabular and path.suffix.lower() not in (".csv", ".tsv", ".txt")) or npz,
        "text": plain or folder or is_archive(path),
        "texts": tabular or folder or is_archive(path),
        "pairs": tabular or folder,
        "captions": tabular or folder,
    }
    if not fits[form]:
        raise DataError(f"{path}: data.form = {form} takes {TAKES[form]}.")
    from limpid.data.captions import load_captions
    from limpid.data.pairs import load_pairs
    from limpid.data.sequences import load_sequences
    from limpid.data.series import load_series
    from limpid.data.text import load_text
    from limpid.data.texts import load_texts

    if form == "series":
        return load_series(path, config)
    if form == "text":
        return load_text(path, config)
    if form == "texts":
        return load_texts(path, config, seed, most_tokens)
    return {"sequences": load_sequences, "pairs": load_pairs, "captions": load_captions}[form](path, config, seed)


def memory_form(x: Any, y: Any, config: DataConfig, seed: int, most_tokens: int) -> Dataset | None:
    """Data in memory in the form that was asked for or is plain; None: they are a table or arrays.

    Raises DataError when they cannot have the form that was asked for.
    """
    form = config.form
    texts = isinstance(x, list | tuple) and len(x) > 0 and all(isinstance(each, str) for each in x)
    if form == "auto":
        seen = config.window is not None or config.horizon is not None
        form = "texts" if texts and y is not None else "sequences" if _is_ragged(x) else "auto"
        form = "series" if seen and is_frame(x) else form
    if form in ("auto", "table"):
        return None
    from limpid.data.pairs import pairs_in_memory
    from limpid.data.sequences import sequences_in_memory
    from limpid.data.series import series_dataset
    from limpid.data.text import text_dataset
    from limpid.data.texts import texts_in_memory

    if form == "series" and is_frame(x) and y is None:
        frame = to_frame(x)
        return series_dataset(TableFile(frame, True, frame_digest(frame)), config, name="series", origin="The table")
    if form == "sequences" and not is_frame(x):
        return sequences_in_memory(x, y, config, seed)
    if form == "texts" and texts:
        return texts_in_memory(x, y, config, seed, most_tokens)
    if form == "pairs" and texts and y is not None:
        return pairs_in_memory(x, y, config, seed)
    if form == "text" and texts and y is None:
        return text_dataset("\n".join(x), config, name="text", origin="The text")
    raise DataError(f"A {type(x).__name__} in memory cannot be read with data.form = {form}; that takes {TAKES[form]}.")


def _form_of(path: Path, config: DataConfig) -> str:
    """The form that a source plainly has: "auto" where its ending tells the reader."""
    suffix = path.suffix.lower()
    tabular = suffix in FRAME_SUFFIXES
    if tabular and (config.window is not None or config.horizon is not None):
        return "series"
    if suffix in (".txt", ".text") and not config.target:
        return "text"
    if tabular and suffix not in SEPARATOR_OF and _holds_lists(path):
        return "sequences"
    if path.is_dir() or is_archive(path):
        from limpid.data.captions import table_of
        from limpid.data.text_files import holds_texts

        if path.is_dir() and table_of(path) is not None:
            return "captions"
        if not holds_texts(path):
            return "auto"
        inner = [entry for entry in path.iterdir() if entry.is_dir()] if path.is_dir() else [path]
        return "texts" if inner else "text"
    return "auto"


def _is_ragged(x: Any) -> bool:
    """Whether this is a list of number sequences of different lengths."""
    if not isinstance(x, list | tuple) or len(x) == 0 or isinstance(x[0], str):
        return False
    lengths = {len(each) for each in x if hasattr(each, "__len__") and getattr(each, "ndim", 1) > 0}
    return len(lengths) > 1


def _holds_lists(path: Path) -> bool:
    """Whether a file of JSON lines, Parquet or Arrow has a column of lists, judged by its first row or its schema."""
    import polars as pl

    suffix = path.suffix.lower()
    try:
        if suffix in (".jsonl", ".ndjson"):
            with path.open(encoding="utf-8") as file:
                row = json.loads(file.readline())
            return isinstance(row, dict) and any(isinstance(cell, list) for cell in row.values())
        if suffix == ".parquet":
            return any(kind.is_nested() for kind in pl.read_parquet_schema(path).values())
        if suffix in (".arrow", ".feather", ".ipc"):
            return any(kind.is_nested() for kind in pl.read_ipc_schema(path).values())
    except (OSError, ValueError, pl.exceptions.PolarsError):
        return False  # its reader says what is wrong with it
    return False
