"""New raw samples from whatever holds them, prepared by the rules that training stored in the spec.

Tables are matched by column name, images are made equal in size as in training, arrays must have the training shape.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from limpid.data.array_dataset import to_inputs
from limpid.data.arrays import INPUT_NAMES, as_array
from limpid.data.dataset import ResidentRows, Rows
from limpid.data.encode import encode_frame, finite_numbers
from limpid.data.frames import FRAME_SUFFIXES, is_frame, read_table, to_frame
from limpid.data.sources import ARRAY_ENDINGS, IDX_ENDINGS
from limpid.deploy.image_samples import find_images
from limpid.errors import DataError
from limpid.spec import DataSpec

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Samples:
    """N samples as the network takes them, their names, and what was noticed while reading."""

    rows: Rows
    names: Sequence[str] | range
    report: dict[str, Any] = field(default_factory=dict)
    bad: Mapping[int, str] = field(default_factory=dict)  # what is the matter with a row, once it was asked for

    def good(self) -> Sequence[int]:
        """The rows that could be read, of those that were asked for."""
        return [i for i in range(len(self.names)) if i not in self.bad]

    def without_bad(self, origin: str) -> Samples:
        """The good ones, by name, with the others in the report. Raises DataError when there is no good one."""
        names = [str(self.names[i]) for i in self.good()]
        if not names:
            raise DataError(f"{origin}: none of {len(self.bad)} file(s) can be used. The first is {self.bad[0]}")
        return replace(self, names=names, report={**self.report, "skipped": [self.bad[i] for i in sorted(self.bad)]})


def read_samples(source: Any, spec: DataSpec, *, skip_bad: bool = False) -> Samples:
    """Read a table, image, folder or archive of images, array file, or anything of these in memory.

    With `skip_bad`, image files that cannot be used are found when they are asked for, and told by `Samples.bad`.
    Raises DataError when it is missing, empty, unreadable, or of another form than `spec` describes.
    """
    if spec.kind in ("series", "text", "pairs", "captions"):
        from limpid.deploy.sequence_samples import read_sequence_samples

        return Samples(*read_sequence_samples(source, spec))
    if isinstance(source, str | os.PathLike):
        return _from_path(Path(source).expanduser(), spec, skip_bad)
    if is_frame(source) or isinstance(source, Mapping):
        return _from_frame(to_frame(source), spec, "The table")
    return _from_array(as_array(source, "The array"), spec, "The array")


def _from_path(path: Path, spec: DataSpec, skip_bad: bool) -> Samples:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder.")
    ending = path.name.lower()
    if path.suffix.lower() in FRAME_SUFFIXES:
        if spec.kind not in ("table", "vector"):
            raise DataError(f"{path} is a table, but the model takes {_form(spec)}.")
        file = read_table(path, header=_header(spec), columns=_columns(spec), target=_targets(spec))
        return _from_frame(file.frame, spec, str(path))
    if ending.endswith(ARRAY_ENDINGS):
        return _from_array(_read_array(path), spec, str(path))
    if ending.endswith(IDX_ENDINGS):
        from limpid.data.idx import read_idx

        return _from_array(read_idx(path), spec, str(path))
    if spec.kind != "image":
        known = ", ".join((*FRAME_SUFFIXES, *ARRAY_ENDINGS))
        raise DataError(f"{path}: the model takes {_form(spec)}, expected a file that ends in {known}.")
    return _from_images(path, spec, skip_bad)


def _from_frame(frame: pl.DataFrame, spec: DataSpec, origin: str) -> Samples:
    if frame.height == 0:
        raise DataError(f"{origin} holds no rows. Expected at least one.")
    if spec.kind == "table":
        try:
            tensors, report = encode_frame(frame, spec)
        except DataError as error:
            raise DataError(f"{origin}: {error}") from None
        return Samples(ResidentRows(tensors), range(frame.height), report)
    if spec.kind != "vector":
        raise DataError(f"{origin} is a table, but the model takes {_form(spec)}.")
    absent = [name for name in spec.feature_names if name not in frame.columns]
    if absent:
        raise DataError(
            f"{origin}: column(s) missing: {', '.join(map(repr, absent))}. The model was trained with them. "
            f"Columns found: {', '.join(map(repr, frame.columns))}."
        )
    columns = []
    for name in spec.feature_names:
        values = finite_numbers(frame[name], "number", "", None)
        if values.null_count():
            row = int(values.is_null().arg_true()[0])
            raise DataError(f"{origin}, row {row} (from 0), column {name!r}: the cell is missing. Fill it.")
        columns.append(values.to_numpy())
    numbers = torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))
    extra = [name for name in frame.columns if name not in (*spec.feature_names, *spec.target_names)]
    return Samples(ResidentRows((numbers,)), range(frame.height), {"extra": extra})


def _from_array(array: np.ndarray[Any, Any], spec: DataSpec, origin: str) -> Samples:
    if spec.kind == "table":
        return _from_frame(_as_table(array, spec, origin), spec, origin)
    if array.ndim and len(array) == 0:
        raise DataError(f"{origin} holds no samples. Expected at least one.")
    _, inputs = to_inputs(array)
    expected, found = ("N", *spec.input_shape), ("N", *inputs.shape[1:])
    if found != expected:
        raise DataError(
            f"{origin} has shape {array.shape}, read as {_shape(found)}; the model takes {_shape(expected)}. "
            "Arrays are not resized or reordered; give the shape that training had."
        )
    trained_on = spec.preparation.get("dtype", "uint8" if spec.preparation.get("kind") == "image" else None)
    if trained_on == "float32":
        inputs = inputs.float()
    if trained_on is not None and inputs.dtype != getattr(torch, trained_on):
        raise DataError(f"{origin} holds {array.dtype}, but the model was trained on {trained_on}. Give {trained_on}.")
    return Samples(ResidentRows((inputs,)), range(len(inputs)))


def _as_table(array: np.ndarray[Any, Any], spec: DataSpec, origin: str) -> pl.DataFrame:
    """A matrix as the table of the training columns, in their order."""
    names = [column["name"] for column in spec.preparation["encoder"]["columns"]]
    if array.ndim != 2 or array.shape[1] != len(names):
        raise DataError(
            f"{origin} has shape {array.shape}; the model takes a table with {len(names)} columns: "
            f"{', '.join(map(repr, names))}. Give a table with these names, or a matrix in this order."
        )
    return to_frame({name: array[:, i].tolist() for i, name in enumerate(names)})


def _read_array(path: Path) -> np.ndarray[Any, Any]:
    """The array of a .npy file; of a .npz file its only one, or the one that is named as inputs are."""
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty (0 bytes). Expected arrays saved by NumPy.")
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        names = [name for name in loaded.files if len(loaded.files) == 1 or name.lower() in INPUT_NAMES]
        if len(names) != 1:
            raise DataError(f"{path} holds the arrays {', '.join(loaded.files) or '(none)'}. Name the samples x.")
        return np.asarray(loaded[names[0]])
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if "pickle" in str(error).lower():
            raise DataError(f"{path} holds Python objects, which are never unpickled. Save plain numbers.") from None
        raise DataError(f"{path} cannot be read as NumPy arrays: {error}. Is it complete?") from None


def _from_images(path: Path, spec: DataSpec, skip_bad: bool) -> Samples:
    if spec.preparation.get("kind") != "image":
        raise DataError(
            f"{path}: the model was trained on arrays, which say nothing of how to bring files to their size. Give an "
            f"array: {_form(spec)}."
        )
    rows = find_images(path, spec.preparation, skip_bad=skip_bad)
    return Samples(rows, rows.names, bad=rows.bad)


def _columns(spec: DataSpec) -> tuple[str, ...]:
    return tuple(spec.preparation.get("columns", (*spec.feature_names, *spec.target_names)))


def _targets(spec: DataSpec) -> tuple[str, ...]:
    return tuple(spec.preparation.get("target", spec.target_names))


def _header(spec: DataSpec) -> bool | None:
    """False when the training file had no header, because then a new file has no names to tell one by."""
    return False if spec.preparation.get("header") is False else None


def _form(spec: DataSpec) -> str:
    named = {"image": "images", "vector": "vectors", "table": "tables", "array": "arrays"}[spec.kind]
    return f"{named} of shape {_shape(('N', *spec.input_shape))}"


def _shape(sizes: tuple[Any, ...]) -> str:
    return f"({', '.join(map(str, sizes))})"
