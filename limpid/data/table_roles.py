"""What the columns of a table are for: target, group, time, dropped or feature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from limpid.config import DataConfig
from limpid.data.column_types import Type, as_numbers, infer_type
from limpid.errors import DataError, nearest

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


def find_roles(frame: pl.DataFrame, config: DataConfig, origin: str) -> Roles:
    """Every column that the configuration mentions, by its exact name.

    Raises DataError for a column that is not there, no target, or an unknown split.
    """
    if not config.target:
        names = ", ".join(map(repr, frame.columns))
        raise DataError(
            f"{origin}: which column is to be predicted? Set data.target (--target). Columns: {names}. Rows that are "
            "steps in time are forecast with --form series."
        )
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


def group_codes(frame: pl.DataFrame, group: str | None) -> Index | None:
    """(N,) number of each row's group; rows without a group are groups of their own."""
    if group is None:
        return None
    ranks = frame[group].rank("dense").cast(float).to_numpy().copy()
    alone = np.isnan(ranks)
    ranks[alone] = -1.0 - np.arange(alone.sum())
    return ranks.astype(np.int64)


def time_values(frame: pl.DataFrame, time: str | None) -> NDArray[np.float64] | None:
    """(N,) value that orders each row. Raises DataError for text, and for a row without one."""
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
