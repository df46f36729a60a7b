"""Our figures of merit against scikit-learn's, over random and awkward data."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics as oracle
import torch

from limpid.objectives import metrics


def sample(num_classes: int, seed: int, size: int = 200) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits_BK = torch.randn(size, num_classes, generator=generator)
    target_B = torch.randint(0, num_classes, (size,), generator=generator)
    target_B[target_B == num_classes - 1] = 0  # the last class is predicted, but never true
    return logits_BK, logits_BK.argmax(dim=1), target_B


@pytest.mark.parametrize("num_classes", [3, 10])
@pytest.mark.parametrize("seed", range(3))
def test_class_figures(num_classes: int, seed: int) -> None:
    logits_BK, guess_B, target_B = sample(num_classes, seed)
    confusion_KK = metrics.confusion_matrix(guess_B, target_B, num_classes)
    labels = list(range(num_classes))
    assert confusion_KK.tolist() == oracle.confusion_matrix(target_B, guess_B, labels=labels).tolist()
    assert metrics.accuracy(guess_B, target_B) == pytest.approx(oracle.accuracy_score(target_B, guess_B))
    assert metrics.macro_f1(confusion_KK) == pytest.approx(oracle.f1_score(target_B, guess_B, average="macro"))
    recalls = [oracle.recall_score(target_B == k, guess_B == k) for k in labels[:-1]]
    assert metrics.balanced_accuracy(confusion_KK) == pytest.approx(np.mean(recalls))
    precision_K, recall_K, f1_K = metrics.precision_recall_f1(confusion_KK)
    expected = oracle.precision_recall_fscore_support(target_B, guess_B, labels=labels, zero_division=0)
    assert precision_K.tolist() == pytest.approx(expected[0].tolist())
    assert recall_K[:-1].tolist() == pytest.approx(expected[1][:-1].tolist())
    assert math.isnan(recall_K[-1])
    assert f1_K.tolist() == pytest.approx(expected[2].tolist())
    probability_BK = logits_BK.double().softmax(dim=1)
    assert metrics.log_loss(logits_BK, target_B) == pytest.approx(
        oracle.log_loss(target_B, probability_BK, labels=labels)
    )


def test_macro_f1_leaves_out_classes_that_do_not_occur() -> None:
    guess, truth = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1])
    confusion_KK = metrics.confusion_matrix(guess, truth, 5)
    assert metrics.macro_f1(confusion_KK) == pytest.approx(oracle.f1_score(truth, guess, average="macro"))


@pytest.mark.spec("C20")
def test_top_k_error() -> None:
    scores_BK = torch.tensor([[0.30, 0.25, 0.20, 0.10, 0.08, 0.07]]).expand(3, -1)
    truth_B = torch.tensor([4, 0, 5])  # among the five highest: yes, yes, no
    correct = [1 - metrics.top_k_error(scores_BK[i : i + 1], truth_B[i : i + 1], 5) for i in range(3)]
    assert correct == [1, 1, 0]
    logits_BK, _, target_B = sample(8, 0)
    errors = [metrics.top_k_error(logits_BK, target_B, k) for k in range(1, 9)]
    assert errors[-1] == 0
    assert errors == sorted(errors, reverse=True)
    accuracy = oracle.top_k_accuracy_score(target_B, logits_BK, k=3, labels=list(range(8)))
    assert errors[2] == pytest.approx(1 - accuracy)


@pytest.mark.parametrize("ties", [False, True])
def test_binary_figures(ties: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    logits_B1 = torch.randn(300, 1, generator=generator)
    logits_B1 = logits_B1.round() if ties else logits_B1
    target_B1 = (torch.rand(300, 1, generator=generator) < 0.3).float()
    assert metrics.auc(logits_B1, target_B1) == pytest.approx(oracle.roc_auc_score(target_B1, logits_B1))
    guess_B, truth_B = logits_B1[:, 0] > 0, target_B1[:, 0]
    assert metrics.f1(guess_B, truth_B) == pytest.approx(oracle.f1_score(truth_B, guess_B))
    probability_B = logits_B1.double().sigmoid()[:, 0]
    assert metrics.binary_log_loss(logits_B1, target_B1) == pytest.approx(oracle.log_loss(truth_B, probability_B))


def test_undefined_figures_are_nan_or_zero() -> None:
    assert math.isnan(metrics.auc(torch.randn(4), torch.ones(4)))
    assert math.isnan(metrics.r2(torch.randn(4, 1), torch.ones(4, 1)))
    assert metrics.f1(torch.zeros(3), torch.zeros(3)) == 0.0


@pytest.mark.parametrize("targets", [1, 3])
def test_regression_figures(targets: int) -> None:
    generator = torch.Generator().manual_seed(targets)
    truth_BT = torch.randn(100, targets, generator=generator) * torch.arange(1, targets + 1) + 1000
    guess_BT = truth_BT + 0.5 * torch.randn(100, targets, generator=generator)
    truth, guess = truth_BT.double().numpy(), guess_BT.double().numpy()
    assert metrics.r2(guess_BT, truth_BT) == pytest.approx(oracle.r2_score(truth, guess))
    assert metrics.rmse(guess_BT, truth_BT) == pytest.approx(oracle.root_mean_squared_error(truth, guess))
    assert metrics.mae(guess_BT, truth_BT) == pytest.approx(oracle.mean_absolute_error(truth, guess))
