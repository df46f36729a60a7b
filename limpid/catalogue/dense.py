"""Networks of dense layers."""

from __future__ import annotations

from limpid.catalogue.model_part import ANY_NUMBERS, ModelPart
from limpid.catalogue.part import Option

PARTS = (
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
        options={
            "dropout_form": Option(
                "inverted",
                "scaled up in training, scaled down in use, or for selu",
                choices=("inverted", "classic", "alpha"),
            ),
            "input_dropout": Option(0.0, "share of inputs dropped; 0.2 beside 0.5 of hidden units", 0.0, 0.99),
        },
    ),
)
