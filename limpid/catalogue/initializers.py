"""First values of weights by name.

`home` is a function (weight, *, fan_in, fan_out, gain) that fills a weight in place; biases start at zero.
"""

from __future__ import annotations

from limpid.catalogue.part import Catalogue, Part

INITIALIZERS: Catalogue[Part] = Catalogue(
    "initializer",
    "model",
    (
        Part(
            name="kaiming_normal",
            home="limpid.models.initialize:kaiming_normal",
            what="normal, variance 2 / fan_in: keeps the signal's size under ReLU",
            source="He et al. 2015 (arXiv 1502.01852, eq. 10)",
            year=2015,
            formula="N(0, gain^2 / fan_in)",
            aliases=("he_normal", "he", "kaiming", "xavier/2"),
        ),
        Part(
            name="xavier_normal",
            home="limpid.models.initialize:xavier_normal",
            what="normal, between the needs of the forward and the backward pass",
            source="Glorot & Bengio 2010",
            year=2010,
            formula="N(0, 2 gain^2 / (fan_in + fan_out))",
            aliases=("glorot_normal", "xavier", "glorot"),
        ),
    ),
)
