"""Layers by themselves: gradients that are no slopes, and drawings of networks that look wrong. B19, B20."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.numbers import is_number

WRONG = Threshold(1e-2, "relative error of a slope", "CS231n: above 1e-2 the gradient is probably wrong", "kinks")
DROPPED = Threshold(0.5, "share of the units", "UMLAUT", "wide dense layers of 2012 used 0.5 itself")

LINEAR = ("Linear", "Conv1d", "Conv2d", "Conv3d", "Bilinear")
NORMS = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
DROPOUTS = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout")

Layer = Mapping[str, Any]


def wrong_gradient(evidence: Evidence) -> Verdict | None:
    """|n - a| / max(|n|, |a|) of the slope n by central differences and the slope a by backward(), tensor by tensor."""
    probe = evidence.probe("gradient_check")
    errors = {} if probe is None else {k: v for k, v in (probe.get("errors") or {}).items() if is_number(v)}
    if not errors:
        return None
    worst = max(errors.values())
    wrong = [name for name, error in errors.items() if error > WRONG.value]
    statistics = {"worst": worst, "wrong": len(wrong), "tensors": len(errors)}
    if not wrong:
        return Verdict(statistics)
    # A wrong backward() spoils the gradients of everything before it: the last tensor concerned lies nearest.
    where = wrong[-1].rpartition(".")[0] or wrong[-1]
    bars = {"error": tuple(errors.values())}
    picture = Picture("relative error of the slope", bars, tuple(errors), "tensor", WRONG.value)
    finding = Finding(
        level="stop",
        symptom=f"backward() and the slope differ by {worst:.2g} in {len(wrong)} of {len(errors)} tensors.",
        value=worst,
        threshold=WRONG.value,
        where=where,
        n=len(errors),
        sure="confirmed",
        picture=picture,
    )
    return Verdict(statistics, (finding,))


def smells(evidence: Evidence) -> Verdict | None:
    """Things that are seldom meant, as notes: one for each kind, with the layers that show it."""
    probe = evidence.probe("structure")
    if probe is None or not isinstance(probe.get("layers"), list):
        return None
    layers = [layer for layer in probe["layers"] if isinstance(layer, Mapping)]
    found = {text: names for text, names in _kinds(probe, layers) if names}
    findings = tuple(
        Finding(level="note", symptom=text, value=float(len(names)), threshold=0.0, where=", ".join(names[:3]))
        for text, names in found.items()
    )
    return Verdict({"layers": len(layers), "smells": len(found)}, findings)


def _kinds(probe: Mapping[str, Any], layers: list[Layer]) -> list[tuple[str, list[str]]]:
    by_name = {str(layer.get("name")): layer for layer in layers}

    def named(types: tuple[str, ...], smells: Callable[[Layer, Layer], bool]) -> list[str]:
        """Names of the layers of these types that smell, by themselves or beside the layer that they follow."""
        pairs = [(x, by_name.get(str(x.get("after")), {})) for x in layers if x.get("type") in types]
        return [str(layer.get("name")) for layer, before in pairs if smells(layer, before)]

    return [
        (
            "Two layers without anything between them compute what one could.",
            named(("Linear",), lambda _, before: before.get("type") in LINEAR),
        ),
        (
            "A bias before a batch normalisation is subtracted again.",
            named(NORMS, lambda _, before: before.get("type") in LINEAR and bool(before.get("bias"))),
        ),
        (
            "A dropout before a batch normalisation shifts its statistics between training and evaluation.",
            named(NORMS, lambda _, before: before.get("type") in DROPOUTS),
        ),
        (
            f"A dropout of more than {DROPPED.value:g} leaves little to learn from.",
            named(DROPOUTS, lambda layer, _: is_number(layer.get("p")) and layer["p"] > DROPPED.value),
        ),
        (
            "All weights of a layer start equal.",
            named(LINEAR, lambda layer, _: bool(layer.get("constant")) and layer is not layers[-1]),
        ),
        ("Layers are never called.", [str(name) for name in probe.get("unused") or ()]),
        (
            "Layers that keep statistics are called more than once in a pass.",
            [str(name) for name in probe.get("again") or () if by_name.get(str(name), {}).get("type") in NORMS],
        ),
        ("Weight decay pulls at biases or gains.", [str(name) for name in probe.get("decayed") or ()]),
    ]


CHECKS = (
    Check(
        code="B19",
        name="wrong-gradient",
        question="Does backward() give the slope of forward()?",
        rule=wrong_gradient,
        when="before",
        cause="A layer brings its own backward(), and that does not belong to its forward().",
        remedy="Derive it anew and hold it against torch.autograd.gradcheck; what is before that layer learns wrongly.",
        thresholds={"wrong": WRONG},
        explains=("B21", "O01", "O04"),
        reads=("gradient_check",),
    ),
    Check(
        code="B20",
        name="odd-structure",
        question="Does the network look as networks usually do?",
        rule=smells,
        when="before",
        cause="Often a slip when the layers were written down; sometimes meant.",
        remedy="Look whether it is meant; none of it is an error by itself.",
        thresholds={"dropped": DROPPED},
        reads=("structure",),
    ),
)
