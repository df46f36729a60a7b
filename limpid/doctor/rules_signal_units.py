"""Are the hidden units alive and unsaturated? S05, S06."""

from __future__ import annotations

import math
from collections.abc import Sequence

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.layer_readings import hidden, persistent, places_over_time, share_learned, short
from limpid.doctor.numbers import number

MANY_DEAD = Threshold(0.5, "share of a layer's units", "SMD; CS231n has 0.4", "over-sized layers live with it")
SOME_DEAD = Threshold(0.2, "share of a layer's units", "USERS.md S05", "seldom matters by itself")
LEARNED = Threshold(0.5, "of what there is to learn", "above, dead units do little harm", "a hard rest may need them")
SATURATED = Threshold(0.5, "share of a layer's units", "USERS.md S06", "gates may be switches")
LAST = 2  # readings in a row


def dead_units(evidence: Evidence) -> Verdict | None:
    """Share of a rectifier's units that are zero for every probe row, in the two latest passes."""
    courses = courses_of(evidence, "dead")
    if not courses:
        return None
    where = max(courses, key=lambda name: min(courses[name][1][-LAST:]))
    steps, shares = courses[where]
    statistics = {"dead": min(shares[-LAST:]), "first": shares[0], "layers": len(courses)}
    if not persistent(shares, SOME_DEAD.value, LAST):
        return Verdict(statistics)
    # A network that learns all the same has more units than it needs.
    learned = share_learned(evidence)
    harm = learned is not None and learned < LEARNED.value
    grave = persistent(shares, MANY_DEAD.value, LAST) and harm
    limit = MANY_DEAD.value if grave else SOME_DEAD.value
    born = shares[0] > limit
    since = next(step for i, step in enumerate(steps) if all(share > limit for share in shares[i:]))
    finding = Finding(
        level="warning" if grave else "note",
        symptom=f"{shares[-1]:.0%} of the units of {short(where)} answer nothing to any sample"
        + (", from the first step on." if born else f", since step {since:,}."),
        value=shares[-1],
        threshold=limit,
        where=short(where),
        step=since,
        cause="They were born so: bias or first weights keep them below zero." if born else "",
        remedy="Start with He's weights and zero biases, and standardise the inputs." if born else "",
        treatments=("he-init", "standardise-inputs", "leaky-activation", "normalise-layers") if born else (),
        picture=picture_of(steps, shares, "share of dead units", limit),
    )
    return Verdict(statistics, (finding,))


def saturated_units(evidence: Evidence) -> Verdict | None:
    """Share of the units of a hidden sigmoid or tanh whose mean slope is below a tenth of the steepest."""
    courses = courses_of(evidence, "saturated")
    if not courses:
        return None
    where = max(courses, key=lambda name: min(courses[name][1][-LAST:]))
    steps, shares = courses[where]
    statistics = {"saturated": min(shares[-LAST:]), "first": shares[0], "layers": len(courses)}
    if not persistent(shares, SATURATED.value, LAST):
        return Verdict(statistics)
    since = next(step for i, step in enumerate(steps) if all(share > SATURATED.value for share in shares[i:]))
    finding = Finding(
        level="warning",
        symptom=f"{shares[-1]:.0%} of the units of {short(where)} are saturated: they pass on less than a tenth of the "
        "gradient.",
        value=shares[-1],
        threshold=SATURATED.value,
        where=short(where),
        step=since,
        picture=picture_of(steps, shares, "share of saturated units", SATURATED.value),
    )
    return Verdict(statistics, (finding,))


def courses_of(evidence: Evidence, key: str) -> dict[str, tuple[list[int], list[float]]]:
    """(steps, values) of a statistic for each hidden place that has it in at least two passes."""
    courses: dict[str, tuple[list[int], list[float]]] = {}
    for step, places in places_over_time(evidence):
        for name in hidden(places):
            value = number(places[name].get(key))
            if not math.isnan(value):
                steps, values = courses.setdefault(name, ([], []))
                steps.append(step)
                values.append(value)
    return {name: course for name, course in courses.items() if len(course[0]) >= LAST}


def picture_of(steps: Sequence[int], values: Sequence[float], title: str, limit: float) -> Picture:
    return Picture(title, {title: tuple(values)}, tuple(steps), limit=limit)


CHECKS = (
    Check(
        code="S05",
        name="dead-units",
        question="Are there units that answer nothing to any sample?",
        rule=dead_units,
        when="during",
        cause="A large step has pushed them below zero, where a rectifier has no gradient to bring them back.",
        remedy="Lower the rate or warm it up; or use leaky_relu or gelu, or a normalisation before the activation.",
        thresholds={"many": MANY_DEAD, "some": SOME_DEAD, "learned": LEARNED},
        explains=("S02", "S03", "S07", "O02", "O04", "O10", "N03", "B09", "B14", "G01", "G09", "G15"),
        treatments=("lower-rate", "warm-up", "leaky-activation", "normalise-layers"),
        reads=("activation",),
    ),
    Check(
        code="S06",
        name="saturated-units",
        question="Do sigmoid and tanh units work where they have a slope?",
        rule=saturated_units,
        when="during",
        cause="What comes into them is too large: inputs that are not standardised, or weights that are too large.",
        remedy="Standardise the inputs, start smaller, normalise before the activation, use ReLU, or lower the rate.",
        thresholds={"saturated": SATURATED},
        explains=("B01", "S03", "S07", "O02", "O04", "O10", "N03", "B09", "B14", "G01", "G15"),
        treatments=("standardise-inputs", "he-init", "normalise-layers", "lower-rate"),
        reads=("activation",),
    ),
)
