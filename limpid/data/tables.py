"""A table of rows as a `Dataset`: target and task, splits, then everything learned from the training rows.

The kind of task is read off all rows, since the split depends on it, and so are the columns' types; fills, values,
scales and the class list come from the training rows alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from limpid.config import DataConfig
from limpid.data.column_types import Type, numbers_from_text
from limpid.data.dataset import Dataset, ResidentRows, Split
from limpid.data.encode import TableEncoder
from limpid.data.encoder_fit import FittedColumns, fit_encoder
from limpid.data.folds import subset_of
from limpid.data.frames import TableFile, frame_digest, read_table, to_frame
from limpid.data.origin import named
from limpid.data.scaling import Scale, fit_scale, is_default
from limpid.data.split import split_indices, split_shares
from limpid.data.table_roles import Roles, find_roles, group_codes, time_values
from limpid.data.table_target import read_targets, target_cells
from limpid.data.target import TargetCoder, TargetColumn, fit_target, infer_task
from limpid.errors import DataError
from limpid.spec import DataSpec

if TYPE_CHECKING:
    import polars as pl

Index = NDArray[np.int64]


def load_table(path: str | Path, config: DataConfig, *, seed: int, takes_codes: bool) -> Dataset:
    """A table file as a data set. Raises DataError for whatever is wrong with the file, its columns or its target."""
    with named(str(path), config.test):
        file = read_table(path, header=config.header)
        return _build(file, Path(path).stem, config, seed, takes_codes, str(path))


def load_frame(table: Any, config: DataConfig, *, seed: int, takes_codes: bool, y: Any = None) -> Dataset:
    """A pandas, polars or Arrow table as a data set; `y`, if given, is the target column."""
    import polars as pl

    frame = to_frame(table)
    if y is not None:
        if hasattr(y, "columns"):
            columns = to_frame(y).get_columns()
        else:
            name = str(getattr(y, "name", None) or "target")
            columns = [pl.Series(name, y.tolist() if hasattr(y, "tolist") else list(y), strict=False)]
        clash = [column.name for column in columns if column.name in frame.columns]
        if clash:
            raise DataError(f"The table already has a column {clash[0]!r}; give y another name.")
        if len(columns[0]) != frame.height:
            raise DataError(f"X has {frame.height} rows and y has {len(columns[0])}. They must be equally many.")
        frame = frame.with_columns(columns)
        config = config.model_copy(update={"target": tuple(column.name for column in columns)})
    file = TableFile(frame, True, frame_digest(frame))
    return _build(file, "table", config, seed, takes_codes, "The table")


def _build(file: TableFile, name: str, config: DataConfig, seed: int, takes_codes: bool, origin: str) -> Dataset:
    notes = list(file.notes)
    roles = find_roles(file.frame, config, origin)
    num_test, digest = 0, file.digest
    if config.test is not None:
        test_file = _read_test(config, file, roles)
        num_test, test_digest = test_file.frame.height, test_file.digest
        digest = hashlib.sha256((digest + test_digest).encode()).hexdigest()
    columns, frame, index = read_targets(file.frame, roles.target, roles.types)
    if len(index) < file.frame.height:
        notes.append(f"{file.frame.height - len(index)} row(s) without a target were left out")
    task, reason = infer_task(columns, config.task)
    valid_share, test_share = split_shares(config, has_test=config.test is not None)
    parts = split_indices(
        frame.height,
        labels=columns[0].codes if task in ("classification", "binary") else None,
        groups=group_codes(frame, roles.group),
        times=time_values(frame, roles.time),
        valid_share=valid_share,
        test_share=test_share,
        seed=seed,
        subset=subset_of(config),
    )
    train, valid, test = parts
    untyped = [name for name in frame.columns if name not in roles.leave_out() and name not in roles.types]
    frame = numbers_from_text(frame, untyped)
    onehot = config.encode == "onehot" or not takes_codes
    fitted = fit_encoder(
        frame[train],
        frame,
        leave_out=roles.leave_out(),
        types=roles.types,
        onehot=onehot,
        refuse_missing=config.missing == "error",
        rows=index[train],
    )
    coder = fit_target(columns, task, train)
    types: dict[str, Type] = {column.name: column.type for column in columns}

    def part(rows: Index) -> Callable[[], Split]:
        cells, labels = frame[rows], [column.take(rows) for column in columns]
        return partial(_split, cells, labels, fitted.encoder, coder, index[rows], origin)

    train_split = part(train)()
    valid_split = part(valid)() if len(valid) else None
    make_test: Callable[[], Split | None] = part(test) if len(test) else _no_test
    if config.test is not None:
        form = replace(file, frame=file.frame.clear())
        encode_test = partial(_test_split, config.test, roles, types, fitted.encoder, coder)
        encode_test(test_file)  # finds faulty cells before training; the rows are made anew when they are asked for
        make_test = partial(_read_test_split, encode_test, config, form, roles)
    else:
        make_test()
    for entry in fitted.columns:
        entry["type"] = types.get(entry["name"], entry["type"])
    counts = (len(train), len(valid), num_test if config.test is not None else len(test))
    spec = _spec(name, file, roles, fitted, coder, train_split, counts, config)
    summary = {
        "rows": frame.height,
        "columns": fitted.columns,
        "dropped": fitted.dropped,
        "notes": notes + fitted.notes,
        "split": dict(zip(("train", "valid", "test"), counts, strict=True)) | {"how": _how(config, task)},
        "task": task,
        "task_reason": reason,
        "target": list(roles.target),
    }
    return Dataset(spec, train_split, valid_split, make_test, digest, summary)


def _spec(
    name: str,
    file: TableFile,
    roles: Roles,
    fitted: FittedColumns,
    coder: TargetCoder,
    train: Split,
    counts: tuple[int, int, int],
    config: DataConfig,
) -> DataSpec:
    encoder = fitted.encoder
    assert isinstance(train.rows, ResidentRows)
    numbers_NF = train.rows.tensors[0].numpy()
    if is_default(config):
        scale = Scale(*encoder.scale(numbers_NF))
    else:
        numbers = train.rows.tensors[0]
        scale = fit_scale(lambda: iter([numbers]), config, image=False)
    coded = () if encoder.onehot else encoder.categories
    features = encoder.feature_names()
    return DataSpec(
        name=name,
        kind="table",
        task=coder.task,
        input_shape=(len(features),),
        num_outputs=coder.num_outputs,
        classes=coder.classes,
        target_names=coder.names,
        feature_names=features,
        cardinalities=tuple(len(column.values) + 1 for column in coded),
        category_names=tuple(column.name for column in coded),
        scale_mean=scale.mean,
        scale_std=scale.std,
        scale_rotation=scale.rotation,
        scaled_shape=scale.shape,
        quantiles=encoder.quantiles(numbers_NF) if scale.mean and not scale.turned else (),
        target_mean=coder.mean,
        target_std=coder.std,
        class_counts=coder.class_counts,
        num_train=counts[0],
        num_valid=counts[1],
        num_test=counts[2],
        preparation={
            "kind": "table",
            "encoder": encoder.to_state(),
            "columns": list(file.frame.columns),
            "target": list(roles.target),
            "dropped": [*roles.drop, *(name for name, _ in fitted.dropped), *filter(None, (roles.group, roles.time))],
            "header": file.header,
        },
    )


def _split(
    frame: pl.DataFrame,
    columns: Sequence[TargetColumn],
    encoder: TableEncoder,
    coder: TargetCoder,
    index: Index,
    origin: str,
) -> Split:
    with named(origin):
        target = coder.encode(columns, index, origin)
        return Split(ResidentRows(encoder.transform(frame, index).tensors()), target, index=torch.from_numpy(index))


def _no_test() -> None:
    return None


def _read_test(config: DataConfig, file: TableFile, roles: Roles) -> TableFile:
    """The separate test file, its columns named as the training file's (by place without a header).

    Read a first time before training, to find its faults, and thrown away; its cells count at the end.
    """
    assert config.test is not None
    header = None if file.header else False
    test = read_table(config.test, header=header, columns=file.frame.columns)
    absent = [name for name in roles.target if name not in test.frame.columns]
    if absent:
        raise DataError(
            f"{config.test} has no target column {absent[0]!r}. Columns found: "
            f"{', '.join(map(repr, test.frame.columns))}."
        )
    return test


def _read_test_split(encode: Callable[[TableFile], Split], config: DataConfig, form: TableFile, roles: Roles) -> Split:
    return encode(_read_test(config, form, roles))


def _test_split(
    origin: str,
    roles: Roles,
    types: Mapping[str, Type],
    encoder: TableEncoder,
    coder: TargetCoder,
    test: TableFile,
) -> Split:
    """The separate test file's rows, columns found by name (by place without a header), labels matched to classes."""
    columns = [target_cells(test.frame[name], types[name], origin) for name in roles.target]
    rows = np.flatnonzero(np.all([column.codes >= 0 for column in columns], axis=0)).astype(np.int64)
    if len(rows) == 0:
        raise DataError(f"{origin}: the target is missing in every row.")
    return _split(test.frame[rows], [column.take(rows) for column in columns], encoder, coder, rows, origin)


def _how(config: DataConfig, task: str) -> str:
    how = config.split if config.split != "random" else "random"
    if how == "random" and task in ("classification", "binary"):
        how = "random, stratified by class"
    return f"{how}; test from {config.test}" if config.test is not None else how
