"""Remedies that change how the weights move: rate, warm-up, clipping, momentum, batches, length."""

from __future__ import annotations

import math
from collections.abc import Iterator

from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.doctor.treatment import Patch, Treatment, number, option

PLAYBOOK = "Godbole et al. 2023, Deep Learning Tuning Playbook"
APART = 1.5  # factor below which two rates are the same dose
MOST_RATES = 5
LEAST_BATCH = 4
USUAL_MOMENTUM, HIGH_MOMENTUM = 0.9, 0.97


def lower_rates(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """The rate that won a race, the optimiser's usual one, and steps downwards.

    Momentum mu multiplies the rate by 1 / (1 - mu), so that where mu is high a lower one comes first.
    """
    if number(evidence, "optim.momentum") > HIGH_MOMENTUM:
        yield {"optim.momentum": USUAL_MOMENTUM}
    yield from _rates(evidence, (1 / 10, 1 / 3, 1 / 100, 1 / 1000), lower=True)


def raise_rates(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """The rate that won a race, the optimiser's usual one, and steps upwards."""
    yield from _rates(evidence, (10, 3, 100, 1000), lower=False)


def _rates(evidence: Evidence, factors: tuple[float, ...], *, lower: bool) -> Iterator[Patch]:
    lr = number(evidence, "optim.lr")
    if not lr > 0:
        return
    raced = (evidence.probe("rate_race") or evidence.probe("start_race") or {}).get("best")
    wanted = [lr * raced] if isinstance(raced, int | float) and raced > 0 else []
    optimizer = OPTIMIZERS.get(str(option(evidence, "optim.name")))
    wanted += [optimizer.lr] if optimizer is not None else []
    wanted += [lr * factor for factor in factors]
    chosen: list[float] = []
    for rate in wanted:
        right_way = rate < lr / APART if lower else rate > lr * APART
        if right_way and all(abs(math.log(rate / other)) > math.log(APART) for other in chosen):
            chosen.append(rate)
    for rate in chosen[:MOST_RATES]:
        yield {"optim.lr": float(f"{rate:.3g}")}


def warm_up(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """A tenth of the steps, where there is no warm-up yet."""
    if number(evidence, "optim.warmup") < 0.05:
        yield {"optim.warmup": 0.1}


def clip(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """At the 90th percentile of the gradient's norms, as far as they were recorded; else at 1."""
    now = number(evidence, "optim.clip_norm", math.inf)
    norms = sorted(norm for norm in _gradient_norms(evidence) if math.isfinite(norm) and norm > 0)
    limits = [norms[int(0.9 * (len(norms) - 1))]] if norms else []
    for limit in (*limits, 1.0):
        if limit < now / APART:
            yield {"optim.clip_norm": float(f"{limit:.2g}")}


def _gradient_norms(evidence: Evidence) -> Iterator[float]:
    for reading in evidence.readings("grad_norm"):
        values = [value for value in reading.values.values() if isinstance(value, int | float)]
        yield math.sqrt(sum(value**2 for value in values))


def less_momentum(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    if number(evidence, "optim.momentum") > USUAL_MOMENTUM:
        yield {"optim.momentum": USUAL_MOMENTUM}
        yield {"optim.momentum": 0.5}


def larger_batch(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    rows, size = int(evidence.spec.get("num_train") or 0), int(number(evidence, "training.batch_size", 1))
    for factor in (4, 16):
        if size * factor <= rows // 4:
            yield {"training.batch_size": size * factor}


def smaller_batch(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    rows, size = int(evidence.spec.get("num_train") or 0), int(number(evidence, "training.batch_size", 1))
    size = min(size, rows) or size
    for smaller in (max(16, 2 ** round(math.log2(max(rows / 40, 1)))), size // 4, size // 16):
        if LEAST_BATCH <= smaller <= size // 2:
            yield {"training.batch_size": smaller}


def longer(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """Three and ten times as long; the course of the rate is stretched with it."""
    epochs, steps = number(evidence, "training.epochs"), option(evidence, "training.steps")
    for factor in (3, 10):
        patch = {"training.epochs": math.ceil(max(epochs, 1) * factor)}
        yield {**patch, "training.steps": int(steps) * factor} if isinstance(steps, int) else patch


def early_stop(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """Keep the best epoch's weights; and a run that is over, rate and all, where this one was best."""
    epochs = int(number(evidence, "training.epochs"))
    if option(evidence, "training.restore_best") is False:
        yield {"training.restore_best": True, "training.patience": max(3, epochs // 10)}
    losses = [(epoch.valid["loss"], epoch.epoch) for epoch in evidence.epochs if epoch.valid is not None]
    finite = [(loss, number_) for loss, number_ in losses if isinstance(loss, int | float) and math.isfinite(loss)]
    if finite:
        best = min(finite)[1]
        if math.ceil(1.25 * best) < epochs:
            yield {"training.epochs": math.ceil(1.25 * best), "training.restore_best": True}


TREATMENTS = (
    Treatment(
        name="lower-rate",
        what="a lower learning rate",
        why="Steps that overshoot never settle: the loss stays high, jitters or diverges.",
        source=PLAYBOOK,
        doses=lower_rates,
    ),
    Treatment(
        name="raise-rate",
        what="a higher learning rate",
        why="Steps that are too small end the run long before the loss is down.",
        source=PLAYBOOK,
        doses=raise_rates,
    ),
    Treatment(
        name="warm-up",
        what="a rate that rises over the first tenth of the steps",
        why="The first steps meet the sharpest curvature and the least known gradient sizes.",
        source="Goyal et al. 2017 (arXiv 1706.02677)",
        doses=warm_up,
    ),
    Treatment(
        name="clip",
        what="a largest norm of the gradient",
        why="A few huge gradients undo what many small ones have learned.",
        source="Pascanu et al. 2013 (arXiv 1211.5063); limit at the 90th percentile: " + PLAYBOOK,
        doses=clip,
    ),
    Treatment(
        name="less-momentum",
        what="less momentum",
        why="A velocity that remembers 1 / (1 - mu) steps overshoots for as long, and multiplies the rate by as much.",
        source="Sutskever et al. 2013",
        doses=less_momentum,
    ),
    Treatment(
        name="larger-batch",
        what="more rows to a step",
        why="The gradient of a small batch is mostly noise.",
        source="McCandlish et al. 2018 (arXiv 1812.06162)",
        doses=larger_batch,
    ),
    Treatment(
        name="smaller-batch",
        what="fewer rows to a step, and so more steps to an epoch",
        why="Beyond the size where its noise is small a batch only takes steps away.",
        source="McCandlish et al. 2018 (arXiv 1812.06162)",
        doses=smaller_batch,
    ),
    Treatment(
        name="longer",
        what="more epochs",
        why="The losses were still falling when the run ended.",
        source=PLAYBOOK,
        doses=longer,
        whole=True,
        again=True,
    ),
    Treatment(
        name="early-stop",
        what="the end where validation was best",
        why="Later epochs learn the training rows by heart.",
        source="Prechelt 1998",
        doses=early_stop,
        whole=True,
    ),
)
