"""Would the network be better with hardly any regularisation? Two trainings that differ in nothing else.

Source: the verify probe of over-regularisation, error with lambda / 10, dropout and smoothing off, beside the twin.
"""

from __future__ import annotations

from typing import Any

from limpid.probes.retraining import affordable_steps
from limpid.probes.subject import Subject
from limpid.probes.twin_errors import twin_errors

# What is worth the price of two trainings: milder settings cannot keep a network from learning.
STRONG_DROPOUT, STRONG_SMOOTHING, STRONG_SHRINKAGE = 0.4, 0.3, 0.5


def measure(subject: Subject) -> dict[str, Any] | None:
    """{options, n, steps, error, free_error, gain, se}: mean error of a row with and without (see `slices`), and the
    mean and standard error of their difference on the same validation rows; None where no regulariser is strong.
    """
    dataset, spec = subject.dataset, subject.spec
    if dataset is None or dataset.valid is None or spec is None or spec.task == "tokens":
        return None
    steps = affordable_steps(subject)
    options = {} if steps is None else strong_options(subject, steps)
    if steps is None or not options:
        return None
    return twin_errors(subject, options, steps)


def strong_options(subject: Subject, steps: int) -> dict[str, Any]:
    """Options that switch off what is strong of the run's regularisation, and only that."""
    assert subject.config is not None and subject.rewire is not None
    config = subject.config
    options: dict[str, Any] = {}
    if (config.model.dropout or 0.0) >= STRONG_DROPOUT:
        options["model__dropout"] = 0.0
    if (config.objective.label_smoothing or 0.0) >= STRONG_SMOOTHING:
        options["objective__label_smoothing"] = 0.0
    decay, rate = config.optim.weight_decay or 0.0, config.optim.lr or 0.0
    if decay * rate * steps >= STRONG_SHRINKAGE:  # decoupled decay shrinks weights by about exp(-decay * rate * steps)
        options["optim__weight_decay"] = decay / 10
    for name in ("l1", "l2", "l2_sum", "input_noise"):
        if getattr(config.regularize, name):
            options[f"regularize__{name}"] = 0.0
    return options
