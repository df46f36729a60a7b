"""From the task and the named loss to an objective."""

from __future__ import annotations

import torch

from limpid.catalogue.losses import LOSSES, LossPart
from limpid.config import ObjectiveConfig
from limpid.errors import ConfigError
from limpid.objectives.class_weights import class_weights
from limpid.objectives.objective import Binary, Classification, Multilabel, Objective, Regression
from limpid.objectives.tokens import NextToken
from limpid.spec import DataSpec


def build_objective(config: ObjectiveConfig, spec: DataSpec) -> Objective:
    """The objective of the spec's task, with the configured loss.

    Raises ConfigError for a loss, smoothing or class weights that the task or the loss does not have.
    """
    part = _loss_for(config.loss, spec.task)
    smoothing = config.label_smoothing or 0.0
    if smoothing and spec.task == "regression":
        raise ConfigError("objective.label_smoothing is for classes; this is a regression.")
    if smoothing and not part.smooths:
        raise ConfigError(
            f"objective.label_smoothing moves probability to the other classes, and {part.name} knows none. "
            "Set it to 0, or use objective.loss=auto."
        )
    weights = class_weights(config, spec)
    if spec.task == "tokens":
        return NextToken(spec.class_counts, spec.num_outputs, smoothing)
    options = part.accept(config.options, "objective")
    if spec.task == "regression":
        mean = torch.tensor(spec.target_mean or (0.0,) * spec.num_outputs, dtype=torch.float32)
        std = torch.tensor(spec.target_std or (1.0,) * spec.num_outputs, dtype=torch.float32)
        if not config.standardise:
            mean, std = torch.zeros_like(mean), torch.ones_like(std)
        if part.log_rate and min(spec.target_mean, default=1.0) <= 0:
            raise ConfigError(
                f"objective.loss={part.name} is for counts of 0 or more; the mean of this target is "
                f"{min(spec.target_mean):g}. Use objective.loss=mse."
            )
        overlap = spec.preparation.get("horizon", 1) if spec.kind == "series" else 1
        return Regression(part.load()(spec.task, **options), mean, std, log_rate=part.log_rate, overlap=overlap)
    point = part.load()(spec.task, smoothing=smoothing, weights=weights, **options)
    if spec.task == "classification":
        return Classification(point, spec.class_counts, spec.num_outputs, weights)
    if spec.task == "binary":
        return Binary(point, spec.class_counts, weights)
    return Multilabel(point, spec.class_counts, spec.num_train, spec.num_outputs)


def _loss_for(name: str, task: str) -> LossPart:
    """The named loss, or the first that fits the task. Raises ConfigError when it does not, naming those that do."""
    fitting = [part for part in LOSSES.values() if task in part.tasks and not part.refusal]
    part = fitting[0] if name == "auto" else LOSSES[name]
    fits = " or ".join(other.name for other in fitting)
    if task not in part.tasks:
        raise ConfigError(f"objective.loss={part.name} does not fit {task}; use {fits}.")
    if part.refusal:
        raise ConfigError(f"objective.loss={part.name}: {part.refusal.format(fits=fits)}")
    return part
