"""Does dropout spoil the statistics of a normalisation behind it? G11."""

from __future__ import annotations

from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.numbers import finite

STRONG = Threshold(0.3, "dropout", "Li et al. 2019, arXiv 1801.05134: the variance shifts by 1 / (1 - p)", "guess")
SHIFT = Threshold(0.25, "of the evaluation loss, by which training mode is better", "USERS: ratio .8 to 1.25", "low")


def dropout_before_norm(evidence: Evidence) -> Verdict | None:
    """Dropout layers that stand before a batch normalisation, and by how much evaluation mode is worse than training
    mode on the same rows: dropout alone makes training mode the worse one."""
    layers = (evidence.header.get("model") or {}).get("layers")
    if not layers:
        return None
    pairs = _pairs(layers)
    rate = finite(evidence.option("model.dropout")) or 0.0
    last = [reading.values for reading in evidence.readings("modes")[-3:]]
    losses = [(finite(values.get("train")), finite(values.get("eval"))) for values in last]
    excess = [1 - train / evaluated for train, evaluated in losses if train is not None and evaluated]
    worst = min(excess, default=None)  # of the last readings: all of them have to show it
    statistics: dict[str, Any] = {"pairs": len(pairs), "dropout": rate, "excess": worst}
    shifted = worst is not None and worst > SHIFT.value
    own = str(evidence.option("model.name", "")).startswith("module:")  # its shares of dropout are not in the record
    if not pairs or not (shifted or own or rate >= STRONG.value):
        return Verdict(statistics)
    finding = Finding(
        level="warning" if shifted else "note",
        symptom=f"Dropout stands before batch normalisation ({', '.join(pairs[:3])})"
        + (
            f", and evaluation mode is worse than training mode by {100 * (worst or 0):.0f} % of its loss."
            if shifted
            else ": the variances that it learns are not those of evaluation."
        ),
        value=rate if worst is None else worst,
        threshold=SHIFT.value if shifted else STRONG.value,
        where=pairs[0],
    )
    return Verdict(statistics, (finding,))


def _pairs(layers: list[dict[str, Any]]) -> list[str]:
    """Names of batch normalisations behind a dropout layer, in the order of the network."""
    found, dropped = [], False
    for layer in layers:
        kind = str(layer.get("kind", ""))
        if "Dropout" in kind:
            dropped = True
        elif dropped and "BatchNorm" in kind:
            found.append(str(layer.get("name", "")))
            dropped = False
    return found


CHECKS = (
    Check(
        code="G11",
        name="dropout-before-norm",
        question="Does no dropout stand before a batch normalisation, whose statistics it would spoil?",
        rule=dropout_before_norm,
        when="after",
        cause="Dropped and rescaled units vary more in training than in evaluation; the norm learned from the former.",
        remedy="Put dropout behind the last normalisation, or leave one of both out.",
        thresholds={"strong": STRONG, "shift": SHIFT},
        treatments=("less-dropout", "recompute-norms"),
        reads=("modes",),
    ),
)
