"""Which rows train, validate and test. Decided before anything is learned from the data.

Shapes: N rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from limpid.config import DataConfig
from limpid.data.folds import WHOLE, Subset, fold_numbers, nested_order, trains
from limpid.errors import ConfigError, DataError

Index = NDArray[np.int64]

# Shares of the rows. 0.15 leaves a few hundred test rows in a table of two thousand, an interval of about +-4 %.
DEFAULT_SHARE = 0.15
# With a test set of its own, training keeps more.
DEFAULT_VALID_SHARE_BESIDE_TEST = 0.1


def split_shares(config: DataConfig, *, has_test: bool) -> tuple[float, float]:
    """Shares of the rows for validation and for the test; the test's is 0 when a separate test set exists.

    Raises ConfigError when nothing would be left for training.
    """
    default_valid = DEFAULT_VALID_SHARE_BESIDE_TEST if has_test else DEFAULT_SHARE
    valid_share = default_valid if config.valid_share is None else config.valid_share
    test_share = DEFAULT_SHARE if config.test_share is None else config.test_share
    test_share = 0.0 if has_test else test_share
    if valid_share + test_share >= 1.0:
        raise ConfigError(
            f"data.valid_share = {valid_share:g} and data.test_share = {test_share:g} leave nothing to train on; "
            "their sum must stay below 1."
        )
    return valid_share, test_share


def split_indices(
    num_rows: int,
    *,
    labels: Index | None = None,
    groups: NDArray[np.generic] | None = None,
    times: NDArray[np.generic] | None = None,
    valid_share: float,
    test_share: float,
    seed: int,
    subset: Subset = WHOLE,
) -> tuple[Index, Index, Index]:
    """Disjoint, sorted row numbers of the training, validation and test split, together all rows of the subset.

    With `times` the latest rows are the test and those before them validate. With `groups` no group is in two splits.
    With `labels` every class keeps its share in every split, and a class too small for that stays in training.
    Otherwise rows are drawn at random. The same arguments give the same split.

    Args:
        labels: (N,) class of each row, any integers.
        groups: (N,) group of each row.
        times: (N,) values that order the rows.
        subset: the fold that validates in place of the validation split, and which of the training rows are used;
            the test split is the same for all of them.
    Raises:
        DataError: fewer groups than splits or folds asked for, fewer rows than folds.
    """
    drawn = _draw(num_rows, labels, groups, times, valid_share, test_share, seed)
    if subset == WHOLE:
        return drawn
    train, valid, test = drawn
    if subset.fold is not None:
        rest = np.sort(np.concatenate([train, valid]))
        fold_N = fold_numbers(len(rest), subset.fold[1], seed=seed, **_taken(rest, labels, groups, times))
        train, valid = rest[trains(fold_N, subset.fold[0], in_order=times is not None)], rest[fold_N == subset.fold[0]]
        if subset.fold[0] == 0:
            train, valid = rest, rest[:0]
    if subset.share < 1.0:
        order = nested_order(len(train), seed=[seed, subset.draw], **_taken(train, labels, groups, times))
        train = np.sort(train[order[: max(1, round(subset.share * len(train)))]])
    return train, valid, test


def _draw(
    num_rows: int,
    labels: Index | None,
    groups: NDArray[np.generic] | None,
    times: NDArray[np.generic] | None,
    valid_share: float,
    test_share: float,
    seed: int,
) -> tuple[Index, Index, Index]:
    random = np.random.default_rng([seed, 0x5917])
    num_test, num_valid = _sizes(num_rows, valid_share, test_share)
    if times is not None:
        order = np.argsort(times, kind="stable")
        num_train = num_rows - num_valid - num_test
        parts = np.split(order, [num_train, num_train + num_valid])
        train, valid, test = (np.sort(part).astype(np.int64) for part in parts)
        return train, valid, test
    if groups is not None:
        part_N = _assign_groups(groups, num_valid, num_test, random)
    elif labels is not None:
        part_N = _assign_stratified(labels, num_valid, num_test, random)
    else:
        part_N = np.zeros(num_rows, np.int8)
        order = random.permutation(num_rows)
        part_N[order[:num_test]] = 2
        part_N[order[num_test : num_test + num_valid]] = 1
    train, valid, test = (np.flatnonzero(part_N == part).astype(np.int64) for part in range(3))
    return train, valid, test


def _sizes(num_rows: int, valid_share: float, test_share: float) -> tuple[int, int]:
    """Rows of test and validation: rounded, at least 1 when asked for, and at least 1 row left to train on."""
    num_test = max(1, round(test_share * num_rows)) if test_share > 0 else 0
    num_valid = max(1, round(valid_share * num_rows)) if valid_share > 0 else 0
    num_test = min(num_test, max(0, num_rows - 1))
    num_valid = min(num_valid, max(0, num_rows - 1 - num_test))
    return num_test, num_valid


def _assign_stratified(labels: Index, num_valid: int, num_test: int, random: np.random.Generator) -> NDArray[np.int8]:
    """Part of each row (0 train, 1 valid, 2 test), each class divided in proportion by largest remainders."""
    _, code_N, count_K = np.unique(labels, return_inverse=True, return_counts=True)
    test_K = _apportion(count_K, num_test, count_K - 1, random)
    valid_K = _apportion(count_K, num_valid, count_K - 1 - test_K, random)
    order = random.permutation(len(labels))
    order = order[np.argsort(code_N[order], kind="stable")]  # by class, in random order within each
    rank_N = np.arange(len(labels)) - np.repeat(np.cumsum(count_K) - count_K, count_K)
    class_N = code_N[order]
    part = np.where(rank_N < test_K[class_N], 2, np.where(rank_N < (test_K + valid_K)[class_N], 1, 0))
    part_N = np.empty(len(labels), np.int8)
    part_N[order] = part
    return part_N


def _apportion(count_K: Index, total: int, limit_K: Index, random: np.random.Generator) -> Index:
    """Divide `total` among classes in proportion to their counts, none above its limit."""
    quota_K = total * count_K / max(1, count_K.sum())
    given_K = np.minimum(np.floor(quota_K).astype(np.int64), limit_K)
    by_remainder = np.lexsort((random.random(len(count_K)), -(quota_K - np.floor(quota_K))))
    left = total - int(given_K.sum())
    for k in by_remainder:
        if left <= 0:
            break
        if given_K[k] < limit_K[k]:
            given_K[k] += 1
            left -= 1
    return given_K


def _assign_groups(
    groups: NDArray[np.generic], num_valid: int, num_test: int, random: np.random.Generator
) -> NDArray[np.int8]:
    """Part of each row, whole groups at a time: each goes where most rows are still wanted."""
    _, code_N, count_G = np.unique(groups, return_inverse=True, return_counts=True)
    wanted = np.array([len(groups) - num_valid - num_test, num_valid, num_test], dtype=np.float64)
    asked = [part for part in range(3) if wanted[part] > 0]
    if len(count_G) < len(asked):
        raise DataError(
            f"The group column has {len(count_G)} group(s), too few for {len(asked)} splits without a group in two "
            "of them. Set data.valid_share=0 or data.test_share=0, or split another way."
        )
    part_G = np.zeros(len(count_G), np.int8)
    order = random.permutation(len(count_G))
    for g in order:
        part = int(np.argmax(wanted))
        part_G[g] = part
        wanted[part] -= count_G[g]
    for part in asked:  # small data with large groups: no split that was asked for stays empty
        if not (part_G == part).any():
            fullest = np.bincount(part_G, minlength=3).argmax()
            donors = np.flatnonzero(part_G == fullest)
            part_G[donors[count_G[donors].argmin()]] = part
    return part_G[code_N]


def _taken(
    rows: Index, labels: Index | None, groups: NDArray[np.generic] | None, times: NDArray[np.generic] | None
) -> dict[str, NDArray[Any] | None]:
    """What is known of these rows."""
    known = {"labels": labels, "groups": groups, "times": times}
    return {name: None if values is None else values[rows] for name, values in known.items()}
