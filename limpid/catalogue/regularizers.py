"""What holds a network back from memorising, by name.

Each entry names the option that switches it on; `home` is what computes it.
"""

from __future__ import annotations

from limpid.catalogue.part import Catalogue, Part

REGULARIZERS: Catalogue[Part] = Catalogue(
    "regularizer",
    "regularize",
    (
        Part(
            name="weight_decay",
            home="limpid.optim.param_groups:param_groups",
            what="weights shrink a little at every step: --weight-decay",
            source="Hoerl & Kennard 1970; Krogh & Hertz 1991",
            aliases=("l2", "ridge penalty", "tikhonov"),
            formula="w <- (1 - lr lambda) w, or the gradient of lambda / 2 |w|^2",
            pitfall="Biases and normalisation weights are spared unless optim.decay_all=true.",
        ),
        Part(
            name="label_smoothing",
            home="limpid.objectives.objective:Classification",
            what="a share of the target goes to the other classes: --set objective.label_smoothing=0.1",
            source="Szegedy et al. 2015 (arXiv 1512.00567)",
            year=2015,
            formula="t <- (1 - s) t + s / K",
        ),
        Part(
            name="early_stopping",
            home="limpid.training.stopping:EarlyStopping",
            what="stop when validation no longer improves, keep the best weights: --patience",
            source="Morgan & Bourlard 1990; Prechelt 1998",
            aliases=("patience",),
        ),
    ),
)
