"""Which members can be trained as one, and with whom."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from limpid.data.dataset import Dataset, ResidentRows
from limpid.data.loader import Loader
from limpid.errors import ModelError
from limpid.objectives.objective import Binary, Classification, Multilabel, Regression
from limpid.population.stack_network import Form
from limpid.training.step import train_step
from limpid.wiring import Wiring

OBJECTIVES = (Classification, Binary, Multilabel, Regression)
MOST_NUMBERS = 2**28  # of all standardised inputs, 1 GiB: a stack keeps them in memory
# Of a member, by device. On a CPU networks of 50,000 weights gain little from company and those of 170,000 lose half
# (batches of 32 and 128, one core); what a GPU takes is a guess, but the stack has five times as many numbers.
MOST_WEIGHTS = {"cpu": 2**18, "cuda": 2**24}


@dataclass(frozen=True)
class Unstackable:
    """Why a member cannot share a program with others, for people."""

    reason: str


def form_of(wiring: Wiring) -> Form | Unstackable:
    """What the network of a member is made of, or why it must be trained alone."""
    config, parts = wiring.config, wiring.parts
    rows = wiring.dataset.train.rows
    checks = (
        (parts.step is not train_step, f"{config.model.name} is trained by a step of its own"),
        (parts.average is not None, "averaged weights"),
        (not isinstance(parts.train, Loader), "thawing layers"),
        (isinstance(parts.train, Loader) and parts.train.augment is not None, "augmentation"),
        (wiring.config.model.compile == "on", "compilation"),
        (config.optim.lookahead > 0, "lookahead"),
        (config.training.members > 1, "an ensemble of its own"),
        (config.training.epochs == 0, "no epochs"),
        (config.training.steps is not None, "training.steps, which ends within an epoch"),
        (type(wiring.objective) not in OBJECTIVES, f"the task {wiring.dataset.spec.task}"),
        (getattr(getattr(wiring.objective, "point", None), "total", False), "a loss that is a sum"),
        (not isinstance(rows, ResidentRows), "rows that are cut or read when asked for"),
        (
            isinstance(rows, ResidentRows) and rows.tensors[0].numel() > MOST_NUMBERS,
            "inputs that fill the memory when they are standardised",
        ),
    )
    for found, reason in checks:
        if found:
            return Unstackable(reason)
    try:
        form = Form(wiring.network)
    except ModelError as error:
        return Unstackable(str(error))
    most = MOST_WEIGHTS.get(wiring.plan.device.type, MOST_WEIGHTS["cpu"])
    if form.num_weights > most:
        return Unstackable(f"{form.num_weights:,} weights, enough work for a core without company")
    if any(form.shares) and wiring.plan.device.type != "cpu":
        return Unstackable(f"dropout on {wiring.plan.device.type}, which draws other numbers for many than for one")
    return form


def stackable(wiring: Wiring) -> str:
    """Why a member cannot be trained together with others; empty where it can."""
    form = form_of(wiring)
    return form.reason if isinstance(form, Unstackable) else ""


def cohort_key(wiring: Wiring, form: Form, dataset: Dataset) -> Hashable:
    """Equal for members that can be trained as one: the same data, the same layers, batches of one size.

    Everything else may differ: seed, bootstrap, first weights, optimiser and its numbers, schedule, decay, dropout,
    loss and its numbers, number of epochs, patience, figure to watch.
    """
    assert isinstance(wiring.parts.train, Loader)
    return (
        id(dataset),
        form.key(),
        wiring.parts.train.batch_size,
        wiring.parts.train.num_batches,
        wiring.plan.accumulate,
        wiring.plan.device,
        wiring.plan.precision,
    )
