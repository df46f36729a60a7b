"""What a loss expects of the outputs that it is given: logits, log-probabilities, probabilities, or numbers.

Known of the objectives of this library and of torch's losses, as modules and as functions; a loss of a user's own is
taken at its word, and only what holds for every loss is asked of it.

Shapes: B batch, K classes, T regression targets.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.objectives.objective import Binary, Classification, Multilabel, Regression
from limpid.objectives.tokens import IGNORED, NextToken
from limpid.probes.subject import Subject

# "logits": softmax follows. "logit": a sigmoid follows, for each output by itself. "": unknown.
Wants = Literal["logits", "logit", "log-probabilities", "probabilities", "numbers", ""]

WANTS: dict[Any, Wants] = {
    nn.CrossEntropyLoss: "logits",
    F.cross_entropy: "logits",
    nn.BCEWithLogitsLoss: "logit",
    F.binary_cross_entropy_with_logits: "logit",
    nn.MultiLabelSoftMarginLoss: "logit",
    nn.NLLLoss: "log-probabilities",
    F.nll_loss: "log-probabilities",
    nn.BCELoss: "probabilities",
    F.binary_cross_entropy: "probabilities",
    nn.MSELoss: "numbers",
    F.mse_loss: "numbers",
    nn.L1Loss: "numbers",
    F.l1_loss: "numbers",
    nn.SmoothL1Loss: "numbers",
    F.smooth_l1_loss: "numbers",
    nn.HuberLoss: "numbers",
    F.huber_loss: "numbers",
}
SCORES = ("hinge", "zero_one")  # losses of classes whose outputs are no logits


def wanted(subject: Subject) -> Wants:
    """What the subject's loss takes its outputs for."""
    objective = subject.objective
    if objective is None:
        return wanted_by(subject.loss)
    if subject.config is not None and subject.config.objective.loss in SCORES:
        return ""
    if isinstance(objective, Classification | NextToken):
        return "logits"
    if isinstance(objective, Binary | Multilabel):
        return "logit"
    return "numbers" if isinstance(objective, Regression) else ""


def wanted_by(loss: Callable[..., Any]) -> Wants:
    """What one of torch's losses takes its first argument for; a wrapper names what it holds `criterion`."""
    loss = getattr(loss, "criterion", loss)
    return WANTS.get(type(loss) if isinstance(loss, nn.Module) else loss, "")


def chance(subject: Subject, target: Tensor, outputs: Tensor) -> float | None:
    """Loss of the best answer that is the same for every sample; None where it is not known.

    Of K classes the entropy of their frequencies, H = -sum_k f_k ln f_k; of squared errors the variance; of absolute
    errors the mean distance from the median.
    """
    if subject.objective is not None:
        return subject.objective.chance(target)
    wants = wanted_by(subject.loss)
    if wants in ("logits", "log-probabilities") and not target.is_floating_point():
        counts = torch.bincount(target[target != IGNORED].flatten()).double()
        share = counts[counts > 0] / counts.sum()
        return -(share * share.log()).sum().item()
    if target.shape != outputs.shape or not target.is_floating_point():
        return None
    if wants in ("logit", "probabilities"):
        p = target.double().mean(dim=0).clamp(1e-6, 1 - 1e-6)
        return -(p * p.log() + (1 - p) * (1 - p).log()).mean().item()
    if wants != "numbers":
        return None
    middle = target.median(dim=0).values if "l1" in loss_name(subject.loss) else target.mean(dim=0)
    value = float(subject.loss(middle.expand_as(target).to(outputs), target))
    return value if math.isfinite(value) else None


def loss_name(loss: Callable[..., Any]) -> str:
    """Its name in lower case: "l1loss", "mse_loss"."""
    loss = getattr(loss, "criterion", loss)
    return str(getattr(loss, "__name__", type(loss).__name__)).lower()


def in_units_of_outputs(subject: Subject, target: Tensor) -> Tensor:
    """The target as the loss holds it beside the outputs: standardised, where the objective does so."""
    objective = subject.objective
    if not isinstance(objective, Regression) or objective.log_rate:
        return target
    return (target - objective.mean_T.to(target)) / objective.std_T.to(target)
