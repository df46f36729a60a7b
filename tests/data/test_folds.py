"""Folds and nested parts: disjoint, complete, even by class, by group and in time, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, StratifiedKFold, TimeSeriesSplit

from limpid.config import DataConfig
from limpid.data.folds import Subset, fold_numbers, nested_order, subset_of, trains
from limpid.data.split import split_indices
from limpid.errors import DataError

SHARES = {"valid_share": 0.15, "test_share": 0.15}


def classes(num_rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([3, 7, 9], size=num_rows, p=[0.6, 0.3, 0.1])


@pytest.mark.parametrize("num_rows", [23, 100, 257])
def test_stratified_folds_are_as_even_as_scikit_learns(num_rows: int) -> None:
    labels = classes(num_rows)
    fold_N = fold_numbers(num_rows, 5, labels=labels, seed=1)
    assert set(fold_N.tolist()) == {1, 2, 3, 4, 5}  # complete, and disjoint as every row has one number
    sizes = np.bincount(fold_N)[1:]
    assert sizes.max() - sizes.min() <= 1
    theirs = StratifiedKFold(5, shuffle=True, random_state=0).split(np.zeros(num_rows), labels)
    expected = sorted(len(valid) for _, valid in theirs)
    assert sorted(sizes.tolist()) == expected
    for label in np.unique(labels):
        counts = np.bincount(fold_N[labels == label], minlength=6)[1:]
        assert counts.max() - counts.min() <= 1, "each class is spread evenly"
    assert (fold_N == fold_numbers(num_rows, 5, labels=labels, seed=1)).all()
    assert (fold_N != fold_numbers(num_rows, 5, labels=labels, seed=2)).any()


def test_the_only_row_of_a_class_always_trains() -> None:
    labels = np.array([0] * 10 + [1] * 10 + [2])
    fold_N = fold_numbers(21, 3, labels=labels, seed=0)
    assert fold_N[-1] == 0
    assert all(trains(fold_N, k, in_order=False)[-1] for k in (1, 2, 3))


def test_groups_stay_together_in_even_folds() -> None:
    groups = np.random.default_rng(0).integers(0, 23, 400)
    fold_N = fold_numbers(400, 4, groups=groups, seed=0)
    for group in np.unique(groups):
        assert len(np.unique(fold_N[groups == group])) == 1
    sizes = np.bincount(fold_N)[1:]
    theirs = [len(valid) for _, valid in GroupKFold(4).split(groups, groups=groups)]
    assert sizes.max() - sizes.min() <= max(theirs) - min(theirs) + 1
    with pytest.raises(DataError, match="too few for 30 folds"):
        fold_numbers(400, 30, groups=groups, seed=0)


def test_folds_in_time_train_on_the_past_as_scikit_learns_do() -> None:
    times = np.random.default_rng(0).permutation(60)
    fold_N = fold_numbers(60, 5, times=times, seed=0)
    order = np.argsort(times)
    for number, (train, valid) in enumerate(TimeSeriesSplit(5).split(order), 1):
        assert set(np.flatnonzero(fold_N == number)) == set(order[valid])
        assert set(np.flatnonzero(trains(fold_N, number, in_order=True))) == set(order[train])


@pytest.mark.parametrize("how", ["random", "labels", "groups", "times"])
def test_the_test_rows_are_those_of_every_other_training(how: str) -> None:
    rng = np.random.default_rng(3)
    known = {"labels": classes(200), "groups": rng.integers(0, 30, 200), "times": rng.random(200)}
    given = {how: known[how]} if how in known else {}
    plain = split_indices(200, seed=4, **given, **SHARES)
    rest = np.sort(np.concatenate(plain[:2]))
    seen: list[int] = []
    for number in range(1, 5):
        train, valid, test = split_indices(200, seed=4, subset=Subset((number, 4)), **given, **SHARES)
        assert (test == plain[2]).all()
        assert not set(train) & set(valid)
        assert set(train) | set(valid) <= set(rest)
        if how != "times":
            assert len(train) + len(valid) == len(rest)
        seen += valid.tolist()
    assert len(seen) == len(set(seen))
    if how != "times":
        assert sorted(seen) == rest.tolist()
    everything, none, test = split_indices(200, seed=4, subset=Subset((0, 4)), **given, **SHARES)
    assert (everything == rest).all()
    assert len(none) == 0
    assert (test == plain[2]).all()


def test_larger_parts_hold_the_smaller_and_keep_the_classes() -> None:
    labels = classes(300)
    parts = {
        share: split_indices(300, labels=labels, seed=0, subset=Subset(None, share, 2), **SHARES)
        for share in (0.05, 0.2, 0.5, 1.0)
    }
    whole = split_indices(300, labels=labels, seed=0, **SHARES)
    assert all((a == b).all() for a, b in zip(parts[1.0], whole, strict=True))
    previous: set[int] = set()
    for share, (train, valid, test) in parts.items():
        assert previous <= set(train.tolist())
        previous = set(train.tolist())
        assert len(train) == round(share * len(whole[0]))
        assert (valid == whole[1]).all()
        assert (test == whole[2]).all()
        assert len(np.unique(labels[train])) == 3
        if share >= 0.2:
            kept = np.array([(labels[train] == k).mean() for k in (3, 7, 9)])
            np.testing.assert_allclose(kept, [(labels[whole[0]] == k).mean() for k in (3, 7, 9)], atol=0.03)
    other = split_indices(300, labels=labels, seed=0, subset=Subset(None, 0.2, 3), **SHARES)
    assert set(other[0]) != set(parts[0.2][0])


def test_parts_of_groups_are_whole_and_those_in_time_the_latest() -> None:
    groups = np.random.default_rng(0).integers(0, 20, 200)
    order = nested_order(200, groups=groups, seed=0)
    changes = (groups[order][1:] != groups[order][:-1]).sum()
    assert changes == len(np.unique(groups)) - 1
    times = np.random.default_rng(1).random(50)
    assert (nested_order(50, times=times, seed=0) == np.argsort(times)[::-1]).all()


def test_options_as_a_subset() -> None:
    assert subset_of(DataConfig()) == Subset()
    assert subset_of(DataConfig(fold="2/5")) == Subset((2, 5))
    assert subset_of(DataConfig(train_share=0.5, train_draw=3)) == Subset(None, 0.5, 3)
    assert subset_of(DataConfig(train_share=1.0, train_draw=3)) == Subset()
    for wrong in ("5", "6/5", "1/1", "a/b", "-1/5"):
        with pytest.raises(ValueError, match="such as 2/5"):
            DataConfig(fold=wrong)
