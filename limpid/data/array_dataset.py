"""Arrays of inputs and targets as a `Dataset`: checks, kind, task, splits, scale.

Shapes: N rows, F features, C channels of H x W pixels, T target columns.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.config import DataConfig
from limpid.data.dataset import Dataset, ResidentRows, Split
from limpid.data.folds import refuse_folds, subset_of
from limpid.data.scaling import Scale, fit_scale, is_default
from limpid.data.split import split_indices, split_shares
from limpid.data.target import (
    TargetCoder,
    TargetColumn,
    fit_target,
    infer_task,
    one_hot_to_classes,
    target_from_array,
)
from limpid.errors import DataError
from limpid.spec import DataSpec

Array = NDArray[Any]
Index = NDArray[np.int64]
Kind = Literal["image", "vector", "array"]

# Rows per piece when statistics are summed in float64.
STATISTICS_ROWS = 4096


@dataclass(frozen=True)
class Arrays:
    """Inputs (N, ...) and targets (N,) or (N, T); `valid` and `test` are further pairs, when they are given."""

    x: Array
    y: Array
    feature_names: tuple[str, ...] = ()
    target_name: str = "target"
    valid: tuple[Array, Array] | None = None
    test: tuple[Array, Array] | None = None
    notes: tuple[str, ...] = field(default=())


def build_dataset(arrays: Arrays, config: DataConfig, *, seed: int, name: str) -> Dataset:
    """Split the arrays and learn scale, classes and target statistics from the training rows.

    Raises DataError for lengths that differ, values that are not finite (naming row and column), or a useless target.
    """
    _refuse_table_options(arrays, config, name)
    pairs = [(arrays.x, arrays.y), *(pair for pair in (arrays.valid, arrays.test) if pair is not None)]
    for x, y in pairs:
        if y.ndim == 0:
            raise DataError(f"{name}: the target is one value, {y}. Expected one for each of the {len(x)} inputs.")
        if len(x) != len(y):
            raise DataError(f"{name}: {len(x)} inputs and {len(y)} targets. They must be equally many.")
        if len(x) == 0:
            raise DataError(f"{name} holds no rows. Expected at least one.")
    kind, inputs = to_inputs(arrays.x)
    columns = target_columns(np.concatenate([y for _, y in pairs]), arrays.target_name)
    one_hot = one_hot_to_classes(columns) if config.task in ("auto", "classification") else None
    columns = columns if one_hot is None else [one_hot]
    task, reason = infer_task(columns, config.task)
    stratify = task in ("classification", "binary")
    num_rows = len(arrays.x)
    train, valid, test = _split(arrays, columns, config, stratify, seed)
    coder = fit_target(columns, task, train)
    scale = _scale(inputs, kind, train, config, name)

    def part(rows: Index, start: int = 0, pair: tuple[Array, Array] | None = None) -> Split | None:
        if len(rows) == 0:
            return None
        source = inputs if pair is None else to_inputs(pair[0])[1]
        if source.shape[1:] != inputs.shape[1:]:
            raise DataError(f"{name}: inputs of shape {tuple(source.shape[1:])} beside {tuple(inputs.shape[1:])}.")
        target = coder.encode([column.take(rows + start) for column in columns], rows, name)
        index = torch.from_numpy(rows)
        return Split(ResidentRows((source.index_select(0, index),)), target, index=index)

    num_given_valid = 0 if arrays.valid is None else len(arrays.valid[0])
    valid_split = part(valid)
    if arrays.valid is not None:
        valid_split = part(np.arange(num_given_valid), num_rows, arrays.valid)

    def make_test() -> Split | None:
        if arrays.test is None:
            return part(test)
        return part(np.arange(len(arrays.test[0])), num_rows + num_given_valid, arrays.test)

    train_split = part(train)
    assert train_split is not None
    num_valid = len(valid_split) if valid_split is not None else 0
    num_test = len(test) if arrays.test is None else len(arrays.test[0])
    shape = tuple(inputs.shape[1:])
    features = arrays.feature_names or (tuple(f"x{i}" for i in range(shape[0])) if kind == "vector" else ())
    preparation: dict[str, Any] = {"kind": "arrays", "dtype": str(inputs.dtype).removeprefix("torch.")}
    if inputs.dtype == torch.uint8:
        colour = "rgb" if shape[0] == 3 else "grey"
        preparation |= {"kind": "image", "size": list(shape[1:]), "colour": colour, "fit": config.fit}
    counts = (len(train), num_valid, num_test)
    spec = _spec(name, kind, shape, features, coder, scale, counts, preparation)
    summary = {
        "rows": num_rows,
        "columns": [],
        "dropped": [],
        "notes": [*arrays.notes, f"inputs of shape {shape} are read as {kind}"],
        "split": dict(zip(("train", "valid", "test"), counts, strict=True))
        | {"how": "random, stratified by class" if stratify else config.split},
        "task": task,
        "task_reason": reason,
        "target": list(coder.names),
    }
    return Dataset(spec, train_split, valid_split, make_test, _digest(pairs), summary)


def to_inputs(x: Array) -> tuple[Kind, Tensor]:
    """The kind of the inputs and their tensor, images as (N, C, H, W), floats as float32.

    Raises DataError for objects, complex numbers, single numbers per row, and values that are not finite.
    """
    if x.dtype.kind not in "biuf":
        raise DataError(f"Inputs of dtype {x.dtype} cannot be used. Expected numbers, for example float32 or uint8.")
    if x.ndim < 2:
        raise DataError(f"Inputs of shape {x.shape} have no features. Expected rows first, for example (N, F).")
    if 0 in x.shape[1:]:
        raise DataError(f"Inputs of shape {x.shape} hold no values.")
    if x.dtype == np.uint8 and x.ndim == 3:
        x = x[:, None]
    pixels = x.dtype.kind == "f" or x.dtype == np.uint8
    image = pixels and x.ndim == 4 and (x.shape[1] in (1, 3) or x.shape[3] in (1, 3))
    if image and x.shape[1] not in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    if image and x.dtype == np.uint8:
        return "image", _tensor(x)
    kind: Kind = "image" if image else ("vector" if x.ndim == 2 else "array")
    if kind == "array" and x.dtype.kind in "biu":
        return kind, _tensor(x.astype(np.int64))
    with np.errstate(over="ignore"):
        values = np.asarray(x, dtype=np.float32)
    _refuse_not_finite(values, x)
    return kind, _tensor(values)


def _tensor(values: Array) -> Tensor:
    """The values as a contiguous tensor, copied only where they must be; it is read, never written."""
    values = np.ascontiguousarray(values)
    return torch.from_numpy(values if values.flags.writeable else values.copy())


def _scale(inputs: Tensor, kind: Kind, train: Index, config: DataConfig, name: str) -> Scale:
    """The configured scaling of the training rows. Raises DataError where there is nothing that it could mean."""
    if is_default(config):
        return Scale(*scale_of(inputs, kind, train))
    if kind == "array" and config.scale != "none":
        raise DataError(f"{name}: data.scale = {config.scale} is for vectors, tables and images, not for other arrays.")
    pieces = np.array_split(train, max(1, len(train) // STATISTICS_ROWS))
    return fit_scale(lambda: (inputs[torch.from_numpy(piece)] for piece in pieces), config, image=kind == "image")


def scale_of(inputs: Tensor, kind: Kind, train: Index) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation over the training rows, per channel or feature; 1 where constant.

    Of values / 255 for uint8. Empty for other arrays.
    """
    if kind == "array":
        return (), ()
    unit = 255.0 if inputs.dtype == torch.uint8 else 1.0
    dims = (0, 2, 3) if kind == "image" else (0,)
    pieces = [torch.from_numpy(piece) for piece in np.array_split(train, max(1, len(train) // STATISTICS_ROWS))]
    values_per_channel = len(train) * (inputs[0, 0].numel() if kind == "image" else 1)
    mean = sum(inputs[piece].double().sum(dims) for piece in pieces) / values_per_channel
    assert isinstance(mean, Tensor)
    shape = (1, -1, 1, 1) if kind == "image" else (1, -1)
    square = sum((inputs[piece].double() - mean.reshape(shape)).square().sum(dims) for piece in pieces)
    assert isinstance(square, Tensor)
    std = (square / values_per_channel).sqrt()
    std = torch.where(std <= 1e-7 * mean.abs(), 1.0 * unit, std)
    return tuple((mean / unit).tolist()), tuple((std / unit).tolist())


def target_columns(y: Array, name: str) -> list[TargetColumn]:
    """One target column per output. Raises DataError for more than two dimensions or missing values."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 1:
        return [target_from_array(name, y)]
    if y.ndim != 2 or y.shape[1] == 0:
        raise DataError(f"Targets of shape {y.shape} cannot be used. Expected (N,) or (N, number of targets).")
    return [target_from_array(f"{name}{i}", y[:, i]) for i in range(y.shape[1])]


def _split(
    arrays: Arrays, columns: list[TargetColumn], config: DataConfig, stratify: bool, seed: int
) -> tuple[Index, Index, Index]:
    how, _, by = config.split.partition(":")
    order: Array | None = None
    if how in ("group", "time"):
        if arrays.x.ndim != 2 or not by.isdigit() or int(by) >= arrays.x.shape[1]:
            raise DataError(f"data.split = {config.split!r}: arrays need the number of a column, from 0.")
        order = arrays.x[:, int(by)]
    elif config.split != "random":
        raise DataError(f"data.split = {config.split!r} is not known. Use random, group:COLUMN or time:COLUMN.")
    valid_share, test_share = split_shares(config, has_test=arrays.test is not None)
    if arrays.valid is not None:
        refuse_folds(config, "the arrays hold validation rows, and folds divide all rows anew. Leave folds out.")
    return split_indices(
        len(arrays.x),
        labels=columns[0].codes[: len(arrays.x)] if stratify else None,
        groups=order if how == "group" else None,
        times=order if how == "time" else None,
        valid_share=0.0 if arrays.valid is not None else valid_share,
        test_share=test_share,
        seed=seed,
        subset=subset_of(config),
    )


def _spec(
    name: str,
    kind: Kind,
    shape: tuple[int, ...],
    features: tuple[str, ...],
    coder: TargetCoder,
    scale: Scale,
    counts: tuple[int, int, int],
    preparation: dict[str, Any],
) -> DataSpec:
    return DataSpec(
        name=name,
        kind=kind,
        task=coder.task,
        input_shape=shape,
        num_outputs=coder.num_outputs,
        classes=coder.classes,
        target_names=coder.names,
        feature_names=features,
        scale_mean=scale.mean,
        scale_std=scale.std,
        scale_rotation=scale.rotation,
        scaled_shape=scale.shape,
        target_mean=coder.mean,
        target_std=coder.std,
        class_counts=coder.class_counts,
        num_train=counts[0],
        num_valid=counts[1],
        num_test=counts[2],
        preparation=preparation,
    )


def _refuse_table_options(arrays: Arrays, config: DataConfig, name: str) -> None:
    """Options that would be passed over in silence."""
    given = {"drop": config.drop, "types": config.types, "test": config.test if arrays.test is None else None}
    for key, value in given.items():
        if value:
            raise DataError(f"{name}: data.{key} applies to tables only, and these are arrays. Leave it out.")


def _refuse_not_finite(values: NDArray[np.float32], given: Array) -> None:
    finite = np.isfinite(values)
    if finite.all():
        return
    place = np.argwhere(~finite)[0]
    at = f"column {place[1]}" if values.ndim == 2 else f"position {tuple(int(i) for i in place[1:])}"
    value = given[tuple(place)]
    advice = "fill it, or give a table, whose missing cells are filled" if np.isnan(value) else "replace it"
    what = f"{value}" if not np.isfinite(value) else f"{value:g}, too large for float32"
    raise DataError(f"Inputs, row {place[0]}, {at} (both from 0): the value is {what}; {advice}.")


def _digest(pairs: list[tuple[Array, Array]]) -> str:
    digest = hashlib.sha256()
    for array in (array for pair in pairs for array in pair):
        array = array.astype(str) if array.dtype.kind == "O" else array
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data if array.dtype.kind != "U" else array.tobytes())
    return digest.hexdigest()
