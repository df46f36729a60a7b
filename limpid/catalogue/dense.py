"""Networks of dense layers."""

from __future__ import annotations

from limpid.catalogue.model_part import ANY_NUMBERS, ModelPart

PARTS = (
    ModelPart(
        name="linear",
        home="limpid.models.linear:build_linear",
        what="linear or logistic regression",
        source="Legendre 1805; Cox 1958",
        year=1805,
        formula="y = x W + b",
        aliases=("logistic", "logistic regression", "linear regression", "softmax regression"),
        family="linear",
        kinds=ANY_NUMBERS,
    ),
    ModelPart(
        name="mlp",
        home="limpid.models.mlp:build_mlp",
        what="multi-layer perceptron",
        source="Rumelhart, Hinton & Williams 1986",
        year=1986,
        formula="x_n = dropout(g(norm(W_n x_{n-1} + b_n)))",
        aliases=("multi-layer perceptron", "dense", "feed-forward", "fully connected", "dnn"),
        family="dense",
        kinds=ANY_NUMBERS,
        takes_codes=True,
    ),
)
