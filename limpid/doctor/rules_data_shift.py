"""Are validation and test rows of the kind that training rows are, and prepared alike? D12, D13."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.numbers import finite

APART = Threshold(0.65, "AUC of a classifier of the two sets", "USERS.md D12", "certain with the p value beside it")
CHANCE = Threshold(
    1e-3, "p value", "ours: USERS.md has 0.01, which is wrong once in a hundred runs", "exact for independent rows"
)
MOVED = Threshold(0.2, "largest difference of distribution functions of one feature", "ours", "a guess")
UNDONE = Threshold(
    0.5,
    "share of AUC - 1/2 that is left when a change is undone",
    "ours: 0.0 to 0.2 on turned digits and photographs",
    "-",
)
FACTOR = Threshold(1.5, "ratio of standard deviations common to all features", "ours", "a brighter camera has as much")
ALIKE = 0.03  # AUC; differences of this size say nothing
SETS = {"shift": "validation", "shift_test": "test", "shift_test_check": "test"}


def shift(evidence: Evidence) -> Verdict | None:
    """Whether a classifier tells the sets apart, and what undoes the difference."""
    probes = {name: probe for name in SETS if (probe := evidence.probe(name)) is not None}
    if not probes:
        return None
    statistics: dict[str, Any] = {}
    findings = []
    for name, probe in probes.items():
        statistics[name] = {key: probe.get(key) for key in ("auc", "p", "n")}
        found = _shift(evidence, SETS[name], probe)
        if found is not None and not _scaled(probe):
            findings.append(found)
        findings += _unseen(SETS[name], probe)
    return Verdict(statistics, tuple(findings))


def preparation(evidence: Evidence) -> Verdict | None:
    """Whether the sets differ by a scale alone."""
    probes = {name: probe for name in SETS if (probe := evidence.probe(name)) is not None and probe.get("scaled")}
    if not probes:
        return None
    statistics: dict[str, Any] = {}
    findings = []
    for name, probe in probes.items():
        scaled = probe["scaled"]
        statistics[name] = dict(scaled)
        text = _scaled(probe)
        if not text or not (_established(probe) or _feature_moved(probe)):
            continue
        factor = finite(scaled.get("factor")) or 1.0
        findings.append(
            Finding(
                level="warning",
                symptom=f"The {SETS[name]} inputs are on another scale than the training inputs: {text}.",
                value=factor,
                threshold=FACTOR.value,
                where=SETS[name],
                n=_smaller(probe),
            )
        )
    return Verdict(statistics, tuple(findings))


def _shift(evidence: Evidence, which: str, probe: Mapping[str, Any]) -> Finding | None:
    auc, p, n = finite(probe.get("auc")), finite(probe.get("p")), _smaller(probe)
    features = [row for row in probe.get("features") or () if finite(row.get("distance")) is not None]
    if auc is None or p is None:
        return None
    moved = _feature_moved(probe)
    if not _established(probe) and moved is None:
        return None
    change = _change(probe, auc)
    if change is not None:
        name, left = change
        symptom = f"The {which} images look {name}: undoing that brings the AUC of telling them from training images "
        symptom += f"from {auc:.2f} to {left:.2f}."
    elif moved is not None and not _established(probe):
        symptom = f"{moved['name']!r} of the {which} rows is distributed otherwise than in training: mean "
        symptom += f"{moved.get('mean_other', math.nan):.3g} there, {moved.get('mean', math.nan):.3g} here."
    else:
        symptom = f"A classifier tells {which} rows from training rows: AUC {auc:.2f}{_brightness(probe)}."
        if features and evidence.spec.get("kind") != "image":
            first = features[0]
            symptom = symptom[:-1] + f", {first['name']!r} differs most."
    expected = which == "validation" and evidence.option("data.split", "random") != "random"
    bars = features[:6]
    return Finding(
        level="note" if expected else "warning",
        symptom=symptom,
        value=auc,
        threshold=APART.value,
        where=which,
        n=n,
        sure="confirmed" if change is not None else "established",
        picture=Picture(
            "largest difference of the distribution functions of each feature",
            {"difference": tuple(row["distance"] for row in bars)},
            tuple(str(row.get("name")) for row in bars),
            "feature",
            MOVED.value,
        )
        if bars
        else None,
        cause="The files were turned or stored otherwise than the training files." if change is not None else "",
        remedy="Prepare them as the training images were, or train on such images too (augment)."
        if change is not None
        else "",
        treatments=("augment",) if change is not None else (),
    )


def _brightness(probe: Mapping[str, Any]) -> str:
    """In words, if images differ in their mean brightness by half its deviation or more."""
    mean, other, std = (finite((probe.get("brightness") or {}).get(key)) for key in ("mean", "mean_other", "std"))
    if mean is None or other is None or std is None or abs(other - mean) < 0.5 * std:
        return ""
    return f"; their mean brightness is {other:.2f}, that of training images {mean:.2f}"


def _unseen(which: str, probe: Mapping[str, Any]) -> list[Finding]:
    unseen = {str(name): share for name, share in (probe.get("unseen") or {}).items() if finite(share)}
    if not unseen:
        return []
    worst = max(unseen, key=lambda name: unseen[name])
    return [
        Finding(
            level="note",
            symptom=f"{unseen[worst]:.1%} of the {which} rows have a value of {worst!r} that training does not have.",
            value=unseen[worst],
            threshold=0.0,
            where=f"{which}, {worst}",
            n=_smaller(probe),
            cause="The value is rare, or new.",
            remedy="It is read as unknown. Collect rows that have it, or merge rare values.",
        )
    ]


def _established(probe: Mapping[str, Any]) -> bool:
    auc, p = finite(probe.get("auc")), finite(probe.get("p"))
    return auc is not None and p is not None and auc > APART.value and p < CHANCE.value


def _feature_moved(probe: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The feature that differs most, if it does so by more than the number of features allows."""
    num = max(1.0, finite(probe.get("num_features")) or 1.0)
    for row in probe.get("features") or ():
        gap, p = finite(row.get("distance")), finite(row.get("p"))
        if gap is not None and p is not None and gap > MOVED.value and p * num < CHANCE.value:
            return row  # type: ignore[no-any-return]
    return None


