"""Arrays from .npy and .npz files and from memory: NumPy, torch, nested lists, (X, y) pairs, torch data sets."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from limpid.config import DataConfig
from limpid.data.array_dataset import Arrays, build_dataset
from limpid.data.dataset import Dataset
from limpid.data.frames import is_frame
from limpid.data.masks import masks_dataset
from limpid.data.origin import named
from limpid.errors import DataError

Array = NDArray[Any]

INPUT_NAMES = ("x", "data", "inputs", "input", "features", "images", "arr_0")
TARGET_NAMES = ("y", "target", "targets", "labels", "label", "arr_1")
PART_NAMES = {
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation", "dev"),
    "test": ("test", "testing"),
}


def load_array_file(path: Path, config: DataConfig, *, seed: int) -> Dataset:
    """A .npz file with inputs and targets, or a .npy matrix of which `config.target` numbers a column.

    Raises DataError for a missing, damaged or pickled file, or array names that are not understood.
    """
    with named(str(path), config.test):
        pair = _to_pair(read_arrays(path), config, str(path))
        if config.test is not None:
            test = _to_pair(read_arrays(Path(config.test)), config, config.test)
            pair = replace(pair, test=(test.x, test.y))
        return _dataset(pair, config, seed=seed, name=path.stem)


def read_arrays(path: Path) -> Array | dict[str, Array]:
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty (0 bytes). Expected arrays saved by NumPy.")
        loaded = np.load(path, allow_pickle=False)
        arrays = loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if "pickle" in str(error).lower():
            raise DataError(
                f"{path} holds Python objects, which are never unpickled because that can run code. "
                "Save numbers or text instead, for example with array.astype(float) or array.astype(str)."
            ) from None
        raise DataError(f"{path} cannot be read as NumPy arrays: {error}. Is it complete?") from None
    return arrays


def load_arrays(
    source: Any, config: DataConfig, *, seed: int, y: Any = None, name: str = "arrays", origin: str = "The data"
) -> Dataset:
    """Inputs and targets in memory as a data set.

    Args:
        source: an array, tensor, list of rows, (X, y) pair, dict of arrays, or torch data set of known length.
        y: targets, if `source` holds the inputs only.
        name: of the data set.
        origin: what messages call it.
    Raises:
        DataError: no targets, unknown names, or arrays that do not fit each other.
    """
    if y is not None:
        return _dataset(Arrays(as_array(source, "X"), as_array(y, "y")), config, seed=seed, name=name)
    if isinstance(source, tuple) and len(source) == 2:
        pair = Arrays(as_array(source[0], "X"), as_array(source[1], "y"))
        return _dataset(pair, config, seed=seed, name=name)
    if hasattr(source, "__getitem__") and hasattr(source, "__len__") and not _is_array_like(source):
        return _dataset(_from_torch_dataset(source), config, seed=seed, name=name)
    return _dataset(_to_pair(source, config, origin), config, seed=seed, name=name)


def _dataset(arrays: Arrays, config: DataConfig, *, seed: int, name: str) -> Dataset:
    """A target of three dimensions is a class for every pixel."""
    build = masks_dataset if arrays.y.ndim == 3 else build_dataset
    return build(arrays, config, seed=seed, name=name)


def as_array(values: Any, name: str) -> Array:
    """A NumPy array of a tensor, array, sparse matrix, frame, column or nested list.

    Raises DataError for rows of different lengths, and for masked values, which an array would show bare.
    """
    if np.ma.is_masked(values):
        raise DataError(
            f"{name}: {np.ma.count_masked(values)} values are masked. Fill them first, with .filled(VALUE)."
        )
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        if values.dtype in (torch.bfloat16, torch.float16):
            values = values.float()
        return values.numpy()
    if is_frame(values) or hasattr(values, "to_numpy"):
        return np.asarray(values.to_numpy())
    if hasattr(values, "toarray"):
        return np.asarray(values.toarray())
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name} cannot be made an array: {error}. Do all rows have the same length?") from None


def _to_pair(source: Any, config: DataConfig, origin: str) -> Arrays:
    if isinstance(source, Mapping):
        return _from_mapping(source, origin)
    return _from_matrix(as_array(source, "X"), config, origin)


def _from_mapping(arrays: Mapping[str, Any], origin: str) -> Arrays:
    """Inputs and targets by name: x and y, or x_train, y_train, x_valid, y_valid, x_test, y_test."""
    found: dict[tuple[str, str], Array] = {}
    for key, values in arrays.items():
        place = _meaning(str(key).lower())
        if place is not None:
            found[place] = as_array(values, str(key))
    pairs: dict[str, tuple[Array, Array]] = {}
    for part in ("all", *PART_NAMES):
        if (part, "x") in found and (part, "y") in found:
            pairs[part] = (found[part, "x"], found[part, "y"])
        elif (part, "x") in found or (part, "y") in found:
            lacking = "targets" if (part, "x") in found else "inputs"
            raise DataError(f"{origin} has no {lacking} for {part!r}. Arrays found: {', '.join(map(str, arrays))}.")
    first = pairs.get("train", pairs.get("all"))
    if first is None:
        raise DataError(
            f"{origin}: the arrays {', '.join(map(str, arrays)) or '(none)'} are not understood. Expected x and y, or "
            "x_train and y_train with or without x_valid, y_valid, x_test and y_test."
        )
    return Arrays(first[0], first[1], valid=pairs.get("valid"), test=pairs.get("test"))


def _meaning(key: str) -> tuple[str, str] | None:
    """("train", "x") for x_train, train_images, ...; ("all", "y") for y, labels, ...; None if unknown."""
    part = "all"
    for name, words in PART_NAMES.items():
        for word in words:
            if key.startswith(f"{word}_"):
                part, key = name, key[len(word) + 1 :]
            elif key.endswith(f"_{word}"):
                part, key = name, key[: -len(word) - 1]
    if key in INPUT_NAMES:
        return part, "x"
    return (part, "y") if key in TARGET_NAMES else None


def _from_matrix(matrix: Array, config: DataConfig, origin: str) -> Arrays:
    """A matrix of which one or more columns, by number, are the target."""
    if matrix.ndim != 2 or not config.target:
        raise DataError(
            f"{origin}: an array of shape {matrix.shape} without targets. Give (X, y), a .npz file with x and y, or "
            "for a matrix the number of its target column (data.target)."
        )
    width = matrix.shape[1]
    columns = []
    for text in config.target:
        if not text.lstrip("-").isdigit() or not -width <= int(text) < width:
            raise DataError(f"{origin} has no column {text!r}; its columns are numbered 0 to {width - 1}.")
        columns.append(int(text) % width)
    rest = [i for i in range(width) if i not in columns]
    names = tuple(f"x{i}" for i in rest)
    return Arrays(matrix[:, rest], matrix[:, columns], names, target_name="target")


def _from_torch_dataset(source: Any) -> Arrays:
    """Every (input, target) pair of a map-style data set, stacked in memory.

    Raises DataError naming the item that cannot be had, or is no pair, or of another shape than the first.
    """
    tensors = getattr(source, "tensors", None)
    if isinstance(tensors, tuple) and len(tensors) == 2:
        return Arrays(as_array(tensors[0], "inputs"), as_array(tensors[1], "targets"))
    inputs, targets = [], []
    for i in range(len(source)):
        try:
            item = source[i]
        except Exception as error:  # whatever a user's own code raises
            raise DataError(f"Item {i} of the data set cannot be read: {type(error).__name__}: {error}.") from error
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DataError(f"Item {i} of the data set is a {type(item).__name__}. Expected a pair (input, target).")
        inputs.append(as_array(item[0], f"input {i}"))
        targets.append(as_array(item[1], f"target {i}"))
        if inputs[i].shape != inputs[0].shape:
            raise DataError(
                f"Item {i} of the data set has an input of shape {inputs[i].shape}, item 0 of {inputs[0].shape}. "
                "Make them equal, for example by a transform that resizes."
            )
    if not inputs:
        raise DataError("The data set is empty. Expected at least one item.")
    note = f"{len(inputs)} items of a {type(source).__name__} were read into memory once; random transforms are frozen"
    return Arrays(np.stack(inputs), np.stack(targets), notes=(note,))


def _is_array_like(source: Any) -> bool:
    return isinstance(source, np.ndarray | torch.Tensor | list | tuple | Mapping) or hasattr(source, "toarray")
