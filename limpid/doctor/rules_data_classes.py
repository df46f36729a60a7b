"""Are classes balanced, and rows enough to judge by? D05, D15."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.fit_figures import share_estimate
from limpid.doctor.numbers import finite

RATIO = Threshold(10.0, "largest class / smallest class", "SageMaker Debugger; deepchecks has 0.1", "harmless alone")
WEAK = Threshold(0.5, "recall of a class / best recall", "USERS.md D05", "certain where its interval lies below")
HALF_WIDTH = Threshold(0.12, "half of the 95 % interval of accuracy", "ours: 15 of 15 right have 0.10", "a convention")
SOON = Threshold(0.1, "half of the widest 95 % interval of accuracy", "USERS.md D15", "a convention")


def imbalance(evidence: Evidence) -> Verdict | None:
    """Shares of the classes, and with predictions how much of each class is found."""
    counts = [float(count) for count in evidence.spec.get("class_counts") or () if finite(count) is not None]
    if evidence.task not in ("classification", "binary") or len(counts) < 2 or min(counts) <= 0:
        return None
    share = np.array(counts) / sum(counts)
    perplexity = (math.exp(-float((share * np.log(share)).sum())) - 1.0) / (len(counts) - 1)
    ratio = max(counts) / min(counts)
    names = [str(name) for name in evidence.spec.get("classes") or range(len(counts))]
    statistics: dict[str, Any] = {"ratio": ratio, "perplexity": perplexity}
    recalls = _recalls(evidence, len(counts))
    if recalls is not None:
        statistics |= {"recalls": {names[k]: hits / n for k, (hits, n) in recalls.items()}}
    if ratio <= RATIO.value:
        return Verdict(statistics)
    rarest = int(np.argmin(counts))
    findings = [
        Finding(
            level="note",
            symptom=f"The largest class has {ratio:.3g} times as many rows as {names[rarest]!r} "
            f"({counts[rarest]:.0f}).",
            value=ratio,
            threshold=RATIO.value,
            n=int(sum(counts)),
            picture=Picture("rows of each class", {"rows": tuple(counts[:20])}, tuple(names[:20]), "class"),
            remedy="Judge by balanced_accuracy or macro_f1, not by accuracy.",
        )
    ]
    if recalls is not None and len(recalls) > 1:
        best = max(hits / n for hits, n in recalls.values())
        limit = WEAK.value * best
        rare = [k for k in recalls if share[k] < 1.0 / len(counts)]
        weak = [k for k in rare if share_estimate(recalls[k][0] / recalls[k][1], recalls[k][1]).high < limit]
        if weak:
            worst = min(weak, key=lambda k: recalls[k][0] / recalls[k][1])
            hits, n = recalls[worst]
            findings = [
                Finding(
                    level="warning",
                    symptom=f"{hits / n:.0%} of {names[worst]!r} are found, {best:.0%} of the best class; the largest "
                    f"class has {ratio:.3g} times as many rows as the smallest.",
                    value=hits / n / best,
                    threshold=WEAK.value,
                    where=names[worst],
                    n=n,
                    picture=Picture(
                        "share of each class that is found",
                        {"recall": tuple(recalls[k][0] / recalls[k][1] for k in list(recalls)[:20])},
                        tuple(names[k] for k in list(recalls)[:20]),
                        "class",
                        limit,
                    ),
                )
            ]
    return Verdict(statistics, tuple(findings))


def enough_rows(evidence: Evidence) -> Verdict | None:
    """How wide the interval of the score is, or will be at most."""
    num_valid, num_test = (int(finite(evidence.spec.get(f"num_{part}")) or 0) for part in ("valid", "test"))
    num_train = int(finite(evidence.spec.get("num_train")) or 0)
    if not num_train:
        return None
    smallest = min((n for n in (num_valid, num_test) if n), default=0)
    statistics: dict[str, Any] = {"train": num_train, "valid": num_valid, "test": num_test}
    classes = evidence.task in ("classification", "binary")
    result = evidence.result or {}
    score = str(result.get("score", ""))
    interval = (result.get("interval") or {}).get(score)
    ends = [finite(end) for end in interval] if isinstance(interval, list | tuple) and len(interval) == 2 else []
    n = int(finite(result.get("n")) or 0)
    if len(ends) == 2 and ends[0] is not None and ends[1] is not None and n:
        half = (ends[1] - ends[0]) / 2
        statistics["half_width"] = half
        if not classes or score != "accuracy" or half <= HALF_WIDTH.value:
            return Verdict(statistics)
        got = finite(result.get(score))
        finding = Finding(
            level="warning",
            symptom=f"The score of {'?' if got is None else f'{got:.0%}'} rests on {n} rows: it may be anything from "
            f"{ends[0]:.0%} to {ends[1]:.0%}.",
            value=half,
            threshold=HALF_WIDTH.value,
            where=str(result.get("split", "")),
            n=n,
        )
        return Verdict(statistics, (finding,))
    if not smallest or not classes:
        return Verdict(statistics)
    widest = share_estimate(0.5, smallest)
    half = (widest.high - widest.low) / 2
    statistics["half_width_at_most"] = half
    if half <= SOON.value:
        return Verdict(statistics)
    part = "validation" if smallest == num_valid else "test"
    finding = Finding(
        level="note",
        symptom=f"The {part} split has {smallest} rows: accuracy on it is uncertain by up to {half:.0%} either way.",
        value=half,
        threshold=SOON.value,
        n=smallest,
    )
    return Verdict(statistics, (finding,))


def _recalls(evidence: Evidence, num_classes: int) -> dict[int, tuple[int, int]] | None:
    """(found, rows) of each class with rows among the predictions."""
    arrays = evidence.predictions
    if arrays is None or "target" not in arrays or "prediction" not in arrays:
        return None
    truth, guess = np.asarray(arrays["target"]).reshape(-1), np.asarray(arrays["prediction"]).reshape(-1)
    if len(truth) != len(guess) or not np.isfinite(truth.astype(float)).all():
        return None
    truth = truth.astype(int)
    classes = [k for k in range(num_classes) if (truth == k).any()]
    return {k: (int((guess[truth == k] == k).sum()), int((truth == k).sum())) for k in classes}


CHECKS = (
    Check(
        code="D05",
        name="class-imbalance",
        question="Are classes so unequal that the small ones are not learned?",
        rule=imbalance,
        when="before",
        cause="The loss is a mean over rows, so a rare class hardly moves it.",
        remedy="objective.class_weights=balanced; judge by balanced_accuracy.",
        thresholds={"ratio": RATIO, "weak": WEAK},
        treatments=("class-weights",),
        explains=("G01", "G05", "G08", "G15"),
    ),
    Check(
        code="D15",
        name="few-rows",
        question="Are there enough rows to tell one score from another?",
        rule=enough_rows,
        when="before",
        cause="The split that judges is small.",
        remedy="Train with several seeds and splits before believing a difference, or hold more rows back "
        "(data.valid_share, data.test_share).",
        thresholds={"half_width": HALF_WIDTH, "soon": SOON},
        explains=("G07", "G14", "G15"),
    ),
)
