"""How much each class counts, and how often it occurs."""

from __future__ import annotations

import torch
from torch import Tensor

from limpid.config import ObjectiveConfig
from limpid.errors import ConfigError
from limpid.spec import DataSpec


def class_weights(config: ObjectiveConfig, spec: DataSpec) -> Tensor | None:
    """Weight of each class, scaled to a mean of 1 over the training split, so that the learning rate keeps its meaning.

    Balanced: N / (K n_k). Raises ConfigError when the task has no classes or the number of weights is another.
    """
    if config.class_weights is None:
        return None
    if spec.task not in ("classification", "binary"):
        raise ConfigError(f"objective.class_weights is for one of several classes; this is {spec.task}.")
    num_classes = 2 if spec.task == "binary" else spec.num_outputs
    counts = torch.tensor(spec.class_counts or (1,) * num_classes, dtype=torch.float64).clamp(min=1)
    if config.class_weights == "balanced":
        weights = 1 / counts
    elif len(config.class_weights) == num_classes and min(config.class_weights) >= 0 < max(config.class_weights):
        weights = torch.tensor(config.class_weights, dtype=torch.float64)
    else:
        raise ConfigError(
            f"objective.class_weights={list(config.class_weights)}: expected {num_classes} numbers of 0 or more, not "
            f"all 0, one for each of {', '.join(spec.classes) or 'the classes'}, or balanced."
        )
    return (weights * counts.sum() / (weights * counts).sum()).float()


def log_frequencies(counts: tuple[int, ...], weights: Tensor | None) -> Tensor:
    """Log of each class's share of the training split, by weight: the logits of knowing nothing else."""
    # half a sample for a class without any keeps the logarithm finite
    mass = torch.tensor(counts, dtype=torch.float64).clamp(min=0.5)
    if weights is not None:
        mass = mass * weights.clamp(min=1e-12)
    return (mass / mass.sum()).log().float()
