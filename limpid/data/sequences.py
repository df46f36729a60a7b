"""Sequences of unequal length with a label or numbers each: list columns of a table, ragged arrays, Python lists.

Shapes: N sequences, T steps of the longest one, F features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.config import DataConfig
from limpid.data.array_dataset import target_columns
from limpid.data.arrays import read_arrays
from limpid.data.dataset import Dataset
from limpid.data.frames import TableFile, read_table
from limpid.data.labelled import assemble, label_samples
from limpid.data.origin import named
from limpid.data.table_roles import column_name
from limpid.data.table_target import read_targets
from limpid.data.target import TargetColumn
from limpid.data.windows import PaddedRows
from limpid.errors import DataError
from limpid.spec import DataSpec

if TYPE_CHECKING:
    import polars as pl

Array = NDArray[Any]
Floats = NDArray[np.float32]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Sequences:
    """Sequences (T_n, F) and their targets."""

    sequences: list[Floats]
    columns: list[TargetColumn]
    features: tuple[str, ...]
    index: Index
    fingerprint: str
    preparation: dict[str, Any]
    notes: tuple[str, ...] = ()


def load_sequences(path: Path, config: DataConfig, seed: int) -> Dataset:
    """JSON lines, Parquet or Arrow with list columns, or .npz with x, lengths and y.

    In a .npz file x holds all sequences one after the other, (sum of lengths, F) or (sum of lengths,), or padded,
    (N, T, F) or (N, T). Raises DataError for whatever is wrong.
    """
    with named(str(path)):
        npz = path.suffix.lower() == ".npz"
        found = _from_npz(path) if npz else _from_table(read_table(path), config, str(path))
        return sequences_dataset(found, config, seed, name=path.stem, origin=str(path))


def sequences_in_memory(x: Any, y: Any, config: DataConfig, seed: int) -> Dataset:
    """A list of arrays (T_n,) or (T_n, F), or an array (N, T, F) or (N, T), with targets."""
    if y is None:
        raise DataError("Sequences need targets: give (list of sequences, targets).")
    return sequences_dataset(_from_lists(x, y), config, seed, name="sequences", origin="The data")


def sequences_dataset(
    found: Sequences, config: DataConfig, seed: int, *, name: str, origin: str, scaled: bool = True
) -> Dataset:
    """Split the sequences, and learn scale and target from the training ones."""
    if config.test is not None:
        raise DataError(f"{origin}: data.test is not read for sequences. Leave it out; a share of them is the test.")
    labelled = label_samples(found.columns, None, config, seed)
    flat = torch.from_numpy(np.concatenate(found.sequences))
    lengths = torch.tensor([len(sequence) for sequence in found.sequences])
    train = np.concatenate([found.sequences[i] for i in labelled.parts["train"].tolist()]).astype(np.float64)
    mean, std = train.mean(axis=0), train.std(axis=0)
    std[std <= 1e-7 * np.abs(mean)] = 1.0
    longest = int(lengths.max())
    spec = DataSpec(
        name=name,
        kind="series",
        input_shape=(longest, flat.shape[1]),
        feature_names=found.features,
        scale_mean=tuple(mean.tolist()) if scaled else (),
        scale_std=tuple(std.tolist()) if scaled else (),
        preparation={"kind": "sequences", **found.preparation},
        **labelled.spec_fields(),
    )
    shortest, features = int(lengths.min()), "1 feature" if flat.shape[1] == 1 else f"{flat.shape[1]} features"
    long = f"{longest} steps" if shortest == longest else f"{shortest} to {longest} steps"
    padded = "" if shortest == longest else ", padded batch by batch"
    note = f"each row is a sequence of {long} with {features} at each{padded}"
    return assemble(
        spec,
        lambda numbers: PaddedRows(flat, lengths, numbers_N=torch.from_numpy(numbers)),
        labelled,
        index=found.index,
        names=None,
        origin=origin,
        fingerprint=found.fingerprint,
        summary={"columns": [], "dropped": [], "notes": [note, *found.notes]},
    )


def read_sequences(source: Any, preparation: dict[str, Any], origin: str) -> PaddedRows:
    """New sequences as the network takes them, from a frame or from lists. Raises DataError for another form."""
    features = tuple(preparation["features"])
    if hasattr(source, "get_columns"):
        names = preparation["columns"]
        absent = [name for name in names if name not in source.columns]
        if absent:
            raise DataError(
                f"{origin}: column(s) missing: {', '.join(map(repr, absent))}. The model was trained with them. "
                f"Columns found: {', '.join(map(repr, source.columns))}."
            )
        sequences = _list_cells(source, names, range(source.height))
    else:
        sequences = [_checked(each, i) for i, each in enumerate(source)]
    if not sequences:
        raise DataError(f"{origin} holds no sequences. Expected at least one.")
    wrong = next((i for i, each in enumerate(sequences) if each.shape[1] != len(features)), None)
    if wrong is not None:
        raise DataError(
            f"{origin}, sequence {wrong} (from 0) has {sequences[wrong].shape[1]} feature(s); the model takes "
            f"{len(features)}."
        )
    return PaddedRows(
        torch.from_numpy(np.concatenate(sequences)), torch.tensor([len(sequence) for sequence in sequences])
    )


def _from_lists(x: Any, y: Any) -> Sequences:
    sequences = [_checked(each, i) for i, each in enumerate(x)]
    labels = y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
    if len(sequences) != len(labels):
        raise DataError(f"There are {len(sequences)} sequences and {len(labels)} targets. They must be equally many.")
    if not sequences:
        raise DataError("There are no sequences. Expected at least one.")
    width = sequences[0].shape[1]
    for i, each in enumerate(sequences):
        if each.shape[1] != width:
            raise DataError(f"Sequence {i} (from 0) has {each.shape[1]} feature(s), sequence 0 has {width}.")
    digest = hashlib.sha256(labels.astype(str).tobytes() if labels.dtype.kind == "O" else labels.tobytes())
    for each in sequences:
        digest.update(repr(each.shape).encode() + each.tobytes())
    features = tuple(f"x{i}" for i in range(width))
    return Sequences(
        sequences,
        target_columns(labels, "target"),
        features,
        np.arange(len(sequences)),
        digest.hexdigest(),
        {"features": list(features)},
    )


def _checked(values: Any, i: int) -> Floats:
    """One sequence as finite float32 (T, F)."""
    try:
        sequence = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=np.float32)
    except (TypeError, ValueError):
        raise DataError(f"Sequence {i} (from 0) holds something else than numbers, or steps of unequal size.") from None
    if sequence.ndim == 1:
        sequence = sequence[:, None]
    if sequence.ndim != 2 or 0 in sequence.shape:
        what = "is empty" if 0 in sequence.shape else f"has the shape {sequence.shape}"
        raise DataError(f"Sequence {i} (from 0) {what}. Expected (steps,) or (steps, features), at least one step.")
    if not np.isfinite(sequence).all():
        step, feature = np.argwhere(~np.isfinite(sequence))[0]
        value = sequence[step, feature]
        raise DataError(f"Sequence {i}, step {step}, feature {feature} (all from 0): the value is {value}. Replace it.")
    return np.ascontiguousarray(sequence)


def _from_table(file: TableFile, config: DataConfig, origin: str) -> Sequences:
    import polars as pl

    if not config.target:
        names = ", ".join(map(repr, file.frame.columns))
        raise DataError(f"{origin}: which column is to be predicted? Set data.target (--target). Columns: {names}.")
    target = [column_name(text, file.frame.columns, origin) for text in config.target]
    drop = [column_name(text, file.frame.columns, origin) for text in config.drop]
    lists = [name for name, kind in file.frame.schema.items() if isinstance(kind, pl.List | pl.Array)]
    lists = [name for name in lists if name not in (*target, *drop)]
    if not lists:
        raise DataError(f"{origin}: no column holds lists. Columns: {', '.join(map(repr, file.frame.columns))}.")
    columns, frame, index = read_targets(file.frame, target, dict(config.types))
    sequences = _list_cells(frame, lists, index)
    ignored = [name for name in frame.columns if name not in (*lists, *target, *drop)]
    notes = [f"columns that are not read: {', '.join(map(repr, ignored))}"] if ignored else []
    width = sequences[0].shape[1]
    features = tuple(lists) if width == len(lists) else tuple(f"{lists[0]}{i}" for i in range(width))
    preparation = {"features": list(features), "columns": lists, "target": target}
    return Sequences(sequences, columns, features, index, file.digest, preparation, tuple(notes))


def _list_cells(frame: pl.DataFrame, names: Sequence[str], index: Sequence[int] | Index) -> list[Floats]:
    """Sequences of every row: one list column of numbers or of steps, or several of equal length beside each other."""
    cells = [frame[name].to_list() for name in names]
    sequences = []
    for row, lists in enumerate(zip(*cells, strict=True)):
        place = f"Row {int(index[row])} (from 0)"
        for name, values in zip(names, lists, strict=True):
            if values is None or len(values) == 0:
                raise DataError(f"{place}, column {name!r}: the sequence is missing or empty. Leave the row out.")
            if len(values) != len(lists[0]):
                raise DataError(
                    f"{place}: {names[0]!r} has {len(lists[0])} steps and {name!r} has {len(values)}. The columns of a "
                    "sequence must be equally long."
                )
        try:
            parts = [_checked(values, row) for values in lists]
        except DataError as error:
            raise DataError(f"{place}: {error}") from None
        sequences.append(np.concatenate(parts, axis=1))
    return sequences


def _from_npz(path: Path) -> Sequences:
    arrays = read_arrays(path)
    sequences = sequences_of(arrays, str(path))
    if "y" not in arrays:
        raise DataError(f"{path}: the array 'y' with the targets is missing. Found: {', '.join(arrays)}.")
    return _from_lists(sequences, arrays["y"])


def sequences_of(arrays: Mapping[str, Array] | Array, origin: str) -> list[Array]:
    """The sequences of x, end to end or padded, by `lengths`. Raises DataError when these do not fit each other."""
    names = list(arrays) if isinstance(arrays, Mapping) else []
    absent = [name for name in ("x", "lengths") if name not in names]
    if absent or not isinstance(arrays, Mapping):
        found = ", ".join(names) or "one array"
        raise DataError(f"{origin}: the array {absent[0]!r} is missing; sequences need x and lengths. Found: {found}.")
    x, lengths = arrays["x"], arrays["lengths"].astype(np.int64)
    if int(lengths.sum()) == len(x) and not (len(x) == len(lengths) and x.ndim == 3):
        return np.split(x, np.cumsum(lengths)[:-1])
    if len(x) == len(lengths) and x.ndim >= 2 and int(lengths.max()) <= x.shape[1]:
        return [row[:length] for row, length in zip(x, lengths.tolist(), strict=True)]
    raise DataError(
        f"{origin}: x of shape {x.shape} and {len(lengths)} lengths with the sum {int(lengths.sum())} do not fit: "
        "expected all sequences one after the other, or padded with one row each."
    )
