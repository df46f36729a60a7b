"""Do different samples still look different inside? S07; and does attention choose? S09."""

from __future__ import annotations

import math

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.layer_readings import hidden, persistent, places_over_time, share_learned, short
from limpid.doctor.numbers import number
from limpid.doctor.rules_signal_units import picture_of

ALIKE = Threshold(0.98, "mean cosine between classes", "USERS.md S07", "ReLU layers start near 0.8")
LEARNED = Threshold(0.1, "of what there is to learn", "a tenth above knowing nothing", "hard tasks learn no more")
ONE_LINE = Threshold(1.2, "participation ratio", "samples on a line have 1", "two classes, or one number, need no more")
HALF = Threshold(0.5, "of what there is to learn", "one direction can order classes, and so learn some", "guess")
STALLED = Threshold(0.25, "of what there is to learn", "calibrated on a Transformer with sharp heads", "few runs")
SLOWED = Threshold(0.7, "of what there is to learn", "clinic, sharp heads: 0.37 to 0.49 learned", "one condition")
HEADS = Threshold(0.8, "share of the heads", "USERS.md S09", "small networks have two heads")
MOST_ON_A_LINE = 3  # classes that a line may hold apart
LAST = 3  # readings in a row


def collapse(evidence: Evidence) -> Verdict | None:
    """Whether samples lie in one direction, or on one line, in the last hidden layer while little is learned."""
    steps: list[int] = []
    cosines: list[float] = []
    ranks: list[float] = []
    where = ""
    for step, places in places_over_time(evidence):
        names = [name for name in hidden(places) if "cosine" in places[name]]
        if names:
            where = names[-1]
            cosine, signal = number(places[where]["cosine"]), number(places[where].get("signal"))
            steps.append(step)
            cosines.append(1.0 if math.isnan(cosine) and signal == 0 else cosine)
            ranks.append(number(places[where].get("rank")))
    learned = share_learned(evidence)
    if len(steps) < LAST or learned is None:
        return None
    statistics = {"cosine": cosines[-1], "rank": ranks[-1], "first": cosines[0], "learned": learned}
    lined = evidence.task == "classification" and persistent([-rank for rank in ranks], -ONE_LINE.value, LAST)
    if persistent(cosines, ALIKE.value, LAST) and learned < LEARNED.value:
        text = f"samples of different classes look alike (mean cosine {cosines[-1]:.3f})"
        course, limit, title = cosines, ALIKE.value, "cosine between classes"
    elif lined and len(evidence.spec.get("classes") or ()) > MOST_ON_A_LINE and learned < HALF.value:
        text = f"all samples lie on one line (participation ratio {ranks[-1]:.2f})"
        course, limit, title = ranks, ONE_LINE.value, "participation ratio"
    else:
        return Verdict(statistics)
    finding = Finding(
        level="warning",
        symptom=f"In {short(where)} {text}: what is behind it can hardly tell them apart.",
        value=course[-1],
        threshold=limit,
        where=short(where),
        step=steps[-LAST],
        picture=picture_of(steps, course, title, limit),
    )
    return Verdict(statistics, (finding,))


def attention(evidence: Evidence) -> Verdict | None:
    """Share of heads that look at a place or two, or at all places alike, while next to nothing is learned."""
    steps: list[int] = []
    shares: dict[str, list[float]] = {"narrow": [], "even": []}
    for step, places in places_over_time(evidence):
        heads = [place for place in places.values() if place.get("kind") == "attention"]
        total = sum(number(place.get("units")) for place in heads)
        if total > 0:
            steps.append(step)
            for key, course in shares.items():
                course.append(sum(number(p.get(key)) * number(p.get("units")) for p in heads) / total)
    learned = share_learned(evidence)
    if len(steps) < LAST or learned is None:
        return None
    statistics = {key: course[-1] for key, course in shares.items()} | {"learned": learned}
    worst = max(shares, key=lambda key: shares[key][-1])
    most_learned = (SLOWED if worst == "narrow" else STALLED).value
    if not (persistent(shares[worst], HEADS.value, LAST) and learned < most_learned):
        return Verdict(statistics)
    what = "look at a place or two" if worst == "narrow" else "look at all places alike"
    finding = Finding(
        level="warning",
        symptom=f"{shares[worst][-1]:.0%} of the attention heads {what}, and {max(learned, 0):.0%} of the loss is "
        "learned away.",
        value=shares[worst][-1],
        threshold=HEADS.value,
        where="attention",
        cause="Queries and keys are too large: softmax gives all to the first among them." if worst == "narrow" else "",
        picture=picture_of(steps, shares[worst], f"share of {worst} heads", HEADS.value),
    )
    return Verdict(statistics, (finding,))


CHECKS = (
    Check(
        code="S07",
        name="collapsed-layer",
        question="Do samples of different classes look different in the last hidden layer?",
        rule=collapse,
        when="during",
        cause="Depth without shortcuts, large steps or much weight decay have mapped all samples to one direction.",
        remedy="Put normalisations or shortcuts between the layers, lower the rate, decay the weights less.",
        thresholds={"alike": ALIKE, "learned": LEARNED, "one_line": ONE_LINE, "half": HALF},
        explains=("O04", "O10", "B14", "G01", "G09", "G15"),
        treatments=("normalise-layers", "lower-rate", "less-decay"),
        reads=("activation", "loss_at_start"),
    ),
    Check(
        code="S09",
        name="stuck-attention",
        question="Does attention choose between places?",
        rule=attention,
        when="during",
        cause="Queries and keys have not begun to differ: their gradient is too small.",
        remedy="Scale the scores by 1/sqrt(D), start queries and keys with Glorot's scale, warm the rate up.",
        thresholds={"heads": HEADS, "slowed": SLOWED, "stalled": STALLED},
        explains=("O04", "G01", "G15"),
        treatments=("warm-up", "lower-rate"),
        reads=("activation", "loss_at_start"),
    ),
)
