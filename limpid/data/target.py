"""What is to be predicted: its task, its classes or scale, and its tensor form.

Shapes: N rows, T target columns, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.data.delimited import is_number
from limpid.errors import DataError
from limpid.spec import Task

Index = NDArray[np.int64]

# A column of whole numbers is read as classes up to this many different ones (digits, ratings, grades) ...
FEW_VALUES = 20
# ... if each occurs this often on average; otherwise the numbers are amounts.
ROWS_PER_VALUE = 3
# A column of text is refused as a target above this many values with fewer than this many rows each: free text or ids.
MANY_CLASSES = 50
ROWS_PER_CLASS = 10


@dataclass(frozen=True)
class TargetColumn:
    """One target column of N rows in two forms."""

    name: str
    type: Literal["number", "category", "boolean"]
    codes: Index  # (N,) place of each cell in `values`, -1 where missing
    values: tuple[str, ...]  # sorted names of the different cells
    numbers: NDArray[np.float64] | None = None  # (N,) NaN where missing; None for text

    def whole(self) -> bool:
        """Whether all numbers are integers."""
        return self.numbers is not None and bool((np.nan_to_num(self.numbers) % 1 == 0).all())

    def take(self, rows: Index) -> TargetColumn:
        """The column of these rows, with the same values."""
        return replace(self, codes=self.codes[rows], numbers=None if self.numbers is None else self.numbers[rows])

    def zero_one(self) -> bool:
        return self.type == "boolean" or set(self.values) <= {"0", "1"}


@dataclass(frozen=True)
class TargetCoder:
    """The form of the target, learned from the training rows."""

    task: Task
    names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def num_outputs(self) -> int:
        if self.task == "classification":
            return len(self.classes)
        return 1 if self.task == "binary" else len(self.names)

    def encode(self, columns: Sequence[TargetColumn], index: Index, source: str) -> Tensor:
        """Targets of all rows as `DataSpec` describes them; `index` and `source` name a row in messages.

        A label that differs from a class only in a final dot, outer spaces or case is that class. Raises DataError for
        a class that the training rows do not have.
        """
        if self.task in ("regression", "multilabel"):
            return torch.from_numpy(np.stack([_amounts(c) for c in columns], axis=1).astype(np.float32))
        column = columns[0]
        target_N = self._places(column)[column.codes]
        if (target_N < 0).any():
            i = int(np.argmax(target_N < 0))
            value = column.values[column.codes[i]]
            raise DataError(
                f"{source}, row {index[i]} (from 0): class {value!r} of {column.name!r} does not occur in the training "
                f"rows, so it cannot be learned. Training classes: {_few(self.classes)}."
            )
        if self.task == "binary":
            return torch.from_numpy(target_N.astype(np.float32)[:, None])
        return torch.from_numpy(target_N)

    def _places(self, column: TargetColumn) -> Index:
        """Class number of each of the column's values (-1: none), and a last entry for missing cells."""
        exact = {name: k for k, name in enumerate(self.classes)}
        loose = {_plain(name): k for k, name in enumerate(self.classes)}
        places = []
        for value in column.values:
            place = exact.get(value, -1)
            if place < 0 and len(loose) == len(exact) and _plain(value) in loose:
                place = loose[_plain(value)]
            places.append(place)
        return np.array([*places, -1], np.int64)


def fit_target(columns: Sequence[TargetColumn], task: Task, train: Index) -> TargetCoder:
    """Class list and counts, or mean and standard deviation, of the training rows.

    Raises DataError when the training rows have one class or one value only.
    """
    names = tuple(column.name for column in columns)
    if task == "regression":
        amounts_NT = np.stack([_amounts(column)[train] for column in columns], axis=1)
        mean_T, std_T = amounts_NT.mean(axis=0), amounts_NT.std(axis=0)
        for name, std, mean in zip(names, std_T, mean_T, strict=True):
            if std <= 1e-12 * max(1.0, abs(mean)):
                raise DataError(f"The target {name!r} has the same value {mean:g} in all training rows.")
        return TargetCoder(task, names, mean=tuple(mean_T.tolist()), std=tuple(std_T.tolist()))
    if task == "multilabel":
        counts = tuple(int(_amounts(column)[train].sum()) for column in columns)
        return TargetCoder(task, names, classes=names, class_counts=counts)
    column = columns[0]
    count_K = np.bincount(column.codes[train], minlength=len(column.values))
    present = np.flatnonzero(count_K)
    if len(present) < 2:
        raise DataError(
            f"The target {column.name!r} has one class only in the training rows, {column.values[present[0]]!r}. "
            "Two are needed."
        )
    classes = tuple(column.values[k] for k in present)
    return TargetCoder(task, names, classes, tuple(int(count_K[k]) for k in present))


def _example(values: Sequence[str]) -> str:
    """One of the values, for a message: one that is no number, where others are."""
    odd = [value for value in values if not is_number(value)]
    if 0 < len(odd) < len(values):
        return f"{len(odd)} of them no numbers, such as {odd[0]!r}"
    return f"such as {values[0]!r}"


