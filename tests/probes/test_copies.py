"""Equal and nearly equal rows, against comparing all pairs; and the probes of labels and copies on small sick data."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import limpid
from limpid.data.dataset import ResidentRows
from limpid.doctor.checks import CHECKS
from limpid.doctor.diagnosis import judge
from limpid.doctor.evidence import Evidence
from limpid.probes import duplicates, label_noise, label_signal
from limpid.probes.copies import Groups, equal_groups, median_distance, natural_rows, near_copies
from limpid.probes.neighbours import nearest_rows

X, Y = load_digits(return_X_y=True)
X = X.astype(np.float32)


def found(x: Any, y: Any = None, *, noise: bool = False, **options: Any) -> dict[str, str]:
    """Level by code of what the checks of labels and copies say of these data before training."""
    dataset = limpid.load_data(x, y=y, **options)
    subject: Any = SimpleNamespace(dataset=dataset, spec=dataset.spec)
    probes = {"duplicates": duplicates.measure, "label_signal": label_signal.measure}
    if noise:
        probes |= {"label_noise": label_noise.measure, "near_duplicates": duplicates.measure_near}
    rows = [{"kind": "probe", "name": name, "values": measure(subject)} for name, measure in probes.items()]
    header = {"data": dataset.spec.model_dump(mode="json")}
    checks = [CHECKS[code] for code in ("D06", "D07", "D08", "D09")]
    return {finding.code: finding.level for finding in judge(Evidence(header, rows), checks).findings}


def test_groups_are_those_of_comparing_all_pairs() -> None:
    random = np.random.default_rng(0)
    rows = random.integers(0, 2, (300, 7)).astype(np.float32)
    label = random.integers(0, 2, 300)
    groups = equal_groups([(ResidentRows((torch.from_numpy(rows),)), torch.arange(300))])
    equal = (rows[:, None] == rows[None]).all(2)
    blank = (rows == rows[:, :1]).all(1)
    equal[blank] = equal[:, blank] = False
    np.fill_diagonal(equal, True)
    assert np.array_equal(groups.group_N[:, None] == groups.group_N[None], equal)
    assert np.array_equal(groups.copies(), [equal[i, :i].any() for i in range(300)])
    assert np.array_equal(groups.conflicts(label), [(label[equal[i]] != label[i]).any() for i in range(300)])
    best = sum(np.bincount(label[groups.group_N == group]).max() for group in np.unique(groups.group_N))
    assert groups.best_accuracy(label) == pytest.approx(best / 300)


def test_long_rows_that_differ_outside_their_middle_are_not_equal() -> None:
    rows = torch.randint(0, 255, (50, 3, 20, 20), dtype=torch.uint8).repeat(2, 1, 1, 1)
    rows[60:, 0, 0, 0] ^= 1
    groups = equal_groups([(ResidentRows((rows,)), torch.arange(100))])
    assert groups.copies().sum() == 10


def test_neighbours_are_those_of_all_distances() -> None:
    rows = torch.randn(200, 5)
    distance = torch.cdist(rows, rows).fill_diagonal_(torch.inf)
    near, number = nearest_rows(rows, 3)
    assert torch.equal(number, distance.topk(3, largest=False).indices)
    assert torch.allclose(near, distance.topk(3, largest=False).values, atol=1e-4)


def test_near_copies_are_found_and_chance_is_known() -> None:
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(500, 10, generator=random)
    again = rows[:50] + 1e-3 * torch.randn(50, 10, generator=random)
    hit = near_copies(rows, again, unit=median_distance(rows))
    assert hit.row.tolist() == list(range(50))
    assert hit.other.tolist() == list(range(50))
    flat = torch.randn(2000, 2, generator=random)
    chance = near_copies(flat, unit=median_distance(flat))
    assert chance.by_chance == pytest.approx(len(chance.row) / 2000, rel=0.6)


def test_common_rows_are_natural_and_rare_ones_are_not() -> None:
    random = np.random.default_rng(0)
    few, many = random.integers(0, 3, (500, 5)).astype(float), random.random((500, 5))
    assert natural_rows(few[:20], few, 500, rarest=3).all()
    assert not natural_rows(many[:20], many, 500, rarest=2).any()


def test_test_rows_among_the_training_rows_are_those_of_comparing_all_pairs() -> None:
    parts = {"x_train": X[:1200], "y_train": Y[:1200], "x_valid": X[1200:1400], "y_valid": Y[1200:1400]}
    test = np.concatenate([X[1400:], X[:30], X[1200:1250]])  # thirty were trained on; validation rows do not count
    dataset = limpid.load_data({**parts, "x_test": test, "y_test": np.zeros(len(test), dtype=int)})
    subject: Any = SimpleNamespace(dataset=dataset, spec=dataset.spec)
    told = duplicates.measure_test(subject)
    assert told is not None
    equal = (test[:, None] == X[None, :1200]).all(2).any(1)
    assert (told["rows"], told["shared"], told["natural"]) == (len(test), equal.sum(), 0.0)
    assert equal.sum() == 30
    assert len(told["examples"]) == 5
    clean = limpid.load_data({**parts, "x_test": X[1400:], "y_test": Y[1400:]})
    assert (duplicates.measure_test(SimpleNamespace(dataset=clean)) or {})["shared"] == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
def test_sick_data_are_named(seed: int) -> None:
    random = np.random.default_rng(seed)
    shuffled = found(X, Y[random.permutation(len(Y))])
    assert shuffled == {"D07": "warning"}
    again = random.integers(0, len(Y), 270)
    other = Y[again].copy()
    other[:90] = (other[:90] + 1) % 10
    copied = found(np.concatenate([X, X[again]]), np.concatenate([Y, other]))
    assert copied["D08"] == "warning"
    taken = random.choice(np.arange(1400, 1797), 80, replace=False)
    for noise in (0.0, 1e-3, 0.05):
        more = (X[taken] + noise * random.normal(size=(80, 64))).astype(np.float32)
        parts = {
            "x_train": np.concatenate([X[:1400], more]),
            "y_train": np.concatenate([Y[:1400], Y[taken]]),
            "x_valid": X[1400:],
            "y_valid": Y[1400:],
        }
        assert found(parts) == {"D09": "warning"}


def test_wrong_labels_are_named() -> None:
    random = np.random.default_rng(0)
    wrong = Y.copy()
    rows = random.permutation(len(Y))[:360]
    wrong[rows] = (Y[rows] + random.integers(1, 10, 360)) % 10
    assert found(X, wrong, noise=True) == {"D06": "warning"}


@pytest.mark.parametrize("seed", range(3))
def test_near_misses_are_not_warned_of(seed: int) -> None:
    random = np.random.default_rng(seed)
    assert found(X, Y) == {}
    hard = np.isin(Y, (3, 8, 9))
    assert found(X[hard], Y[hard], noise=seed == 0) == {}
    weak = random.normal(size=(3000, 8)).astype(np.float32)
    assert found(weak, (random.random(3000) < 1 / (1 + np.exp(-0.36 * weak[:, 0]))).astype(int)) == {}
    few = random.integers(0, 3, (2000, 6)).astype(np.float32)
    sums = few[:, 0] + few[:, 1] + 0.5 * random.normal(size=2000)
    assert "warning" not in found(few, (sums > 2).astype(int)).values()
    blank = np.concatenate([X[Y < 5], np.zeros((150, 64), np.float32)])
    assert found(blank, np.concatenate([Y[Y < 5], np.full(150, 5)])) == {}


def test_groups_of_nothing() -> None:
    groups = Groups(np.arange(3), 0)
    assert not groups.copies().any()
    assert groups.best_accuracy(np.array([0, 1, 0])) == 1.0