def _change(probe: Mapping[str, Any], auc: float) -> tuple[str, float] | None:
    left = {str(name): value for name, value in (probe.get("change") or {}).items() if finite(value) is not None}
    if not left or not _established(probe):
        return None
    least = min(left.values())
    if max(least - 0.5, 0.0) > UNDONE.value * (auc - 0.5):
        return None
    # a turn and a mirror image are the same to pictures that have no left and right; files are turned more often
    alike = sorted((name for name in left if left[name] <= least + ALIKE), key=lambda name: left[name])
    alike.sort(key=lambda name: not name.startswith("turned"))
    return ", or ".join(alike[:3]), left[alike[0]]


def _scaled(probe: Mapping[str, Any]) -> str:
    """In words how the second set's scale differs from training's, or nothing."""
    scaled = probe.get("scaled")
    if not isinstance(scaled, Mapping):
        return ""
    factor, unit = finite(scaled.get("factor")), list(scaled.get("unit") or ())
    if factor is None or factor <= 0 or len(unit) != 2 or abs(math.log(factor)) < math.log(FACTOR.value):
        return ""
    if unit[0] and not unit[1]:
        return "training rows have mean 0 and standard deviation 1, these do not"
    if unit[1] and not unit[0]:
        return "these have mean 0 and standard deviation 1, training rows do not"
    if scaled.get("common") and (finite(scaled.get("num_features")) or 0) > 1:
        return f"all features are multiplied by {factor:.3g}"
    return ""


def _smaller(probe: Mapping[str, Any]) -> int | None:
    sizes = [int(n) for n in probe.get("n") or () if finite(n) is not None]
    return min(sizes, default=None)


CHECKS = (
    Check(
        code="D12",
        name="shift",
        question="Are validation and test rows of the kind that training rows are?",
        rule=shift,
        when="before",
        cause="The sets were collected, prepared or sorted differently.",
        remedy="Split at random where new data will be like the old; else collect training rows like the new ones.",
        thresholds={"apart": APART, "chance": CHANCE, "moved": MOVED, "undone": UNDONE},
        treatments=("shuffle", "augment"),
        explains=("G02", "G03", "G08", "G15"),
        reads=("shift", "shift_test", "shift_test_check"),
    ),
    Check(
        code="D13",
        name="unequal-preparation",
        question="Were training, validation and test inputs scaled alike?",
        rule=preparation,
        when="before",
        cause="One of the sets was normalised, or divided, and the other was not.",
        remedy="Hand both over raw: the network scales what it gets with the statistics of training.",
        thresholds={"factor": FACTOR, "apart": APART, "chance": CHANCE},
        explains=("D01", "D12", "G02", "G03", "G08", "G15"),
        reads=("shift", "shift_test", "shift_test_check"),
    ),
)
