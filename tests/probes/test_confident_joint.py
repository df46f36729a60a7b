"""Wrong labels are counted and found: against the formula written out, and on digits with planted errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_moons

from limpid.probes.confident_joint import accident_or_overlap, confident_joint, estimate_noise, suspect_labels
from limpid.probes.held_out import row_probabilities
from limpid.probes.label_signal import standardised


def flipped(label: np.ndarray, share: float, pairs: bool, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    rows = random.permutation(len(label))[: round(share * len(label))]
    num_classes = label.max() + 1
    step = 1 if pairs else random.integers(1, num_classes, len(rows))
    wrong = label.copy()
    wrong[rows] = (label[rows] + step) % num_classes
    return wrong


def probabilities(x: np.ndarray, label: np.ndarray) -> np.ndarray:
    rows = standardised(torch.from_numpy(x.astype(np.float32)))
    return row_probabilities(rows, torch.from_numpy(label), int(label.max()) + 1, table=False).numpy()


def test_the_joint_is_that_of_the_formula() -> None:
    random = np.random.default_rng(0)
    p = random.dirichlet(np.ones(4), 200)
    label = random.integers(0, 4, 200)
    threshold = [np.mean([row[j] for row, given in zip(p, label, strict=True) if given == j]) for j in range(4)]
    counts = np.zeros((4, 4))
    for row, given in zip(p, label, strict=True):
        sure = [j for j in range(4) if row[j] >= threshold[j]]
        if sure:
            counts[given, max(sure, key=lambda j: row[j])] += 1
    for i in range(4):
        counts[i] *= (label == i).sum() / counts[i].sum()
    assert np.allclose(confident_joint(p, label), counts / 200)


@pytest.mark.parametrize(
    ("share", "pairs"),
    [
        (0.05, True),
        (0.2, False),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((0.05, False), (0.1, False), (0.1, True), (0.2, True))
        ),
    ],
)
def test_planted_errors_are_counted_and_found(share: float, pairs: bool) -> None:
    x, true = load_digits(return_X_y=True)
    label = flipped(true, share, pairs, seed=3)
    p = probabilities(x, label)
    estimate = estimate_noise(p, label)
    assert abs(estimate.share - share) < 0.03
    assert estimate.low <= share <= estimate.high
    flagged, _ = suspect_labels(p, label, estimate)
    wrong = label != true
    assert wrong[flagged].mean() >= 0.7
    assert wrong[flagged].sum() >= 0.8 * wrong.sum()


def test_right_labels_stay_unsuspected() -> None:
    x, label = load_digits(return_X_y=True)
    assert estimate_noise(probabilities(x, label), label).high < 0.01
    hard = np.isin(label, (3, 8, 9))
    codes = np.searchsorted((3, 8, 9), label[hard])
    assert estimate_noise(probabilities(x[hard], codes), codes).share < 0.01


def test_overlapping_classes_are_not_level() -> None:
    x, label = make_moons(1000, noise=0.3, random_state=0)
    estimate = estimate_noise(probabilities(x, label), label)
    assert not estimate.level
    assert estimate.low == 0.0
    assert estimate.share < 0.03


def test_the_same_rows_give_the_same_numbers() -> None:
    x, label = make_moons(200, noise=0.2, random_state=0)
    before = torch.get_rng_state()
    assert np.array_equal(probabilities(x, label), probabilities(x, label))
    assert torch.equal(before, torch.get_rng_state())


def test_accident_is_told_from_overlap_by_the_shape_of_the_disagreement() -> None:
    """Numbers of rows as bars with 20 % wrong labels gave them (one band high by luck), and as weak relations do."""
    rows = [157, 158, 158, 157]
    assert accident_or_overlap([29, 27, 45, 92], rows, 3, 0.34) > 3
    assert accident_or_overlap([0, 12, 36, 64], rows, 2, 0.5) < -10
    weak = [int(n * (1 / (1 + np.exp(m)))) for n, m in zip(rows, (1.15, 0.61, 0.34, 0.11), strict=True)]
    assert accident_or_overlap(weak, rows, 2, 0.5) < 0
    tilted = [14, 23, 30, 43]  # one class in six, and it is hard to foretell
    assert accident_or_overlap(tilted, rows, 2, 5 / 6) < 0


@pytest.mark.slow
def test_wrong_labels_of_small_sets_are_seldom_overlooked_and_weak_relations_seldom_called_wrong() -> None:
    """630 rows: ten sets of digits with 20 % wrong labels, ten of three classes that a weak linear map draws."""
    x, true = load_digits(return_X_y=True)
    found, called = 0, 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        some = random.permutation(len(true))[:630]
        label = flipped(true[some], 0.2, False, seed)
        found += estimate_noise(probabilities(x[some], label), label).level
        rows = random.standard_normal((630, 8))
        drawn = (rows @ random.standard_normal((8, 3)) * 0.42 + random.gumbel(size=(630, 3))).argmax(1)
        called += estimate_noise(probabilities(rows, drawn), drawn).level
    assert found == 10
    assert called <= 2
