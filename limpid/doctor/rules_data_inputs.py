"""Are the inputs whole, and of a size that first weights can work with? D01 to D03."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.numbers import finite

HOLES = Threshold(0.05, "share of missing cells", "deepchecks", "harmless where the holes mean nothing")
LATER = Threshold(
    0.05, "share of validation rows", "ours: rare pixels of digits appear in 1 row of 300", "rows of a group may differ"
)
SIZE = Threshold(
    10.0,
    "root mean square of a feature, as the network sees it",
    "USERS.md D02; first weights expect 1",
    "half a guess",
)
OFF_CENTRE = Threshold(3.0, "|mean| / standard deviation", "USERS.md D02", "harmless where the mean itself is below 1")
SPREAD = Threshold(100.0, "ratio of standard deviations of two features", "USERS.md D02", "half a guess")
SPARSE = 0.5  # a feature with one value in so many rows has a small deviation by nature
CONTINUOUS = 16  # different values from which a feature's deviation is held to be its scale
TINY = Threshold(0.02, "largest absolute value, as the network sees it", "ours: bytes divided by 255 twice", "certain")


def holes(evidence: Evidence) -> Verdict | None:
    """Cells that are missing, values that are not finite, columns that never change."""
    probe, columns = evidence.probe("inputs"), _columns(evidence)
    if probe is None and not columns:
        return None
    probe = probe or {}
    num_rows = _rows(evidence)
    missing = {c["name"]: c["missing"] / num_rows for c in columns if c.get("missing") and num_rows}
    dropped = {str(name): str(why) for name, why in _pairs(evidence.header.get("summary"), "dropped")}
    flat = [name for name, why in dropped.items() if why.startswith(("constant", "every cell is missing"))]
    constant = [row for row in probe.get("constant") or () if isinstance(row, Mapping)]
    later = [str(row.get("name")) for row in constant if _comes_alive(row)]
    flat += [str(row.get("name")) for row in constant if not _comes_alive(row)]
    not_finite = finite(probe.get("not_finite")) or 0.0
    statistics = {"missing": missing, "constant": flat, "constant_in_training": later, "not_finite": not_finite}
    findings = []
    if not_finite > 0:
        findings.append(
            Finding(
                level="stop",
                symptom=f"{not_finite:.0f} values of the inputs are NaN or infinite.",
                value=not_finite,
                threshold=0.0,
                n=probe.get("rows"),
                cause="The network's outputs and gradients become NaN with them.",
                remedy="Fill or drop the rows before they reach the network.",
                treatments=("drop-rows",),
            )
        )
    if later and not _is_shifted(evidence):
        findings.append(
            Finding(
                level="warning",
                symptom=f"{_few(later)} has one value in all training rows, and others in the validation rows.",
                value=float(len(later)),
                threshold=0.0,
                where=later[0],
                n=probe.get("rows"),
                cause="The network cannot learn what a column means that never changed; its weights for it are random.",
            )
        )
    most = max(missing, key=lambda name: missing[name], default="")
    if most and missing[most] > HOLES.value:
        many = [name for name, share in missing.items() if share > HOLES.value]
        findings.append(
            Finding(
                level="note",
                symptom=f"{missing[most]:.1%} of the cells of {most!r} are missing; above {HOLES.value:.0%} also in "
                f"{len(many) - 1} other column(s)."
                if len(many) > 1
                else f"{missing[most]:.1%} of the cells of {most!r} are missing.",
                value=missing[most],
                threshold=HOLES.value,
                where=most,
                n=num_rows,
                picture=Picture(
                    "share of missing cells", {"missing": tuple(missing.values())}, tuple(missing), "column"
                ),
                cause="Cells were not recorded, or a join found no partner.",
                remedy="Numbers are filled with the median and get a flag, categories become unknown; ask why the "
                "cells are empty.",
            )
        )
    if flat:
        findings.append(
            Finding(
                level="note",
                symptom=f"{_few(flat)} never change{'s' if len(flat) == 1 else ''} in the training rows.",
                value=float(len(flat)),
                threshold=0.0,
                where=flat[0],
                n=probe.get("rows"),
            )
        )
    return Verdict(statistics, tuple(findings))


def scale(evidence: Evidence) -> Verdict | None:
    """Size, centre and spread of the features behind the network's own scaling."""
    probe = evidence.probe("inputs")
    if probe is None:
        return None
    features = [row for row in probe.get("features") or () if finite(row.get("std")) is not None]
    dense = [row for row in features if _is_dense(row)]
    sizes = {row["name"]: math.hypot(finite(row.get("mean")) or 0.0, row["std"]) for row in features}
    off = {row["name"]: abs(finite(row.get("mean")) or 0.0) / row["std"] for row in dense if row["std"] > 0}
    stds = {row["name"]: row["std"] for row in dense if row["std"] > 0}
    spread = max(stds.values()) / min(stds.values()) if stds else 1.0
    typical = finite(probe.get("typical_std"))
    if stds and typical:
        spread = max(spread, max(stds.values()) / typical, typical / min(stds.values()))
    largest = max(sizes, key=lambda name: sizes[name], default="")
    size = sizes.get(largest, 0.0)
    raw = max((finite(row.get("raw_std")) or 0.0 for row in features), default=0.0)
    centred = {name: value for name, value in off.items() if sizes[name] > 1.0}
    statistics = {"size": size, "off_centre": max(off.values(), default=0.0), "spread": spread, "largest_raw_std": raw}
    statistics["normalised_first"] = float(bool(probe.get("normalised_first")))
    if probe.get("normalised_first"):
        return Verdict(statistics)
    faults = []
    if size > SIZE.value:
        faults.append((f"{largest!r} has values of about {size:.3g}", size / SIZE.value, size, SIZE, largest))
    if spread > SPREAD.value:
        low, high = min(stds, key=lambda name: stds[name]), max(stds, key=lambda name: stds[name])
        text = f"{high!r} varies {stds[high] / stds[low]:.3g} times as much as {low!r}"
        faults.append((text, spread / SPREAD.value, spread, SPREAD, high))
    worst = max(centred, key=lambda name: centred[name], default="")
    if worst and centred[worst] > OFF_CENTRE.value:
        text = f"{worst!r} lies {centred[worst]:.3g} standard deviations off zero"
        faults.append((text, centred[worst] / OFF_CENTRE.value, centred[worst], OFF_CENTRE, worst))
    if not faults:
        return Verdict(statistics)
    text, _, value, threshold, where = max(faults, key=lambda fault: fault[1])
    bars = sorted(features, key=lambda row: -sizes[row["name"]])[:8]
    picture = Picture(
        "size of features as the network sees them",
        {"size": tuple(sizes[row["name"]] for row in bars)},
        tuple(row["name"] for row in bars),
        "feature",
        SIZE.value,
    )
    finding = Finding(
        level="warning",
        symptom=f"The inputs are not normalised: {text} where first weights expect 1.",
        value=value,
        threshold=threshold.value,
        where=where,
        n=probe.get("rows"),
        picture=picture,
    )
    return Verdict(statistics, (finding,))


