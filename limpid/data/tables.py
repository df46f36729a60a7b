"""A table of rows as a `Dataset`: target and task, splits, then everything learned from the training rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from limpid.config import DataConfig, nearest
from limpid.data.column_types import Type, as_numbers, infer_type, numbers_from_text
from limpid.data.dataset import Dataset, ResidentRows, Split
from limpid.data.encode import TableEncoder
from limpid.data.encoder_fit import FittedColumns, fit_encoder, note_giveaways
from limpid.data.frames import TableFile, frame_digest, read_table, to_frame
from limpid.data.split import split_indices, split_shares
from limpid.data.table_target import read_targets, target_cells
from limpid.data.target import TargetCoder, TargetColumn, fit_target, infer_task
from limpid.errors import DataError
from limpid.spec import DataSpec

if TYPE_CHECKING:
    import polars as pl

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Roles:
    """The columns that are no features, and the declared types, all by exact name."""

    target: tuple[str, ...]
    drop: tuple[str, ...]
    group: str | None
    time: str | None
    types: Mapping[str, Type]

    def leave_out(self) -> dict[str, str]:
        roles = dict.fromkeys(self.drop, "dropped")
        roles |= {name: role for name, role in ((self.group, "group"), (self.time, "time")) if name is not None}
        return roles | dict.fromkeys(self.target, "target")


def load_table(path: str | Path, config: DataConfig, *, seed: int, takes_codes: bool) -> Dataset:
    """A table file as a data set. Raises DataError for whatever is wrong with the file, its columns or its target."""
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
    roles = _roles(file.frame, config, origin)
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
        groups=_group_codes(frame, roles.group),
        times=_times(frame, roles.time),
        valid_share=valid_share,
        test_share=test_share,
        seed=seed,
    )
    train, valid, test = parts
    untyped = [name for name in frame.columns if name not in roles.leave_out() and name not in roles.types]
    frame = numbers_from_text(frame, untyped)
    train_frame = frame[train]
    onehot = config.encode == "onehot" or not takes_codes
    fitted = fit_encoder(
        train_frame,
        leave_out=roles.leave_out(),
        types=roles.types,
        onehot=onehot,
        refuse_missing=config.missing == "error",
        rows=index[train],
    )
    coder = fit_target(columns, task, train)
    if task in ("classification", "binary"):
        notes += note_giveaways(train_frame, fitted.encoder, roles.target[0])
    train_split = _split(frame, columns, fitted.encoder, coder, train, index, origin)
    valid_split = _split(frame, columns, fitted.encoder, coder, valid, index, origin) if len(valid) else None

    @lru_cache(maxsize=1)
    def make_test() -> Split | None:
        if config.test is not None:
            return _test_split(config, file, roles, columns, fitted.encoder, coder)
        return _split(frame, columns, fitted.encoder, coder, test, index, origin) if len(test) else None

    counts = (len(train), len(valid), num_test if config.test is not None else len(test))
    spec = _spec(name, file, roles, fitted, coder, train_split, counts)
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
) -> DataSpec:
    encoder = fitted.encoder
    assert isinstance(train.rows, ResidentRows)
    mean, std = encoder.scale(train.rows.tensors[0].numpy())
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
        scale_mean=mean,
        scale_std=std,
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
    rows: Index,
    index: Index,
    origin: str,
) -> Split:
    encoded = encoder.transform(frame[rows], index[rows])
    target, _ = coder.encode(columns, rows, origin)
    return Split(ResidentRows(encoded.tensors()), target, index=torch.from_numpy(index[rows]))


def _read_test(config: DataConfig, file: TableFile, roles: Roles) -> TableFile:
    """The separate test file, its columns named as the training file's (by place without a header).

    Read a first time before training, for faults of form only, and thrown away; its cells count at the end.
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


def _test_split(
    config: DataConfig,
    file: TableFile,
    roles: Roles,
    trained: Sequence[TargetColumn],
    encoder: TableEncoder,
    coder: TargetCoder,
) -> Split:
    """The separate test file's rows, columns found by name (by place without a header), labels matched to classes."""
    assert config.test is not None
    test = _read_test(config, file, roles)
    types: dict[str, Type] = {column.name: column.type for column in trained}
    columns = [target_cells(test.frame[name], types[name], config.test) for name in roles.target]
    rows = np.flatnonzero(np.all([column.codes >= 0 for column in columns], axis=0)).astype(np.int64)
    if len(rows) == 0:
        raise DataError(f"{config.test}: the target is missing in every row.")
    encoded = encoder.transform(test.frame[rows], rows)
    target, _ = coder.encode(columns, rows, config.test)
    return Split(ResidentRows(encoded.tensors()), target, index=torch.from_numpy(rows))


def _roles(frame: pl.DataFrame, config: DataConfig, origin: str) -> Roles:
    """Every column that the configuration mentions, by its exact name."""
    if not config.target:
        names = ", ".join(map(repr, frame.columns))
        raise DataError(f"{origin}: which column is to be predicted? Set data.target (--target). Columns: {names}.")
    find: Callable[[str], str] = lambda text: column_name(text, frame.columns, origin)  # noqa: E731
    how, _, by = config.split.partition(":")
    if how not in ("random", "group", "time") or (how == "random") == bool(by):
        raise DataError(f"data.split = {config.split!r} is not known. Use random, group:COLUMN or time:COLUMN.")
    roles = Roles(
        target=tuple(find(text) for text in config.target),
        drop=tuple(find(text) for text in config.drop),
        group=find(by) if how == "group" else None,
        time=find(by) if how == "time" else None,
        types={find(text): type_ for text, type_ in config.types.items()},
    )
    both = set(roles.target) & set(roles.drop)
    if both:
        raise DataError(f"{origin}: column {both.pop()!r} is both the target and dropped. Remove it from data.drop.")
    return roles


def column_name(text: str, columns: Sequence[str], origin: str) -> str:
    """The column that a name, or a number from 0 (negative: from the end), means.

    Raises DataError with the nearest name and the list of columns.
    """
    if text in columns:
        return text
    if text.lstrip("-").isdigit() and -len(columns) <= int(text) < len(columns):
        return columns[int(text)]
    close = nearest(text, columns)
    hint = f" Did you mean {close!r}?" if close else ""
    raise DataError(f"{origin} has no column {text!r}.{hint} Columns: {', '.join(map(repr, columns))}.")


def _group_codes(frame: pl.DataFrame, group: str | None) -> Index | None:
    """(N,) number of each row's group; rows without a group are groups of their own."""
    if group is None:
        return None
    ranks = frame[group].rank("dense").cast(float).to_numpy().copy()
    alone = np.isnan(ranks)
    ranks[alone] = -1.0 - np.arange(alone.sum())
    return ranks.astype(np.int64)


def _times(frame: pl.DataFrame, time: str | None) -> NDArray[np.float64] | None:
    if time is None:
        return None
    kind = infer_type(frame[time])
    if kind is None or kind.type not in ("number", "date"):
        raise DataError(f"data.split = time:{time} needs numbers or dates, but the column does not hold them.")
    values, bad = as_numbers(frame[time], kind.type, kind.form)
    if values.null_count():
        row = bad if bad is not None else int(values.is_null().arg_true()[0])
        raise DataError(f"Row {row} (from 0): column {time!r} is missing, and the split orders rows by it.")
    return values.to_numpy()


def _how(config: DataConfig, task: str) -> str:
    how = config.split if config.split != "random" else "random"
    if how == "random" and task in ("classification", "binary"):
        how = "random, stratified by class"
    return f"{how}; test from {config.test}" if config.test is not None else how
