"""Activations by name. `home` is a function (**options) -> nn.Module."""

from __future__ import annotations

from limpid.catalogue.part import Catalogue, Part

ACTIVATIONS: Catalogue[Part] = Catalogue(
    "activation",
    "model",
    (
        Part(
            name="relu",
            home="limpid.models.activations:relu",
            what="positive part",
            source="Nair & Hinton 2010",
            year=2010,
            formula="max(0, z)",
            pitfall="A unit whose input is never positive gets no gradient and stays dead.",
        ),
        Part(
            name="tanh",
            home="limpid.models.activations:tanh",
            what="from -1 to 1, odd",
            source="LeCun et al. 1998",
            formula="(e^z - e^-z) / (e^z + e^-z)",
            pitfall="Saturates: beyond |z| of 3 the gradient is below a hundredth.",
        ),
        Part(
            name="sigmoid",
            home="limpid.models.activations:sigmoid",
            what="from 0 to 1",
            source="Verhulst 1838; Rumelhart et al. 1986",
            aliases=("logistic function",),
            formula="1 / (1 + e^-z)",
            pitfall="Its slope is 1/4 at most, so that deep chains of it lose their gradient.",
        ),
        Part(
            name="leaky_relu",
            home="limpid.models.activations:leaky_relu",
            what="ReLU with a small slope below zero",
            source="Maas et al. 2013",
            year=2013,
            formula="max(0.01 z, z)",
        ),
        Part(
            name="elu",
            home="limpid.models.activations:elu",
            what="exponential below zero",
            source="Clevert et al. 2015 (arXiv 1511.07289)",
            year=2015,
            formula="z if z >= 0 else e^z - 1",
        ),
        Part(
            name="gelu",
            home="limpid.models.activations:gelu",
            what="z times the normal distribution's share below z",
            source="Hendrycks & Gimpel 2016 (arXiv 1606.08415)",
            year=2016,
            formula="z Phi(z)",
        ),
        Part(
            name="silu",
            home="limpid.models.activations:silu",
            what="z times its sigmoid",
            source="Elfwing et al. 2017; Ramachandran et al. 2017",
            year=2017,
            aliases=("swish",),
            formula="z / (1 + e^-z)",
        ),
    ),
)