def infer_task(columns: Sequence[TargetColumn], asked: str = "auto") -> tuple[Task, str]:
    """Task and the reason for it. `columns` hold no missing cells.

    Raises DataError when the target has one value only, or does not allow the task asked for.
    """
    for column in columns:
        if len(column.values) < 2 and len(columns) == 1:
            shown = column.values[0] if column.values else "nothing"
            raise DataError(f"The target {column.name!r} is constant: every row says {shown!r}. Choose another column.")
    if asked != "auto":
        _check_asked(columns, asked)
        return asked, "as asked"  # type: ignore[return-value]
    if len(columns) > 1:
        if all(column.zero_one() for column in columns):
            return "multilabel", f"{len(columns)} target columns of 0 and 1"
        _check_asked(columns, "regression")
        return "regression", f"{len(columns)} target columns of numbers"
    column = columns[0]
    num_rows, num_values = len(column.codes), len(column.values)
    if column.type != "number":
        if num_values > MANY_CLASSES and num_rows < ROWS_PER_CLASS * num_values:
            raise DataError(
                f"The target {column.name!r} is text with {num_values} different values in {num_rows} rows, "
                f"{_example(column.values)}: too many to be classes. Amounts have to be plain numbers, without a unit, "
                "a currency or marks between thousands; an empty cell is a missing one. Choose another column, or set "
                "data.task=classification if they really are classes."
            )
        task: Task = "binary" if num_values == 2 else "classification"
        return task, f"{column.name!r} has {num_values} classes"
    if num_values == 2:
        return "binary", f"{column.name!r} has two values, {' and '.join(column.values)}"
    if column.whole() and num_values <= FEW_VALUES and num_rows >= ROWS_PER_VALUE * num_values:
        return "classification", f"{column.name!r} holds {num_values} different whole numbers; data.task overrides"
    kind = "whole " if column.whole() else ""
    return "regression", f"{column.name!r} holds {num_values} different {kind}numbers"


def one_hot_to_classes(columns: Sequence[TargetColumn]) -> TargetColumn | None:
    """The single class column that several columns with exactly one 1 per row spell out; None if they do not."""
    if len(columns) < 2 or not all(column.zero_one() for column in columns):
        return None
    flags_NT = np.stack([_amounts(column) for column in columns], axis=1)
    if not (flags_NT.sum(axis=1) == 1).all():
        return None
    return TargetColumn("class", "category", flags_NT.argmax(axis=1), tuple(column.name for column in columns))


def target_from_array(name: str, values_N: NDArray[np.generic]) -> TargetColumn:
    """A target column from a one-dimensional array of numbers, booleans or text.

    Raises DataError for missing or infinite values.
    """
    if values_N.dtype.kind in "iufb":
        numbers_N = values_N.astype(np.float64)
        if not np.isfinite(numbers_N).all():
            row = int(np.argmin(np.isfinite(numbers_N)))
            raise DataError(f"The target {name!r} is {numbers_N[row]} in row {row} (from 0). Remove the row.")
        return target_from_numbers(name, numbers_N, boolean=values_N.dtype.kind == "b")
    cells = values_N.astype(object)
    missing = np.array([cell is None or cell != cell for cell in cells], dtype=bool)
    if missing.any():
        raise DataError(f"The target {name!r} is missing in row {int(missing.argmax())} (from 0). Remove the row.")
    text, codes_N = np.unique(cells.astype(str), return_inverse=True)
    return TargetColumn(name, "category", codes_N.astype(np.int64), tuple(text.tolist()))


def target_from_numbers(name: str, numbers_N: NDArray[np.float64], *, boolean: bool = False) -> TargetColumn:
    """A target column from float64 numbers, NaN where missing."""
    known = ~np.isnan(numbers_N)
    values, places = np.unique(numbers_N[known], return_inverse=True)
    codes_N = np.full(len(numbers_N), -1, np.int64)
    codes_N[known] = places
    if boolean:
        names = tuple(("False", "True")[int(value)] for value in values)
    elif len(values) > 10_000 and not (values % 1 == 0).all():
        names = tuple(values.astype(str).tolist())  # amounts: never shown one by one
    else:
        names = tuple(str(int(value)) if value % 1 == 0 else f"{value:.12g}" for value in values.tolist())
    return TargetColumn(name, "boolean" if boolean else "number", codes_N, names, numbers_N)


def _check_asked(columns: Sequence[TargetColumn], task: str) -> None:
    for column in columns:
        if task == "regression" and column.numbers is None:
            raise DataError(
                f"Regression needs numbers, but the target {column.name!r} holds text such as {column.values[0]!r}. "
                "Choose another column or data.task=classification."
            )
        if task == "multilabel" and not column.zero_one():
            raise DataError(f"Multilabel needs targets of 0 and 1, but {column.name!r} holds {_few(column.values)}.")
    if task in ("binary", "classification") and len(columns) > 1:
        raise DataError(f"A {task} task has one target column, not {len(columns)}: {_few([c.name for c in columns])}.")
    if task == "binary" and len(columns[0].values) != 2:
        raise DataError(
            f"A binary task needs two classes, but {columns[0].name!r} has {len(columns[0].values)}: "
            f"{_few(columns[0].values)}. Use data.task=classification."
        )


def _amounts(column: TargetColumn) -> NDArray[np.float64]:
    """Numbers of the column; a boolean text column counts its second value as 1."""
    return column.numbers if column.numbers is not None else column.codes.astype(np.float64)


def _plain(label: str) -> str:
    return label.strip().rstrip(".").strip().casefold()


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return shown if len(names) <= 8 else f"{shown} ... ({len(names)} in all)"