def flat(evidence: Evidence) -> Verdict | None:
    """Inputs that all but vanish, or are the same in every row."""
    probe = evidence.probe("inputs")
    if probe is None or finite(probe.get("largest")) is None:
        return None
    largest, raw = probe["largest"], finite(probe.get("largest_raw")) or 0.0
    statistics = {"largest": largest, "largest_raw": raw, "equal_rows": float(bool(probe.get("equal_rows")))}
    if probe.get("equal_rows"):
        finding = Finding(
            level="warning",
            symptom=f"All {probe.get('rows')} rows that were looked at are the same.",
            value=1.0,
            threshold=1.0,
            n=probe.get("rows"),
            cause="The rows were overwritten while they were read, or one sample was repeated.",
            remedy="Look at the inputs where they are read.",
        )
        return Verdict(statistics, (finding,))
    if largest >= TINY.value or probe.get("normalised_first"):
        return Verdict(statistics)
    finding = Finding(
        level="warning",
        symptom=f"No input is larger than {largest:.2g}, where first weights expect values of about 1.",
        value=largest,
        threshold=TINY.value,
        n=probe.get("rows"),
    )
    return Verdict(statistics, (finding,))


def _comes_alive(row: Mapping[str, Any]) -> bool:
    """Whether so many validation rows have another value that chance would have put one among the training rows."""
    share, rows = finite(row.get("later")) or 0.0, finite(row.get("rows")) or 0.0
    return rows > 0 and share > max(LATER.value, 7.0 / rows)  # e^-7 = 0.001


