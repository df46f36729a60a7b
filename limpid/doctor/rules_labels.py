"""Are the labels right, and do they belong to the inputs at all? D06, D07."""

from __future__ import annotations

import math
import statistics as statistics_of
from collections.abc import Iterable, Mapping
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.numbers import number

SOME = Threshold(0.03, "share of the labels", "ours (USERS D06): note", "errors of 1 to 6 % are usual in public sets")
MANY = Threshold(
    0.08,
    "share of the labels",
    "ours (USERS D06): warning",
    "planted 5 % was estimated as 4.6 to 5.6 %, 10 % as 9 to 12 %",
)
SURELY = Threshold(0.03, "lower end of the share's interval", "ours", "depends on the number of rows")
LABELS = Threshold(
    500.0,
    "rows",
    "ours: with 400 rows and weak relations 2 of 8 clean sets looked level, with 800 none of 48",
    "below it is a note",
)
TWO_CLASSES = Threshold(
    1000.0,
    "rows",
    "ours: of two weakly related classes 6 of 24 clean sets of 600 rows looked level",
    "models that overfit few rows rank them badly, so that overlap does not show",
)
LEARNED = Threshold(
    0.6,
    "estimated share of wrong labels / share of rows outside the commonest class",
    "ours: rows with labels at random reach 1",
    "more wrong labels than that look like labels at random, and are D07's",
)
BOTH_WAYS = Threshold(
    0.25,
    "disagreement of the best class / that of all, among the surest rows of two classes",
    "ours: accidents hit both classes; of a class that is hard to foretell one side only is wrong",
    "labels that are wrong in one class only are overlooked",
)
SIGNAL = Threshold(
    3.5,
    "deviations of permuted labels",
    "ours: of 100 shuffled sets the largest of both scores was 2.8, of AUC 0.6 with 1,200 rows it is 8",
    "relations that neither neighbours nor a linear map see, such as parity, look like none",
)
ENOUGH = Threshold(200.0, "rows", "ours", "below, weak relations are lost in chance")
CHANCE = Threshold(2.0, "standard errors of the usual validation score", "USERS D07: 2 SE", "one validation split")
FALLEN = 0.8  # of the first epoch's training loss
STANDS_OUT = 4.0  # times an even share of the wrong labels, from which a pair of classes is named
HALFWAY = Threshold(0.3, "share of the epochs", "ours", "slow starts look like no learning")


def wrong_labels(evidence: Evidence) -> Verdict | None:
    """Share of labels that models which have not seen them hold to be wrong, where it is level over the surest rows."""
    probe = evidence.probe("label_noise_after") or evidence.probe("label_noise")
    share, low, high = (number((probe or {}).get(key)) for key in ("share", "low", "high"))
    if probe is None or not math.isfinite(share):
        return None
    statistics = {
        key: probe.get(key) for key in ("share", "low", "high", "level", "joint_share", "sided", "minority", "rows")
    }
    if not believable(probe) or share <= SOME.value or low <= SOME.value / 2:
        return Verdict(statistics)
    table = evidence.spec.get("kind") == "table"  # there, no model can tell chance in the world from wrong labels
    grave = share > MANY.value and low > SURELY.value and not table
    grave = grave and enough_labels(probe)
    bands = [number(value) for value in probe.get("bands") or ()]
    picture = Picture(
        "share of rows whose label is not the predicted one, by sureness of the prediction",
        {"disagreement": tuple(bands)},
        ("surest quarter", "second", "third", "last")[: len(bands)],
        x_title="rows",
        limit=SOME.value,
    )
    finding = Finding(
        level="warning" if grave else "note",
        symptom=f"About {share:.1%} of the labels are probably wrong (95 % interval {low:.1%} to {high:.1%})"
        + (", or depend on something that the columns do not say." if table else f"{_pairs(probe)}."),
        value=share,
        threshold=MANY.value if grave else SOME.value,
        where="labels",
        n=probe.get("rows"),
        picture=picture if bands and all(map(math.isfinite, bands)) else None,
        rows=tuple(map(str, probe.get("examples") or ())),
    )
    return Verdict(statistics, (finding,))


def believable(noise: Mapping[str, Any]) -> bool:
    """Whether an estimate of label noise can be told from classes that overlap, models that are too weak for the data,
    and a class that is hard to foretell."""
    share, minority, sided = (number(noise.get(key)) for key in ("share", "minority", "sided"))
    learned = share <= LEARNED.value * minority
    return bool(noise.get("level")) and learned and (noise.get("classes") != 2 or sided >= BOTH_WAYS.value)


def enough_labels(noise: Mapping[str, Any]) -> bool:
    """Whether there were rows enough to see overlapping classes as such."""
    return number(noise.get("rows")) >= (TWO_CLASSES if noise.get("classes") == 2 else LABELS).value


