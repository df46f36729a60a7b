"""The network of a subject trained anew: on fewer rows, or with other options, for a bounded number of updates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from limpid.data.bootstrap import resample
from limpid.data.loader import Loader
from limpid.errors import NonFiniteLoss
from limpid.models.cost import layer_table
from limpid.probes.subject import Subject
from limpid.training.history import History, Silence
from limpid.training.loop import fit
from limpid.training.randomness import own_randomness

MOST_WORK = 3e11  # multiply-adds of one training: about five seconds of a small network at the rate of one core
OVERHEAD = 3e6  # multiply-adds that could be made while a step is only being called
LEAST_STEPS = 30
EVALUATIONS = 10  # of the validation split


def affordable_steps(subject: Subject) -> int | None:
    """Updates of the run, or as many as the bound on arithmetic allows; None where training anew says nothing: a user's
    own module, a family without gradient steps, members of an ensemble, or less than 30 updates."""
    if subject.rewire is None or subject.config is None or subject.spec is None or subject.dataset is None:
        return None
    wiring = subject.rewire({})
    if subject.config.training.members > 1 or not isinstance(wiring.parts.train, Loader):
        return None
    batch = min(subject.config.training.batch_size or 1, len(subject.dataset.train))
    macs = sum(row["macs"] for row in layer_table(subject.network, subject.spec))
    steps = int(min(wiring.plan.num_steps, MOST_WORK / (3 * macs * batch + OVERHEAD)))
    return steps if steps >= LEAST_STEPS else None


def retrain(
    subject: Subject, options: Mapping[str, Any], *, steps: int, index: Tensor | None = None
) -> tuple[Subject, dict[str, Any]] | None:
    """Train so many updates from the run's seed, with these options changed, on these training rows.

    Returns the subject with the new network and its best weights, and the validation figures of that epoch; None where
    training diverged.
    """
    assert subject.rewire is not None and subject.config is not None and subject.dataset is not None
    training = subject.config.training
    rows = len(subject.dataset.train) if index is None else len(index)
    batch = min(training.batch_size or rows, rows)
    updates = max(1, math.ceil(math.ceil(rows / batch) / subject.config.optim.accumulate))
    epochs = math.ceil(steps / updates)
    length = {"training__steps": steps, "training__epochs": epochs, "training__batch_size": batch}
    course = {"training__evaluate_every": max(1, epochs // EVALUATIONS), "training__patience": 0}
    wiring = subject.rewire({**length, **course, **options})
    parts = wiring.parts
    if index is not None:
        whole = parts.train
        loader = Loader(
            resample(wiring.dataset.train, index),
            batch_size=batch,
            seed=training.seed,
            shuffle=True,
            device=wiring.plan.device,
            augment=whole.augment,
            drop_last=rows % batch == 1,
            channels_last=wiring.channels_last,
        )
        parts = replace(parts, train=loader)
    history = History()
    try:
        with own_randomness(training.seed), wiring.fast_roads():
            position = fit(parts, replace(wiring.plan, num_steps=steps, num_epochs=epochs), history, Silence())
    except NonFiniteLoss:
        return None
    rows_of_valid = [row for row in history.epochs if row["split"] == "valid"]
    kept = [row for row in rows_of_valid if row["epoch"] == position.kept_epoch] or rows_of_valid
    if not kept or not math.isfinite(kept[-1]["loss"]):
        return None
    return replace(subject, network=wiring.network), kept[-1]
