"""Are the answers as sure as they are right, and right for every class and group? G07, G08."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

from limpid.doctor.calibration import Calibration, calibration_of
from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.numbers import finite

OFF = Threshold(0.015, "calibration error beyond its noise", "ours; USERS: an error of 0.05 in all", "on the bins")
FAR_OFF = Threshold(0.1, "calibration error beyond its noise", "ours: what a user of probabilities would notice", "-")
TEMPERATURE = Threshold(0.2, "|ln T|", "USERS G07", "-")
SURE = Threshold(
    3.0,
    "deviations of the Brier score from what the probabilities expect",
    "ours; a fall of the log loss by 2 standard errors (USERS G07) misses half of them: few rows make that fall",
    "-",
)
LEAST_ROWS = 300  # below, calibration cannot be told (USERS G07)
LEVEL = Threshold(0.01, "probability of one false alarm over all groups, Bonferroni", "USERS G08", "-")
DROP = Threshold(0.2, "share by which the group's answers are worse", "deepchecks", "some groups are harder: a note")
FAILS = Threshold(0.4, "share by which the group's answers are worse", "ours: half of what labels at random cost", "-")
GROUP_ROWS = 30
RARE = 0.5  # of the rows that a class would have if all were alike
Z = 1.96


def calibrated(evidence: Evidence) -> Verdict | None:
    """Expected calibration error; the excess of the Brier score over what the probabilities expect; and whether the
    best temperature saves log loss on rows it was not fitted to."""
    arrays = evidence.predictions or {}
    if evidence.task not in ("classification", "binary") or "probabilities" not in arrays or "target" not in arrays:
        return None
    found = calibration_of(arrays["probabilities"], arrays["target"])
    if found is None:
        return None
    statistics = {
        "error": found.error,
        "noise": found.noise,
        "temperature": found.temperature,
        "z": found.z,
        "gain": found.gain,
        "gain_se": found.gain_se,
        "brier": found.brier,
        "n": found.n,
        "enough_rows": found.n >= LEAST_ROWS,
    }
    beyond = found.error - found.noise
    certain = abs(found.z) > SURE.value and found.gain > 0 and abs(math.log(found.temperature)) > TEMPERATURE.value
    if found.n < LEAST_ROWS or beyond <= OFF.value or not certain:
        return Verdict(statistics)
    too_sure = found.temperature > 1
    finding = Finding(
        level="warning" if too_sure and beyond > FAR_OFF.value else "note",
        symptom=f"Its probabilities are off by {100 * found.error:.1f} points: it is too "
        f"{'sure' if too_sure else 'modest'}, and dividing its logits by {found.temperature:.2f} would mend it.",
        value=beyond,
        threshold=OFF.value,
        n=found.n,
        cause="" if too_sure else "Label smoothing, mixing of samples or dropout hold its probabilities back.",
        picture=_reliability(found),
    )
    return Verdict(statistics, (finding,))


def every_group(evidence: Evidence) -> Verdict | None:
    """Error of each class (on the predicted split) and of each slice (on validation rows) beside that of the rest."""
    classes, slices = _classes(evidence), _slices(evidence)
    groups = [*classes, *slices]
    if not groups:
        return None
    examined = len(classes) + max(len(slices), int(finite((evidence.probe("slices") or {}).get("examined")) or 0))
    limit = NormalDist().inv_cdf(1 - LEVEL.value / max(examined, 1))
    for group in groups:
        group["z"] = (group["error"] - group["rest"]) / max(group["se"], 1e-9)
    groups.sort(key=lambda group: -group["z"])
    worst = groups[0]
    statistics = {
        "examined": examined,
        "worst": worst["name"],
        "error": worst["error"],
        "rest": worst["rest"],
        "z": worst["z"],
        "limit": limit,
    }
    failing = [g for g in groups if g["z"] > limit and _drop(g) > DROP.value and g["n"] >= GROUP_ROWS]
    if not failing:
        return Verdict(statistics)
    shown = failing[0]
    others = ", ".join(group["name"] for group in failing[1:4])
    other = f" ({len(failing) - 1} more like it: {others})" if others else ""
    finding = Finding(
        level="warning" if shown["kind"] == "share" and _drop(shown) > FAILS.value else "note",
        symptom=f"{_told(shown)}{other}.",
        value=shown["z"],
        threshold=limit,
        where=shown["name"],
        n=shown["n"],
        picture=Picture(
            "error by group", {"error": tuple(g["error"] for g in groups[:8])}, tuple(g["name"] for g in groups[:8]), ""
        ),
    )
    return Verdict(statistics, (finding,))


def _told(group: Mapping[str, Any]) -> str:
    """The error of a group beside that of the other rows."""
    if group["kind"] == "squares":
        return (
            f"The squared error of its {group['n']} rows is {group['error']:.3g} of the target's variance, that of the "
            f"others {group['rest']:.3g}"
        )
    return (
        f"{group['error']:.0%} of the answers for its {group['n']} rows are wrong, {group['rest']:.0%} for the others"
    )


def _drop(group: Mapping[str, Any]) -> float:
    """By how much of the others' right answers the group has fewer; for numbers, whose errors have no ceiling, by how
    much its error is larger."""
    if group["kind"] != "squares":
        return float((group["error"] - group["rest"]) / max(1 - group["rest"], 1e-9))
    return float(group["error"] / max(group["rest"], 1e-12) - 1)


def _classes(evidence: Evidence) -> list[dict[str, Any]]:
    arrays = evidence.predictions or {}
    if evidence.task not in ("classification", "binary") or "prediction" not in arrays or "target" not in arrays:
        return []
    import numpy as np

    truth, guess = np.asarray(arrays["target"]).reshape(-1), np.asarray(arrays["prediction"]).reshape(-1)
    if len(truth) != len(guess):
        return []
    names = list(evidence.spec.get("classes") or ())
    groups = []
    for code in np.unique(truth):
        inside = truth == code
        n, rest = int(inside.sum()), int((~inside).sum())
        if n < GROUP_ROWS or rest < GROUP_ROWS:
            continue
        errors, others = float((guess != truth)[inside].mean()), float((guess != truth)[~inside].mean())
        pooled = float((guess != truth).mean())
        name = str(names[int(code)]) if 0 <= int(code) < len(names) else str(int(code))
        se = math.sqrt(max(pooled * (1 - pooled), 1e-6) * (1 / n + 1 / rest))
        rare = n < RARE * len(truth) / len(np.unique(truth))  # a rare class is answered worse: D05 is there for that
        groups.append(_group(f"class {name}", n, errors, others, se, "rare" if rare else "share"))
    return groups


def _slices(evidence: Evidence) -> list[dict[str, Any]]:
    probe = evidence.probe("slices") or {}
    kind = "share" if evidence.task != "regression" else "squares"
    groups = []
    for row in probe.get("slices") or ():
        error, rest, se = (finite(row.get(key)) for key in ("error", "rest", "se"))
        if error is None or rest is None or se is None:
            continue
        n = int(finite(row.get("n")) or 0)
        if kind == "share":  # a slice without a single error has no spread of its own
            pooled = max((error + rest) / 2 * (1 - (error + rest) / 2), 1e-6)
            se = max(se, math.sqrt(pooled / max(n, 1)))
        groups.append(_group(str(row.get("name", "")), n, error, rest, se, kind))
    return groups


def _group(name: str, n: int, error: float, rest: float, se: float, kind: str) -> dict[str, Any]:
    return {"name": name, "n": n, "error": error, "rest": rest, "se": se, "kind": kind}


def _reliability(found: Calibration) -> Picture:
    sure, right = zip(*found.bins, strict=True)
    return Picture("share right by confidence", {"right": right, "calibrated": sure}, sure, "confidence")


CHECKS = (
    Check(
        code="G07",
        name="mis-calibrated",
        question="Is the network right as often as its probabilities say?",
        rule=calibrated,
        when="after",
        cause="It went on growing surer of rows that it already answered right.",
        remedy="Divide the logits by the temperature that is named, average several networks, or smooth the labels.",
        thresholds={"off": OFF, "far_off": FAR_OFF, "temperature": TEMPERATURE, "sure": SURE},
        treatments=("smoothing", "early-stop", "more-decay"),
    ),
    Check(
        code="G08",
        name="group-fails",
        question="Is every class and every group answered about as well as the rest?",
        rule=every_group,
        when="after",
        cause="The group is rare, its labels are noisy, or what tells it apart is not among the inputs.",
        remedy="Look at its rows, collect more of them, or give them more weight.",
        thresholds={"level": LEVEL, "drop": DROP, "fails": FAILS},
        treatments=("class-weights",),
        reads=("slices",),
    ),
)
