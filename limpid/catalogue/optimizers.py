"""Optimisers by name."""

from __future__ import annotations

from dataclasses import dataclass

from limpid.catalogue.part import Catalogue, Option, Part


@dataclass(frozen=True, kw_only=True)
class OptimizerPart(Part):
    """An optimiser, with the learning rate and weight decay that its default settings mean.

    `home` is a function (groups, *, lr, fused, **options) -> torch.optim.Optimizer, where `groups` are parameter groups
    that hold their own weight decay.
    """

    lr: float
    weight_decay: float = 0.0


BETAS = Option((0.9, 0.999), "decay rates of the averages of the gradient and of its square", 0.0, 1.0)
EPS = Option(1e-8, "added to the root of the second average", 0.0)

OPTIMIZERS: Catalogue[OptimizerPart] = Catalogue(
    "optimizer",
    "optim",
    (
        OptimizerPart(
            name="sgd",
            home="limpid.optim.optimizers:build_sgd",
            what="stochastic gradient descent, with momentum",
            source="Robbins & Monro 1951; Polyak 1964; Nesterov 1983",
            year=1951,
            formula="v <- mu v + (1 - dampening) (g + lambda w);  w <- w - lr v  (nesterov: w - lr (g + mu v))",
            pitfall="The rate has to fit the problem: ten times too much diverges, ten times too little crawls.",
            options={
                "momentum": Option(0.9, "share of the last step that is kept", 0.0, 1.0),
                "nesterov": Option(False, "look ahead along the momentum before taking the gradient"),
            },
            lr=0.1,
            weight_decay=5e-4,
        ),
        OptimizerPart(
            name="adam",
            home="limpid.optim.optimizers:build_adam",
            what="steps scaled by running averages of the gradient and its square",
            source="Kingma & Ba 2015 (arXiv 1412.6980)",
            year=2014,
            formula="m <- b1 m + (1 - b1) g;  s <- b2 s + (1 - b2) g^2;  w <- w - lr m^ / (sqrt(s^) + eps)",
            pitfall="Its weight decay is scaled away with the gradient; adamw decays apart from it.",
            options={"betas": BETAS, "eps": EPS},
            lr=1e-3,
        ),
        OptimizerPart(
            name="adamw",
            home="limpid.optim.optimizers:build_adamw",
            what="Adam with weight decay apart from the gradient",
            source="Loshchilov & Hutter 2019 (arXiv 1711.05101)",
            year=2017,
            formula="w <- (1 - lr lambda) w, and Adam's step of the plain gradient",
            options={"betas": BETAS, "eps": EPS},
            lr=1e-3,
            weight_decay=0.02,
        ),
    ),
)