def _is_shifted(evidence: Evidence) -> bool:
    """Whether all of the validation rows are of another kind, which D12 says."""
    probe = evidence.probe("shift") or {}
    auc, p = finite(probe.get("auc")), finite(probe.get("p"))
    return auc is not None and p is not None and auc > 0.65 and p < 1e-3


def _is_dense(row: Mapping[str, Any]) -> bool:
    """Whether the deviation of a feature is its scale, rather than how seldom it is on."""
    return (finite(row.get("common")) or 0.0) < SPARSE and (finite(row.get("distinct")) or 0.0) >= CONTINUOUS


def _columns(evidence: Evidence) -> list[Mapping[str, Any]]:
    summary = evidence.header.get("summary")
    columns = summary.get("columns") if isinstance(summary, Mapping) else None
    described = [c for c in columns or () if isinstance(c, Mapping) and c.get("role", "feature") != "target"]
    return [c for c in described if finite(c.get("missing")) is not None and c.get("role") in ("feature", "left out")]


def _rows(evidence: Evidence) -> int:
    return int(finite(evidence.spec.get("num_train")) or 0)


def _pairs(summary: Any, key: str) -> list[tuple[Any, Any]]:
    found = summary.get(key) if isinstance(summary, Mapping) else None
    return [(pair[0], pair[1]) for pair in found or () if isinstance(pair, list | tuple) and len(pair) == 2]


def _few(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


CHECKS = (
    Check(
        code="D01",
        name="holes",
        question="Are there missing or non-finite values, or columns that never change?",
        rule=holes,
        when="before",
        cause="A dead sensor, a failed join, or a column that was parsed wrongly.",
        remedy="Leave the column out (data.drop), or repair it where the table is made.",
        thresholds={"holes": HOLES, "later": LATER},
        treatments=("drop-column",),
        reads=("inputs",),
    ),
    Check(
        code="D02",
        name="input-scale",
        question="Do the features reach the network with sizes near 1?",
        rule=scale,
        when="before",
        cause="Raw numbers of different units reach the first layer; one feature decides the step that all can take.",
        remedy="Standardise with the statistics of the training rows: data.scale=auto, or scale in your own module.",
        thresholds={"size": SIZE, "off_centre": OFF_CENTRE, "spread": SPREAD},
        treatments=("standardise-inputs",),
        explains=(
            "B01",
            "B14",
            "N01",
            "S02",
            "S03",
            "S04",
            "S05",
            "S06",
            "S07",
            "S08",
            "O01",
            "O02",
            "O03",
            "O04",
            "O09",
            "O10",
            "G01",
            "G15",
        ),
        reads=("inputs",),
    ),
    Check(
        code="D03",
        name="flat-input",
        question="Do the inputs differ, and are they large enough to be seen?",
        rule=flat,
        when="before",
        cause="Bytes were divided by 255 twice, or values were normalised by two parts of the pipeline.",
        remedy="Leave one of the two divisions out, or data.scale at auto, which measures the scale.",
        thresholds={"tiny": TINY},
        treatments=("standardise-inputs",),
        explains=("D02", "B14", "S02", "S03", "S07", "O02", "O04", "O10", "G01", "G09", "G15"),
        reads=("inputs",),
    ),
)
