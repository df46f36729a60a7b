"""The treatments by name. Each file `remedies_*` of this folder brings those of one subject."""

from __future__ import annotations

from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.doctor import remedies_data, remedies_network, remedies_step
from limpid.doctor.evidence import Evidence
from limpid.doctor.remedies_network import SATURATING
from limpid.doctor.treatment import Treatment, number, option

TREATMENTS: dict[str, Treatment] = {
    treatment.name: treatment
    for treatment in (
        *remedies_step.TREATMENTS,
        *remedies_network.TREATMENTS,
        *remedies_data.TREATMENTS,
        *remedies_data.BY_HAND,
    )
}
FAR = 10.0  # factor from the optimiser's usual rate at which a rate is suspected without further evidence
HALF = 0.5  # dropout, and share of the labels that is smoothed away, from which they are


def second_line(evidence: Evidence) -> tuple[str, ...]:
    """Treatments that take back what is unusual in the options of a run that is sick of something else than was found.

    A finding names the layer or the curve that shows it, and may be wrong about the cause. The options that were set by
    hand, and far from the usual, are the next to be suspected.
    """
    optimizer = OPTIMIZERS.get(str(option(evidence, "optim.name")))
    rate, usual = number(evidence, "optim.lr"), optimizer.lr if optimizer is not None else 0.0
    decay, usual_decay = (
        number(evidence, "optim.weight_decay"),
        optimizer.weight_decay if optimizer is not None else 0.0,
    )
    own = (None, "own")
    suspects = {
        "standardise-inputs": option(evidence, "data.scale") == "none",
        "standardise-target": option(evidence, "objective.standardise") is False,
        "he-init": any(option(evidence, f"model.{key}") not in own for key in ("init", "bias_init", "embedding_init")),
        "lower-rate": rate > FAR * usual > 0,
        "raise-rate": 0 < rate < usual / FAR,
        "less-momentum": number(evidence, "optim.momentum") > 0.95,
        "less-decay": decay > FAR * usual_decay
        or number(evidence, "regularize.l1") + number(evidence, "regularize.l2") > 0,
        "less-dropout": number(evidence, "model.dropout") > HALF or number(evidence, "regularize.input_noise") > 0,
        "less-smoothing": number(evidence, "objective.label_smoothing") >= HALF,
        "leaky-activation": str(option(evidence, "model.activation", "")).partition("(")[0] in SATURATING,
    }
    return tuple(name for name, suspected in suspects.items() if suspected)
