"""Splits: disjoint, complete, seeded, stratified, with whole groups, in the order of time (F20)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpid.config import DataConfig
from limpid.data.split import split_indices, split_shares
from limpid.errors import ConfigError, DataError


def _assert_partition(parts, num_rows):
    together = np.concatenate(parts)
    assert sorted(together.tolist()) == list(range(num_rows))
    for part in parts:
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()


@pytest.mark.spec("F20")
def test_stratified_split_is_disjoint_seeded_and_keeps_class_shares():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    parts = split_indices(1000, labels=labels, valid_share=0.15, test_share=0.2, seed=3)
    _assert_partition(parts, 1000)
    assert [len(part) for part in parts] == [650, 150, 200]
    for part, share in zip(parts, (0.65, 0.15, 0.2), strict=True):
        assert np.bincount(labels[part]).tolist() == [round(600 * share), round(300 * share), round(100 * share)]
    again = split_indices(1000, labels=labels, valid_share=0.15, test_share=0.2, seed=3)
    other = split_indices(1000, labels=labels, valid_share=0.15, test_share=0.2, seed=4)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))
    assert not (parts[2] == other[2]).all()


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, 5), min_size=1, max_size=60),
    valid=st.sampled_from([0.0, 0.1, 0.3]),
    test=st.sampled_from([0.0, 0.15, 0.5]),
    seed=st.integers(0, 5),
)
def test_every_class_is_in_training(labels, valid, test, seed):
    labels = np.array(labels)
    parts = split_indices(len(labels), labels=labels, valid_share=valid, test_share=test, seed=seed)
    _assert_partition(parts, len(labels))
    assert set(labels[parts[0]]) == set(labels)
    assert len(parts[1]) == 0 or valid > 0
    assert len(parts[2]) == 0 or test > 0


def test_a_class_with_one_row_goes_to_training():
    labels = np.array([7] + [1] * 50 + [2] * 50)
    train, _, _ = split_indices(101, labels=labels, valid_share=0.4, test_share=0.4, seed=0)
    assert 0 in train


def test_random_split_without_labels_and_without_validation():
    parts = split_indices(10, valid_share=0.0, test_share=0.3, seed=0)
    _assert_partition(parts, 10)
    assert [len(part) for part in parts] == [7, 0, 3]


def test_groups_never_straddle():
    groups = np.random.default_rng(0).integers(0, 40, 500).astype(str)
    parts = split_indices(500, groups=groups, valid_share=0.15, test_share=0.15, seed=1)
    _assert_partition(parts, 500)
    in_parts = [set(groups[part]) for part in parts]
    assert not in_parts[0] & in_parts[1]
    assert not in_parts[0] & in_parts[2]
    assert not in_parts[1] & in_parts[2]
    assert 40 <= len(parts[1]) <= 110
    assert 40 <= len(parts[2]) <= 110


def test_three_groups_of_very_different_size_fill_three_splits():
    groups = np.repeat([0, 1, 2], [90, 5, 5])
    for seed in range(5):
        assert all(len(part) for part in split_indices(100, groups=groups, valid_share=0.3, test_share=0.3, seed=seed))


def test_too_few_groups_are_refused():
    with pytest.raises(DataError, match="2 group"):
        split_indices(4, groups=np.array([0, 0, 1, 1]), valid_share=0.2, test_share=0.2, seed=0)


def test_time_split_puts_the_last_rows_in_the_test():
    times = np.random.default_rng(0).permutation(100)
    train, valid, test = split_indices(100, times=times, valid_share=0.2, test_share=0.1, seed=0)
    assert sorted(times[test]) == list(range(90, 100))
    assert sorted(times[valid]) == list(range(70, 90))
    assert sorted(times[train]) == list(range(70))


def test_default_shares_and_their_limit():
    assert split_shares(DataConfig(), has_test=False) == (0.15, 0.15)
    assert split_shares(DataConfig(), has_test=True) == (0.1, 0.0)
    assert split_shares(DataConfig(valid_share=0.0, test_share=0.3), has_test=False) == (0.0, 0.3)
    with pytest.raises(ConfigError, match="nothing to train on"):
        split_shares(DataConfig(valid_share=0.5, test_share=0.5), has_test=False)
