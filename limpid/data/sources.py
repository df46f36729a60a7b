"""Whatever the user calls data, as a `Dataset`: finds out what it is and hands it to its reader."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limpid.config import DataConfig
from limpid.data.corrections import correct
from limpid.data.dataset import Dataset
from limpid.data.form_options import refuse_unused
from limpid.data.frames import FRAME_SUFFIXES, is_frame
from limpid.data.left_out import without_rows
from limpid.data.outside import OUTSIDE, load_outside
from limpid.errors import DataError, nearest

NAMED_SETS = {
    "mnist": "70,000 handwritten digits of 28x28 pixels, 10 classes",
    "fashion-mnist": "70,000 pieces of clothing of 28x28 pixels, 10 classes",
    "cifar10": "60,000 colour images of 32x32 pixels, 10 classes",
    "cifar100": "60,000 colour images of 32x32 pixels, 100 classes",
}
ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz", ".zip")
ARRAY_ENDINGS = (".npy", ".npz")
IDX_ENDINGS = ("-ubyte", "-ubyte.gz")
MOST_TOKENS = 4096  # of a labelled text: what the default network reads
TO_DO = {
    ".gz": "Unpack it first, with gunzip.",
    ".json": "Write one object on each line, as .jsonl.",
    ".xls": "Export the sheet as CSV in UTF-8.",
    ".xlsx": "Export the sheet as CSV in UTF-8.",
    ".ods": "Export the sheet as CSV in UTF-8.",
}  # with files of endings that are met often and not read
PICKLE_ENDINGS = (".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt")


def load_data(
    source: Any,
    config: DataConfig,
    *,
    seed: int = 0,
    takes_codes: bool = False,
    most_tokens: int = MOST_TOKENS,
    y: Any = None,
) -> Dataset:
    """Read, split and prepare data of any kind that Limpid knows.

    Args:
        source: name of a built-in or published set, path of a file, folder or archive, or data in memory (NumPy,
            torch, pandas, polars, Arrow, nested lists, an (X, y) pair, a dict of arrays, a torch data set).
        seed: of the split, and of generated data.
        takes_codes: whether the model embeds category codes; otherwise categories become one-hot numbers.
        most_tokens: of a labelled text that the model reads, unless config.context says how many.
        y: targets, if `source` is the inputs in memory.
    Raises:
        DataError: an unknown name (with the nearest known one), or anything wrong with the data or their corrections.
        ConfigError: an option that data of this form do not have.
    """
    dataset = _load(source, config, seed, takes_codes, most_tokens, y)
    refuse_unused(config, dataset)
    if config.corrections:
        dataset = correct(dataset, config.corrections)
    return without_rows(dataset, config.leave_out) if config.leave_out else dataset


def named_sources() -> dict[str, str]:
    """Every data set that has a name, with a line that describes it."""
    from limpid.data.builtin import builtin_names

    absent = {name: f"not shipped, bring a copy: {outside.what}" for name, outside in OUTSIDE.items()}
    return builtin_names() | NAMED_SETS | absent


def _load(source: Any, config: DataConfig, seed: int, takes_codes: bool, most_tokens: int, y: Any) -> Dataset:
    if isinstance(source, str | os.PathLike):
        if y is not None:
            raise DataError(f"{source}: y can only be given with inputs in memory, not with a name or a file.")
        return _load_path(os.fspath(source), config, seed, takes_codes, most_tokens)
    if isinstance(source, Dataset):
        return source
    from limpid.data.forms import memory_form

    pair = isinstance(source, tuple) and len(source) == 2 and y is None
    x, targets = source if pair else (source, y)
    formed = memory_form(x, targets, config, seed, most_tokens)
    if formed is not None:
        return formed
    if pair and is_frame(source[0]):
        source, y = source
    if is_frame(source):
        from limpid.data.tables import load_frame

        return load_frame(source, config, seed=seed, takes_codes=takes_codes, y=y)
    if source is None:
        raise DataError("No data given. Name a built-in set, a file or a folder, for example: limpid train digits.")
    from limpid.data.arrays import load_arrays

    if isinstance(source, Mapping) or hasattr(source, "__len__"):
        return load_arrays(source, config, seed=seed, y=y)
    raise DataError(
        f"A {type(source).__name__} is not data that can be read. Expected arrays, tensors, frames, (X, y), a torch "
        "data set with a length, a path or a name."
    )


def _load_path(source: str, config: DataConfig, seed: int, takes_codes: bool, most_tokens: int) -> Dataset:
    from limpid.data.builtin import builtin_names, load_builtin

    name = source.lower().replace("_", "-")
    path = Path(source).expanduser()
    if name in builtin_names():
        return load_builtin(name, config, seed=seed)
    if name in NAMED_SETS:
        from limpid.data.named import load_named

        return load_named(name, config, seed)
    if name in OUTSIDE and not path.exists():
        return load_outside(name, config, seed)
    ending = path.name.lower()
    if ending.endswith(PICKLE_ENDINGS):
        raise DataError(
            f"{path} is a pickle, which is never opened because loading it can run code. Save arrays as .npz "
            "(numpy.savez), tables as .csv or .parquet, and give a model's weights as .safetensors."
        )
    if not path.exists():
        raise DataError(_not_found(source, path))
    from limpid.data.forms import load_form

    formed = load_form(path, config, seed, most_tokens)
    if formed is not None:
        return formed
    if path.is_dir():
        return _load_folder(path, config, seed)
    if path.suffix.lower() in FRAME_SUFFIXES:
        from limpid.data.tables import load_table

        return load_table(path, config, seed=seed, takes_codes=takes_codes)
    if ending.endswith(ARRAY_ENDINGS):
        from limpid.data.arrays import load_array_file

        return load_array_file(path, config, seed=seed)
    if ending.endswith(ARCHIVE_ENDINGS):
        from limpid.data.images import load_images

        return load_images(path, config, seed)
    if ending.endswith(IDX_ENDINGS):
        from limpid.data.idx import load_idx

        return load_idx(path, config, seed)
    known = ", ".join((*FRAME_SUFFIXES, *ARRAY_ENDINGS, *ARCHIVE_ENDINGS))
    hint = f" {TO_DO[path.suffix.lower()]}" if path.suffix.lower() in TO_DO else ""
    raise DataError(
        f"{path}: files of this kind are not read.{hint} Known endings: {known}, and IDX files (...-ubyte)."
    )


def _load_folder(path: Path, config: DataConfig, seed: int) -> Dataset:
    """A folder of IDX files, or of class folders with images."""
    if any(entry.name.lower().endswith(IDX_ENDINGS) for entry in path.iterdir()):
        from limpid.data.idx import load_idx

        return load_idx(path, config, seed)
    from limpid.data.images import load_images

    return load_images(path, config, seed)


def _not_found(source: str, path: Path) -> str:
    """Why a text is neither a known name nor a file, with what was probably meant."""
    names = named_sources()
    if path.suffix or path.parent != Path("."):
        near = ""
        if path.parent.is_dir():
            close = nearest(path.name, [entry.name for entry in path.parent.iterdir()])
            near = f" Did you mean {path.parent / close}?" if close else ""
        return f"{path}: no such file or folder.{near}"
    close = nearest(source.lower(), names)
    hint = f" Did you mean {close!r}?" if close else ""
    return f"{source!r} is neither a file nor a known data set.{hint} Known sets: {', '.join(names)}."