def unrelated_labels(evidence: Evidence) -> Verdict | None:
    """Deviations by which neighbours and a linear map do better with the labels as they are than with shuffled ones;
    for data other than rows of features the validation score has its say too."""
    probe = evidence.probe("label_signal")
    near, linear = (number((probe or {}).get(key)) for key in ("near_z", "linear_z"))
    if probe is None or not (math.isfinite(near) and math.isfinite(linear)):
        return None
    statistics: dict[str, Any] = {"near_z": near, "linear_z": linear, "rows": probe.get("rows")}
    learned, memorised = _above_chance(evidence), _memorised(evidence)
    if learned is not None:
        statistics |= {"score_above_chance": learned, "loss_fallen": memorised}
    unseen = max(near, linear) < SIGNAL.value and number(probe.get("rows")) >= ENOUGH.value
    flat = evidence.spec.get("kind") in ("table", "vector")
    useless = learned is not None and learned <= CHANCE.value and (flat or memorised)
    if not unseen or not (useless or (flat and learned is None)):
        return Verdict(statistics)
    finding = Finding(
        level="warning",
        symptom=f"The targets have nothing to do with the inputs: neighbours and a linear map tell them no better than "
        f"in shuffled order ({max(near, linear, 0.0):.1f} deviations)"
        + (", and the network's validation score is chance." if useless else "."),
        value=max(near, linear),
        threshold=SIGNAL.value,
        where="labels",
        n=probe.get("rows"),
    )
    return Verdict(statistics, (finding,))


def _above_chance(evidence: Evidence) -> float | None:
    """Standard errors by which the validation score lies above that of knowing nothing, by the median over the later
    half of the epochs so far; None in warm-up. The best of many epochs is above chance by luck alone."""
    done = [epoch for epoch in evidence.epochs if epoch.valid is not None]
    plan = evidence.probe("plan") or {}
    planned, size = number(plan.get("num_epochs")), number(evidence.spec.get("num_valid"))
    if len(done) < 2 or not size >= 20 or (len(done) < HALFWAY.value * planned and evidence.ended is None):
        return None
    rows: list[Mapping[str, Any]] = [epoch.valid for epoch in done[len(done) // 2 :] if epoch.valid is not None]
    counts = evidence.spec.get("class_counts") or ()
    if evidence.task in ("classification", "binary") and counts:
        chance = max(counts) / max(1, sum(counts))
        usual = _median(row.get("accuracy") for row in rows)
        error = math.sqrt(max(chance * (1 - chance), 1e-9) / size)
        return None if usual is None else (usual - chance) / error
    usual = _median(row.get("r2") for row in rows)
    return None if usual is None else usual / (2 / math.sqrt(size))


def _median(values: Iterable[Any]) -> float | None:
    """The median of those that are finite numbers; None of none."""
    known = [value for value in map(number, values) if math.isfinite(value)]
    return statistics_of.median(known) if known else None


def _memorised(evidence: Evidence) -> bool:
    """Whether the training loss has fallen markedly, so that a score of chance is not for want of learning."""
    losses = [epoch.loss for epoch in evidence.epochs if math.isfinite(epoch.loss)]
    return len(losses) > 1 and losses[-1] < FALLEN * losses[0]


def _pairs(probe: Mapping[str, Any]) -> str:
    """The commonest confusion, where it is far commoner than an even spread over all pairs would make it."""
    pairs, share = probe.get("pairs") or (), number(probe.get("joint_share"))
    classes = number(probe.get("classes"))
    if not pairs or not classes > 2 or not isinstance(pairs[0], list | tuple) or len(pairs[0]) != 3:
        return ""
    given, probable, part = pairs[0]
    if not number(part) > STANDS_OUT * share / (classes * (classes - 1)):
        return ""
    return f", most often {given!r} where {probable!r} is likelier"


CHECKS = (
    Check(
        code="D06",
        name="label-noise",
        question="Are the labels right?",
        rule=wrong_labels,
        when="before",
        cause="Rows were labelled by mistake, by several people by different rules, or by a rule of thumb.",
        remedy="Look at the rows by `limpid audit`, correct or drop them, and train with data.corrections. If they "
        "must stay: label smoothing, a robust loss, early stopping.",
        thresholds={
            "some": SOME,
            "many": MANY,
            "surely": SURELY,
            "labels": LABELS,
            "two_classes": TWO_CLASSES,
            "learned": LEARNED,
            "both_ways": BOTH_WAYS,
        },
        treatments=("drop-rows", "smoothing", "early-stop"),
        explains=("G02", "G10"),
        reads=("label_noise", "label_noise_after"),
    ),
    Check(
        code="D07",
        name="unrelated-labels",
        question="Have the targets anything to do with the inputs?",
        rule=unrelated_labels,
        when="before",
        cause="Inputs and targets were put together in different orders: one list was sorted or shuffled and the other "
        "not, or they were joined by the wrong key. Or the inputs hold nothing about the target.",
        remedy="Look at ten rows with their targets, mend the join, and check the order of both lists.",
        thresholds={"signal": SIGNAL, "enough": ENOUGH, "chance": CHANCE, "halfway": HALFWAY},
        explains=("D06", "G02", "G10", "G15"),
        reads=("label_signal", "plan"),
    ),
)
