"""How good rivals' answers are on validation rows, each with an interval, and beside the network's on the same rows.

Shapes: M validation rows, K classes, labels or targets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from limpid.objectives.intervals import interval_of
from limpid.objectives.metrics import r2

Z = 1.96


def score_rivals(
    answers: Mapping[str, Tensor], target: Tensor, task: str, *, rows: int, network: Tensor | None = None
) -> dict[str, Any]:
    """What the probes of rivals record.

    Args:
        answers: of each rival, float (M, K): one column for each class, label or number.
        target: as the split holds it.
        task: "classification", "binary", "multilabel" or "regression".
        rows: training rows that the rivals saw.
        network: decisions of the trained network on the same rows; it is then compared with each rival in pairs.

    Returns {score, n, rows, best, rivals: {name: {score, low, high}}} and, with a network, `network` (the same figures)
    and `gain`: {name: {mean, se}} of the mean over rows of (network's credit - rival's credit). The credit of a row is
    1 for a right answer, the share of right labels, or 1 - squared error / variance of the target.
    """
    score = "r2" if task == "regression" else "accuracy"
    decisions = {name: _decide(answer, task) for name, answer in answers.items()}
    truth = target.reshape(len(target), -1) if task in ("regression", "multilabel") else target.reshape(-1).long()
    rivals = {name: _scored(score, decision, truth) for name, decision in decisions.items()}
    best = max(rivals, key=lambda name: rivals[name]["score"])
    row = {"score": score, "n": len(target), "rows": rows, "best": best, "rivals": rivals}
    if network is None:
        return row
    own = network.cpu().reshape(truth.shape)
    credit = _credit(own, truth, score)
    gains = {}
    for name, decision in decisions.items():
        differences_M = credit - _credit(decision, truth, score)
        gains[name] = {
            "mean": differences_M.mean().item(),
            "se": differences_M.std(correction=1).item() / math.sqrt(len(differences_M)) if len(truth) > 1 else 1.0,
        }
    return row | {"network": _scored(score, own, truth), "gain": gains}


def _decide(answer_MK: Tensor, task: str) -> Tensor:
    if task == "regression":
        return answer_MK
    if task == "multilabel":
        return (answer_MK > 0.5).long()
    if task == "binary" and answer_MK.shape[1] == 1:
        return (answer_MK[:, 0] > 0.5).long()
    return answer_MK.argmax(dim=1)


def _scored(score: str, decision: Tensor, truth: Tensor) -> dict[str, float]:
    value = r2(decision.double(), truth.double()) if score == "r2" else (decision == truth).double().mean().item()
    low, high = interval_of(score, decision.numpy(), truth.numpy())
    return {"score": float(value), "low": low, "high": high}


def _credit(decision: Tensor, truth: Tensor, score: str) -> Tensor:
    """(M,) credit of each row; its mean is the score."""
    if score == "accuracy":
        right = (decision == truth).double()
        return right if right.ndim == 1 else right.mean(dim=1)
    variance_K = truth.double().var(dim=0, correction=0).clamp_min(1e-30)
    credit_MK: Tensor = 1 - (decision.double() - truth.double()) ** 2 / variance_K
    return credit_MK.mean(dim=1)
