"""Remedies that change what computes, and what holds it back: first weights, layers, size, decay, dropout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.doctor.treatment import Patch, Treatment, number, option

SATURATING = ("sigmoid", "tanh", "scaled_tanh", "hardtanh", "softsign", "step", "softmax")
DYING = ("relu", "relu6", "hardswish")
FIRST_DECAY = 0.02  # where the optimiser's usual one is 0; that of adamw
USUAL_WIDTH = 64
WIDEST = 2048  # a trial of a wider layer would take too long


def own_first_weights(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """The model's own, which fit its activation: He's before ReLU-like functions, Glorot's before tanh and sigmoid."""
    yield {"model.init": None, "model.bias_init": "own", "model.embedding_init": "own"}


def normalise(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    if option(evidence, "model.name") == "mlp" and option(evidence, "model.norm") in (None, "none"):
        yield {"model.norm": "batch"}
        yield {"model.norm": "layer"}


def other_activation(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """One whose gradient lives: a leaky ReLU for ReLU, a ReLU for what saturates."""
    name = str(option(evidence, "model.activation", "")).partition("(")[0]
    if name in SATURATING:
        yield {"model.activation": "relu"}
        yield {"model.activation": "leaky_relu(0.1)"}
    elif name in DYING:
        yield {"model.activation": "leaky_relu(0.1)"}
        yield {"model.activation": "gelu"}


def wider(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """Twice and four times as wide; hidden layers where there are none."""
    hidden = option(evidence, "model.hidden")
    if option(evidence, "model.name") != "mlp" or not isinstance(hidden, tuple):
        return
    if not hidden:
        yield {"model.hidden": (USUAL_WIDTH, USUAL_WIDTH)}
    elif max(hidden) < USUAL_WIDTH // 2:
        yield {"model.hidden": (USUAL_WIDTH,) * len(hidden)}
    for factor in (2, 4):
        if hidden and max(hidden) * factor <= WIDEST:
            yield {"model.hidden": tuple(width * factor for width in hidden)}


def more_decay(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    now = number(evidence, "optim.weight_decay")
    part = OPTIMIZERS.get(str(option(evidence, "optim.name")))
    if part is None or part.decay == "none":
        return
    usual = part.weight_decay or FIRST_DECAY
    for decay in (10 * max(now, usual), 3 * max(now, usual), 30 * max(now, usual)):
        yield {"optim.weight_decay": float(f"{decay:.3g}")}


def less_decay(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """The optimiser's usual decay at most, and no other penalty; then none at all."""
    now = number(evidence, "optim.weight_decay")
    part = OPTIMIZERS.get(str(option(evidence, "optim.name")))
    usual = min(now, part.weight_decay if part is not None else 0.0)
    none: dict[str, Any] = {f"regularize.{key}": 0.0 for key in ("l1", "l2", "l2_sum")} | {"regularize.max_norm": None}
    yield {"optim.weight_decay": usual, **none}
    yield {"optim.weight_decay": 0.0, **none}


def dropout(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    now = number(evidence, "model.dropout")
    for share in (0.5, 0.3, 0.1):
        if share > now:
            yield {"model.dropout": share}


def less_dropout(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """None, and a third; with it the noise on the inputs and the skipped branches."""
    now = number(evidence, "model.dropout")
    off: dict[str, Any] = {"regularize.input_noise": 0.0, "regularize.stochastic_depth": 0.0}
    off |= {"model.input_dropout": 0.0} if number(evidence, "model.input_dropout") else {}
    yield {"model.dropout": 0.0, **off}
    if now > 0.1:
        yield {"model.dropout": round(now / 3, 3), **off}


def unfreeze(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    if option(evidence, "model.freeze"):
        yield {"model.freeze": "", "model.thaw": None}


TREATMENTS = (
    Treatment(
        name="he-init",
        what="the model's own first weights",
        why="Weights of variance 2 / fan_in keep the size of the signal through ReLU layers, forwards and backwards.",
        source="He et al. 2015 (arXiv 1502.01852); Glorot & Bengio 2010",
        doses=own_first_weights,
    ),
    Treatment(
        name="normalise-layers",
        what="normalisation between the layers",
        why="It brings every layer's inputs to one size, whatever the weights before it do.",
        source="Ioffe & Szegedy 2015 (arXiv 1502.03167); Ba et al. 2016 (arXiv 1607.06450)",
        doses=normalise,
    ),
    Treatment(
        name="leaky-activation",
        what="an activation with a gradient everywhere",
        why="A unit that is off for every row, or saturated, gets no gradient and cannot come back.",
        source="Maas et al. 2013; Glorot et al. 2011",
        doses=other_activation,
    ),
    Treatment(
        name="wider",
        what="wider layers",
        why="A network that cannot fit its training rows lacks capacity, once it is optimised well.",
        source="Goodfellow, Bengio & Courville 2016, chapter 11",
        doses=wider,
        again=True,
    ),
    Treatment(
        name="more-decay",
        what="stronger weight decay",
        why="Smaller weights make smoother functions, which follow single rows less.",
        source="Krogh & Hertz 1991",
        doses=more_decay,
        whole=True,
    ),
    Treatment(
        name="less-decay",
        what="weaker weight decay and no other penalty on weights",
        why="A penalty that outweighs the data keeps the weights from fitting even the training rows.",
        source="Goodfellow, Bengio & Courville 2016, chapter 7",
        doses=less_decay,
    ),
    Treatment(
        name="dropout",
        what="more dropout",
        why="Units that cannot rely on one another learn the training rows less by heart.",
        source="Srivastava et al. 2014",
        doses=dropout,
        whole=True,
    ),
    Treatment(
        name="less-dropout",
        what="less dropout, and no other noise in the network",
        why="With most units gone the network is too small for its task.",
        source="Srivastava et al. 2014",
        doses=less_dropout,
    ),
    Treatment(
        name="unfreeze",
        what="all layers learn",
        why="Frozen layers hold features of another task.",
        source="Howard & Ruder 2018 (arXiv 1801.06146)",
        doses=unfreeze,
    ),
)
