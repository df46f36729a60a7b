"""P10: how good are simple rivals? Constant answer, logistic or ridge regression, nearest neighbours, boosted trees,
and for sequences counts of tokens or the last value once more. Trained on bounded rows, scored on validation rows.

Sources: Karpathy 2019; Grinsztajn et al. 2022 (trees on tables); Hyndman & Athanasopoulos 2021 (naive forecasts).

Shapes: N training rows, M validation rows, F numbers of a row, K classes, labels or targets.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.probes.flat_rows import choose_rows, flat_rows
from limpid.probes.naive_forecasts import naive_forecasts
from limpid.probes.quick_rivals import as_columns, linear_answers, neighbour_answers, standardise
from limpid.probes.rival_score import score_rivals
from limpid.probes.subject import Subject
from limpid.probes.token_rivals import measure_tokens

TRAIN_ROWS, VALID_ROWS = 4000, 2000
TREES = 100  # boosting rounds of numbers and two classes; fewer where each round is a tree per class
MOST_TREES = 400  # over all classes or targets
TREE_COLUMNS = 256  # rows of more numbers (pixels) have no boosted trees
EVALUATION_ROWS = 512  # validation rows of one forward pass of the network

Answers = dict[str, Tensor]


def measure(subject: Subject) -> dict[str, Any] | None:
    """Figures of the rivals as `score_rivals` gives them; None where no rival can answer the task."""
    return _measure(subject, compared=False)


def compare(subject: Subject) -> dict[str, Any] | None:
    """The same, with the trained network beside each of them on the same validation rows."""
    return _measure(subject, compared=True)


def _measure(subject: Subject, *, compared: bool) -> dict[str, Any] | None:
    dataset, spec = subject.dataset, subject.spec
    if dataset is None or dataset.valid is None or spec is None or subject.objective is None:
        return None
    if spec.task == "tokens":
        return measure_tokens(subject, compared=compared)
    train_N, valid_M = choose_rows(dataset.train, TRAIN_ROWS), choose_rows(dataset.valid, VALID_ROWS)
    inputs, asked = flat_rows(dataset.train, spec, train_N), flat_rows(dataset.valid, spec, valid_M)
    if inputs is None or asked is None:
        return None
    target = dataset.train.target[train_N].cpu()
    target_NK = as_columns(target, spec.task, spec.num_outputs)
    plain, plain_asked = standardise(inputs, asked)
    answers: Answers = {"constant": target_NK.mean(0).expand(len(asked), -1)}
    answers["linear"] = _linear(plain, target, target_NK, plain_asked, spec.task)
    answers["neighbours"] = neighbour_answers(plain, target_NK, plain_asked)
    trees = _boosted_trees(inputs, target, target_NK, asked, spec.task)
    if trees is not None:
        answers["trees"] = trees
    answers |= naive_forecasts(dataset.valid, spec, valid_M)
    network = network_decisions(subject, valid_M) if compared else None
    truth = dataset.valid.target[valid_M].cpu()
    return score_rivals(answers, truth, spec.task, rows=len(train_N), network=network)


@torch.no_grad()
def network_decisions(subject: Subject, index_M: Tensor) -> Tensor:
    """Decisions of the network, in evaluation mode, on these validation rows."""
    dataset, objective = subject.dataset, subject.objective
    assert dataset is not None and dataset.valid is not None and objective is not None
    device = subject.target.device
    subject.network.eval()
    decisions = []
    for part in index_M.split(EVALUATION_ROWS):
        inputs = tuple(tensor.to(device) for tensor in dataset.valid.rows.take(part))
        target = dataset.valid.target[part].to(device)
        decisions.append(objective.predict(objective.keep(subject.answer(*inputs).float(), target)).cpu())
    return torch.cat(decisions)


def _linear(plain: Tensor, target: Tensor, target_NK: Tensor, asked: Tensor, task: str) -> Tensor:
    if task not in ("classification", "binary"):
        return linear_answers(plain, target_NK, asked)
    from sklearn.linear_model import LogisticRegression

    labels = target.reshape(-1).long().numpy()
    if len(np.unique(labels)) < 2:
        return linear_answers(plain, target_NK, asked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it may stop before it has converged; a rival need not be perfect
        model = LogisticRegression(max_iter=200).fit(plain.numpy(), labels)
    return _spread(model.predict_proba(asked.numpy()), model.classes_, target_NK.shape[1], task)


def _boosted_trees(inputs: Tensor, target: Tensor, target_NK: Tensor, asked: Tensor, task: str) -> Tensor | None:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    width, outputs = inputs.shape[1], target_NK.shape[1]
    trees = min(TREES, MOST_TREES // max(outputs, 1))
    if width > TREE_COLUMNS or trees < 10:
        return None
    x, asked_x = inputs.numpy(), asked.numpy()
    common: dict[str, Any] = {"max_iter": trees, "early_stopping": False, "random_state": 0, "max_leaf_nodes": 15}
    if task in ("classification", "binary"):
        labels = target.reshape(-1).long().numpy()
        if len(np.unique(labels)) < 2:
            return None
        model = HistGradientBoostingClassifier(**common).fit(x, labels)
        return _spread(model.predict_proba(asked_x), model.classes_, outputs, task)
    columns = []
    for k in range(outputs):
        regressor = HistGradientBoostingRegressor(**common).fit(x, target_NK[:, k].double().numpy())
        columns.append(torch.from_numpy(regressor.predict(asked_x)).float())
    return torch.stack(columns, dim=1)


def _spread(probabilities: NDArray[Any], classes: NDArray[Any], num_outputs: int, task: str) -> Tensor:
    """(M, K) over all classes, of which the training rows may lack some; (M, 1) for two."""
    found = torch.from_numpy(probabilities).float()
    if task == "binary":
        positive = [i for i, label in enumerate(classes) if label == 1]
        return found[:, positive]
    full = torch.zeros(len(found), num_outputs)
    full[:, torch.from_numpy(classes.astype(np.int64))] = found
    return full
