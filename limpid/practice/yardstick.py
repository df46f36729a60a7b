"""What twins are compared by: a loss of each validation row, which no treatment redefines.

    log_loss        -ln p of the truth, without smoothing or class weights
    squared_error   in units of the target's deviation
    loss            of the places of a sequence that count
    error           wrong decisions, for losses whose outputs are no logits of probabilities
    balanced_error  wrong decisions, each class with the same weight

Lower is better in all. Shapes: N validation rows, K classes, T targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from limpid.config import Config
from limpid.objectives.objective import Objective
from limpid.spec import DataSpec
from limpid.training.step import autocast, collect_outputs
from limpid.wiring import Wiring

PROPER = ("cross_entropy", "bce", "focal", "brier")  # losses whose outputs are logits of probabilities


@dataclass(frozen=True)
class Judgement:
    """A network on the validation rows.

    Attributes:
        losses_N: float64 (N,), the figure of each row. A network that does worse than knowing nothing counts as knowing
            nothing: whoever holds it could answer the class frequencies, or the mean, instead.
        score: headline metric, with its 95 % interval over rows.
        name: of that metric.
        predictions: arrays like those that a run keeps of its held-out rows.
        figures: like those of the row that closes a run.
    """

    losses_N: NDArray[np.float64]
    score: float
    interval: tuple[float, float]
    name: str
    predictions: Mapping[str, Any]
    figures: Mapping[str, Any]

    @property
    def loss(self) -> float:
        """The figure: the mean over the rows."""
        return float(self.losses_N.mean())


def judge_network(wiring: Wiring, figure: str) -> Judgement:
    """The figure of every validation row, and the headline score, of a network as it is."""
    assert wiring.dataset.valid is not None
    objective, spec = wiring.objective, wiring.dataset.spec
    outputs, target = collect_outputs(
        wiring.network,
        wiring.evaluation_loader(wiring.dataset.valid).epoch(0),
        context=None if wiring.plan.precision == "float32" else autocast(wiring.plan.device, wiring.plan.precision),
        keep=objective.keep,
    )
    losses_N = row_losses(figure, objective, spec, outputs, target)
    chance_N = _chance_losses(figure, objective, spec, target)
    if chance_N is not None and not losses_N.mean() <= chance_N.mean():
        losses_N = chance_N
    metrics = objective.metrics(outputs, target)
    probabilities = objective.probabilities(outputs)
    predictions = {"target": target, "prediction": objective.predict(outputs)}
    predictions["losses"] = objective.kept_losses(outputs, target)
    predictions |= {} if probabilities is None else {"probabilities": probabilities}
    return Judgement(
        losses_N=losses_N,
        score=metrics[objective.score],
        interval=objective.interval(outputs, target),
        name=objective.score,
        predictions={name: tensor.cpu().numpy() for name, tensor in predictions.items()},
        figures={
            "loss": objective.kept_loss(outputs, target).item(),
            **metrics,
            "interval": {objective.score: list(objective.interval(outputs, target))},
            "score": objective.score,
            "chance_loss": objective.chance(target),
        },
    )


def figure_for(config: Config, spec: DataSpec) -> str:
    """What twins are compared by, as a loss of each row that no treatment redefines.

    Log loss without smoothing or class weights, squared error in units of the target's deviation, loss of the places
    that count; and the share of wrong decisions for losses whose outputs are no logits of probabilities.
    """
    if spec.task == "tokens":
        return "loss"
    if spec.task == "regression":
        return "squared_error"
    return "log_loss" if config.objective.loss in PROPER else "error"


def row_losses(
    figure: str, objective: Objective, spec: DataSpec, outputs: Tensor, target: Tensor
) -> NDArray[np.float64]:
    """The figure of each row, float64 (N,); its mean is the figure."""
    if figure == "loss":
        losses_N = objective.kept_losses(outputs, target)
    elif figure == "squared_error":
        std_T = torch.tensor(spec.target_std or (1.0,), device=target.device).clamp(min=1e-30)
        losses_N = ((objective.predict(outputs).double() - target.double()) / std_T).square().mean(dim=1)
    elif figure == "log_loss":
        if spec.task == "classification":
            losses_N = nn.functional.cross_entropy(outputs.double(), target, reduction="none")
        else:
            each = nn.functional.binary_cross_entropy_with_logits(outputs.double(), target.double(), reduction="none")
            losses_N = each.mean(dim=1)
    else:
        guess, truth = objective.predict(outputs), target
        if spec.task == "binary":
            truth = target.flatten().long()
        wrong = (guess != truth).double()
        losses_N = wrong.mean(dim=1) if wrong.ndim > 1 else wrong
        if figure == "balanced_error":
            count_K = torch.bincount(truth, minlength=2).double()
            losses_N = losses_N * (len(truth) / (count_K[truth] * (count_K > 0).sum()))
    return np.asarray(losses_N.double().cpu().numpy())


def _chance_losses(figure: str, objective: Objective, spec: DataSpec, target: Tensor) -> NDArray[np.float64] | None:
    """The figure of each row for whoever answers the training split's frequencies, or mean, to all of them."""
    if spec.task == "tokens":
        return None
    if spec.task == "regression":
        mean_T = torch.tensor(spec.target_mean or (0.0,), dtype=torch.float64, device=target.device)
        std_T = torch.tensor(spec.target_std or (1.0,), device=target.device).clamp(min=1e-30)
        return np.asarray(((target.double() - mean_T) / std_T).square().mean(dim=1).cpu().numpy())
    if spec.task == "multilabel" or not spec.class_counts:
        return row_losses(figure, objective, spec, objective.prior_outputs(target), target)
    share_K = torch.tensor(spec.class_counts, dtype=torch.float64, device=target.device).clamp(min=0.5)
    logits_K = (share_K / share_K.sum()).log()
    if spec.task == "binary":
        logits_K = logits_K[1:] - logits_K[:1]
    return row_losses(figure, objective, spec, logits_K.expand(len(target), -1), target)
