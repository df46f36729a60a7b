"""Losses by name.

`home` is a function (task, **options) -> PointLoss, where a PointLoss maps float32 outputs and the target of the task
(see DataSpec) to the loss of each sample, (B,).
"""

from __future__ import annotations

from dataclasses import dataclass

from limpid.catalogue.part import Catalogue, Option, Part


@dataclass(frozen=True, kw_only=True)
class LossPart(Part):
    """A loss, and the tasks that it is for."""

    tasks: tuple[str, ...]


LOSSES: Catalogue[LossPart] = Catalogue(
    "loss",
    "objective",
    (
        LossPart(
            name="cross_entropy",
            home="limpid.objectives.losses:build_cross_entropy",
            what="surprise at the true class",
            source="Good 1952; Bridle 1990",
            formula="-sum_k t_k log softmax(z)_k",
            aliases=("cce", "nll", "log loss", "softmax loss"),
            tasks=("classification", "tokens"),
        ),
        LossPart(
            name="bce",
            home="limpid.objectives.losses:build_bce",
            what="surprise at the truth of a yes or no, from the logit",
            source="Cox 1958",
            formula="-(t ln p + (1 - t) ln(1 - p)),  p = sigmoid(z)",
            aliases=("binary cross entropy", "logistic loss"),
            tasks=("binary", "multilabel"),
        ),
        LossPart(
            name="mse",
            home="limpid.objectives.losses:build_mse",
            what="squared error of the standardised target",
            source="Gauss 1809",
            formula="(f - z)^2",
            aliases=("squared error", "l2 loss"),
            tasks=("regression",),
        ),
        LossPart(
            name="mae",
            home="limpid.objectives.losses:build_mae",
            what="absolute error of the standardised target",
            source="Boscovich 1757; Laplace 1793",
            formula="|f - z|",
            aliases=("absolute error", "l1 loss"),
            tasks=("regression",),
        ),
        LossPart(
            name="huber",
            home="limpid.objectives.losses:build_huber",
            what="squared near zero, absolute far from it",
            source="Huber 1964",
            year=1964,
            formula="e^2 / 2 if |e| <= delta else delta (|e| - delta / 2)",
            options={"delta": Option(1.0, "where it turns linear, in units of the scaled target", 1e-9)},
            tasks=("regression",),
        ),
    ),
)
