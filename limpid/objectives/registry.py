"""From the task and the named loss to an objective."""

from __future__ import annotations

import torch

from limpid.catalogue.losses import LOSSES
from limpid.config import ObjectiveConfig
from limpid.errors import ConfigError
from limpid.objectives.class_weights import class_weights
from limpid.objectives.objective import Binary, Classification, Multilabel, Objective, Regression
from limpid.objectives.tokens import NextToken
from limpid.spec import DataSpec, Task

TASK_LOSSES: dict[Task, tuple[str, ...]] = {  # the first is the task's own
    "classification": ("cross_entropy",),
    "binary": ("bce",),
    "multilabel": ("bce",),
    "regression": ("mse", "mae", "huber"),
    "tokens": ("cross_entropy",),
}


def build_objective(config: ObjectiveConfig, spec: DataSpec) -> Objective:
    """The objective of the spec's task, with the configured loss.

    Raises ConfigError for a loss, smoothing or class weights that the task does not have.
    """
    allowed = TASK_LOSSES[spec.task]
    loss = allowed[0] if config.loss == "auto" else config.loss
    if loss not in allowed:
        raise ConfigError(f"objective.loss={loss} does not fit {spec.task}; use {' or '.join(allowed)}.")
    smoothing = config.label_smoothing or 0.0
    if spec.task == "regression" and smoothing:
        raise ConfigError("objective.label_smoothing is for classes; this is a regression.")
    weights = class_weights(config, spec)
    if spec.task == "classification":
        return Classification(spec.class_counts, spec.num_outputs, smoothing, weights)
    if spec.task == "binary":
        return Binary(spec.class_counts, smoothing, weights)
    if spec.task == "tokens":
        return NextToken(spec.class_counts, spec.num_outputs, smoothing)
    if spec.task == "multilabel":
        return Multilabel(spec.class_counts, spec.num_train, spec.num_outputs, smoothing)
    mean = torch.tensor(spec.target_mean or (0.0,) * spec.num_outputs, dtype=torch.float32)
    std = torch.tensor(spec.target_std or (1.0,) * spec.num_outputs, dtype=torch.float32)
    delta = LOSSES["huber"].accept(config.options, "objective")["delta"]
    return Regression(mean, std, loss, delta)
