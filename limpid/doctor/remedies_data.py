"""Remedies that change what goes in and what is asked for: inputs, targets, classes, columns, rows, images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.doctor.treatment import Patch, Treatment, number, option

SMOOTHING = 0.1
# Strengths of augmentation that are no change at all.
ZERO = ("rotation", "translate", "shear", "stretch", "blur", "noise", "jitter", "mixup", "cutmix")
STILL: dict[str, Any] = {"flip": False, "crop": 0, "scale": 1.0, "cutout": 0} | dict.fromkeys(ZERO, 0.0)


def standardise_inputs(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    if option(evidence, "data.scale") not in ("auto", "standardise"):
        yield {"data.scale": "standardise"}


def standardise_target(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    if evidence.task == "regression" and option(evidence, "objective.standardise") is False:
        yield {"objective.standardise": True}


def class_weights(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    if evidence.task in ("classification", "binary") and option(evidence, "objective.class_weights") is None:
        yield {"objective.class_weights": "balanced"}


def smoothing(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    classes = evidence.task in ("classification", "binary", "multilabel")
    if classes and number(evidence, "objective.label_smoothing") < SMOOTHING:
        yield {"objective.label_smoothing": SMOOTHING}


def less_smoothing(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    now = number(evidence, "objective.label_smoothing")
    for share in (0.0, SMOOTHING):
        if share < now:
            yield {"objective.label_smoothing": share}


def drop_column(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """The columns that the finding names."""
    named = columns_of(evidence, finding)
    if named:
        yield {"data.drop": (*(option(evidence, "data.drop") or ()), *named)}


def columns_of(evidence: Evidence, finding: Finding) -> tuple[str, ...]:
    """The source's columns that stand in `finding.where`: alone, in quotes, or several with commas between them."""
    described = (evidence.header.get("summary") or {}).get("columns") or ()
    known = [str(column.get("name")) for column in described if isinstance(column, dict)]
    known = known or [str(name) for name in evidence.spec.get("feature_names") or ()]
    where = finding.where.strip()
    pieces = [where, where.removeprefix("column ").strip(), *re.findall(r"'([^']*)'", where), *where.split(",")]
    names = dict.fromkeys(piece.strip().strip("'\"") for piece in pieces)
    return tuple(name for name in names if name in known)


def drop_rows(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """The rows that the finding names."""
    if finding.rows:
        before = option(evidence, "data.leave_out") or ()
        yield {"data.leave_out": tuple(dict.fromkeys((*before, *finding.rows)))}


def augment(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """Small shifts and turns; of colour photographs mirrors too."""
    shape = list(evidence.spec.get("input_shape") or [])
    if evidence.spec.get("kind") != "image" or len(shape) != 3:
        return
    crop = max(1, int(shape[-1]) // 8)
    gentle: dict[str, Any] = {"augment.crop": max(crop, int(number(evidence, "augment.crop")))}
    if shape[0] == 3:
        gentle["augment.flip"] = True
    yield gentle
    yield {**gentle, "augment.rotation": 10.0}


def less_augment(evidence: Evidence, finding: Finding) -> Iterator[Patch]:
    """Nothing of it; and everything but the shifts and mirrors."""
    none = {f"augment.{key}": still for key, still in STILL.items()}
    yield none
    yield {path: still for path, still in none.items() if path not in ("augment.flip", "augment.crop")}


TREATMENTS = (
    Treatment(
        name="standardise-inputs",
        what="inputs of mean 0 and deviation 1",
        why="Columns of unlike size make a valley so narrow that one rate cannot fit all weights.",
        source="LeCun et al. 1998, Efficient BackProp",
        doses=standardise_inputs,
    ),
    Treatment(
        name="standardise-target",
        what="a target of mean 0 and deviation 1 while training",
        why="A network starts near 0; a target far from there is reached by the last bias alone, slowly.",
        source="LeCun et al. 1998, Efficient BackProp",
        doses=standardise_target,
    ),
    Treatment(
        name="class-weights",
        what="classes that weigh the same in the loss",
        why="A class of few rows adds so little to the loss that ignoring it costs nothing.",
        source="King & Zeng 2001",
        doses=class_weights,
        figure="balanced_error",
    ),
    Treatment(
        name="smoothing",
        what="a tenth of each label shared among the other classes",
        why="Certainty beyond the evidence is paid for where a label, or the network, is wrong.",
        source="Szegedy et al. 2016 (arXiv 1512.00567)",
        doses=smoothing,
        whole=True,
    ),
    Treatment(
        name="less-smoothing",
        what="labels as they are",
        why="Labels that are mostly shared out hold little of the truth.",
        source="Müller et al. 2019 (arXiv 1906.02629)",
        doses=less_smoothing,
    ),
    Treatment(
        name="drop-column",
        what="a column left out",
        why="What holds the answer is not there when the answer is wanted: the score with it is not to be had.",
        source="Kaufman et al. 2012, Leakage in data mining",
        doses=drop_column,
        honest_for=("D10", "D11", "G05", "G13"),
    ),
    Treatment(
        name="drop-rows",
        what="training rows left out",
        why="Rows with wrong labels, or far outside, teach what is not so.",
        source="Northcutt et al. 2021 (arXiv 1911.00068)",
        doses=drop_rows,
        whole=True,
        figure="error",  # a wrong label of a validation row costs the surer network the more, in log loss
    ),
    Treatment(
        name="augment",
        what="training images shifted and turned a little",
        why="Changes that keep the label show the network what does not matter.",
        source="Simard et al. 2003",
        doses=augment,
        whole=True,
    ),
    Treatment(
        name="less-augment",
        what="training images as they are",
        why="Changes that do not keep the label teach what is not so.",
        source="Cubuk et al. 2019 (arXiv 1805.09501), on how strengths harm",
        doses=less_augment,
    ),
)
BY_HAND = (
    Treatment(
        name="recompute-norms",
        what="statistics of the normalisations measured again",
        why="Running means that lag behind the weights are wrong at prediction.",
        source="Izmailov et al. 2018 (arXiv 1803.05407)",
        by_hand="it changes buffers of a trained network, not how one is trained",
    ),
    Treatment(
        name="shuffle",
        what="training rows in a new order each epoch",
        why="Rows sorted by class let each batch undo the last.",
        source="Bottou 2012",
        by_hand="training here always shuffles; in a loop of your own, shuffle the loader",
    ),
    Treatment(
        name="remove-softmax",
        what="outputs without a softmax of their own",
        why="The losses here take logits; a softmax before them flattens the gradient.",
        source="Bridle 1990",
        by_hand="it stands in the code of your module",
    ),
)
