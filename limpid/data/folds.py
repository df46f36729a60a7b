"""Folds of a cross-validation, and nested parts of the training rows: which rows one member of a population sees.

Shapes: N rows, K folds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from limpid.config import DataConfig
from limpid.errors import ConfigError, DataError

Index = NDArray[np.int64]


class Subset(NamedTuple):
    """Which of the rows one training sees.

    Attributes:
        fold: (k, K): the k-th of K folds, from 1, validates and the others train; k = 0: all of them train.
        share: of the training rows that is used. Of two shares of one draw the larger holds the smaller.
        draw: which of the random draws of that share.
    """

    fold: tuple[int, int] | None = None
    share: float = 1.0
    draw: int = 0


WHOLE = Subset()


def subset_of(config: DataConfig) -> Subset:
    """What data.fold, data.train_share and data.train_draw ask for."""
    share = 1.0 if config.train_share is None else config.train_share
    if config.fold is None:
        return Subset(None, share, config.train_draw if share < 1.0 else 0)
    number, count = map(int, config.fold.split("/"))
    return Subset((number, count), share, config.train_draw if share < 1.0 else 0)


def refuse_folds(config: DataConfig, why: str) -> None:
    """Raise ConfigError where the data cannot be divided into folds."""
    if config.fold is not None:
        raise ConfigError(f"data.fold = {config.fold} (--folds): {why}")


def refuse_parts(config: DataConfig, why: str) -> None:
    """Raise ConfigError where no parts of the training rows can be drawn."""
    if config.train_share is not None:
        raise ConfigError(f"data.train_share = {config.train_share:g} (--sizes): {why}")


def fold_numbers(
    num_rows: int,
    num_folds: int,
    *,
    labels: Index | None = None,
    groups: NDArray[np.generic] | None = None,
    times: NDArray[np.generic] | None = None,
    seed: int,
) -> Index:
    """int64 (N,): the fold 1 ... K that each row validates in; 0 for rows that never do.

    At random, folds differ by one row at most. With `labels` every class is spread evenly, which keeps the folds'
    sizes within one row too; the only row of a class never validates, as nothing could be learned of it then. With
    `groups` no group is in two folds, the largest groups being dealt first, each to the fold with the fewest rows. With
    `times` the rows are cut into K + 1 blocks in their order, of which the first never validates.

    Raises DataError for fewer rows or groups than folds.
    """
    random = np.random.default_rng([seed, 0xF01D])
    if groups is not None and times is None:
        return _by_group(groups, num_folds, random)
    if num_rows < num_folds + (times is not None):
        raise DataError(f"{num_rows} row(s) beside the test split are too few for {num_folds} folds.")
    fold_N = np.zeros(num_rows, np.int64)
    if times is not None:
        order = np.argsort(times, kind="stable")
        for number, block in enumerate(np.array_split(order, num_folds + 1)):
            fold_N[block] = number
        return fold_N
    order = random.permutation(num_rows)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]  # dealt in turn, every class goes round evenly
        _, code_N, count_C = np.unique(labels, return_inverse=True, return_counts=True)
        order = order[count_C[code_N[order]] > 1]
    fold_N[order] = 1 + random.permutation(num_folds)[np.arange(len(order)) % num_folds]
    return fold_N


def fold_borders(num_steps: int, fold: tuple[int, int]) -> tuple[int, int]:
    """Steps of a series from which fold (k, K) validates, and from which it does so no longer; before, it trains.

    The second half of the steps is cut into K blocks that validate in turn, each after training on all that went before
    (a rolling origin: Tashman 2000). With k = 0 all steps train.
    """
    number, count = fold
    cuts = np.linspace(num_steps / 2, num_steps, count + 1).round().astype(int).tolist()
    return (num_steps, num_steps) if number == 0 else (cuts[number - 1], cuts[number])


def trains(fold_N: Index, number: int, *, in_order: bool) -> NDArray[np.bool_]:
    """Which rows train while fold `number` validates: all others, or with times those before it."""
    return fold_N < number if in_order else fold_N != number


def nested_order(
    num_rows: int,
    *,
    labels: Index | None = None,
    groups: NDArray[np.generic] | None = None,
    times: NDArray[np.generic] | None = None,
    seed: Any,
) -> Index:
    """The rows in the order in which growing parts of them take them in: the first n are the part of n rows.

    At random; with `labels` one row of every class comes first, and then each class keeps its share; with `groups`
    whole groups follow one another; with `times` the latest rows come first, as from a shorter history.
    """
    random = np.random.default_rng([*np.atleast_1d(seed).tolist(), 0x517E])
    if times is not None:
        return np.argsort(times, kind="stable")[::-1].astype(np.int64)
    order = random.permutation(num_rows)
    if groups is not None:
        _, code_N = np.unique(groups, return_inverse=True)
        place_G = random.permutation(code_N.max() + 1)
        return order[np.argsort(place_G[code_N[order]], kind="stable")]
    if labels is None:
        return order
    _, code_N, count_C = np.unique(labels, return_inverse=True, return_counts=True)
    by_class = order[np.argsort(code_N[order], kind="stable")]
    rank_N = np.arange(num_rows) - np.repeat(np.cumsum(count_C) - count_C, count_C)
    key_N = np.where(rank_N == 0, -1.0, (rank_N + random.random(num_rows)) / count_C[code_N[by_class]])
    return by_class[np.argsort(key_N, kind="stable")]


def _by_group(groups: NDArray[np.generic], num_folds: int, random: np.random.Generator) -> Index:
    _, code_N, count_G = np.unique(groups, return_inverse=True, return_counts=True)
    if len(count_G) < num_folds:
        raise DataError(
            f"The group column has {len(count_G)} group(s) beside the test split, too few for {num_folds} folds "
            "without a group in two of them. Ask for fewer folds."
        )
    order = random.permutation(len(count_G))
    fold_G, rows_K = np.zeros(len(count_G), np.int64), np.zeros(num_folds, np.int64)
    for g in order[np.argsort(-count_G[order], kind="stable")]:
        fold = int(rows_K.argmin())
        fold_G[g], rows_K[fold] = fold + 1, rows_K[fold] + count_G[g]
    return fold_G[code_N]
