"""Do the weights keep a sensible size, do all move that should, and none that should not? S08, B09, B10."""

from __future__ import annotations

import math
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence, Reading
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.layer_readings import facts_of, places_over_time, share_learned, short
from limpid.doctor.numbers import number
from limpid.doctor.rules_signal_units import picture_of

GROWN = Threshold(8.0, "times the largest first weights, root mean square", "clinic: healthy 6.4", "torchmortem has 10")
GROWN_RECURRENT = Threshold(
    20.0, "times the largest first weights, root mean square", "clinic: healthy LSTMs and GRUs 14.1", "one task only"
)
WIPED = Threshold(
    0.4, "of the first norm", "healthy clinic runs keep 0.79; USERS.md S08 has 0.1", "pruning and L1 mean it"
)
MASTERED = Threshold(0.8, "of what there is to learn", "weights that know nearly all do no harm", "guess")
BLACKED_OUT = 0.99  # share of dead or saturated units behind which no gradient can arrive
FEWEST = 3  # readings


def size(evidence: Evidence) -> Verdict | None:
    """Root mean square of each layer's weights, over the largest such of the fresh network; and over its own."""
    facts = facts_of(evidence)
    readings = evidence.readings("weight_norm")
    if len(readings) < FEWEST:
        return None
    courses = {
        name: [number(reading.values.get(name)) / math.sqrt(fact["numel"]) for reading in readings]
        for name, fact in facts.items()
        if fact.get("kind") == "weight" and fact["numel"] > 1
    }
    courses = {name: course for name, course in courses.items() if not any(map(math.isnan, course))}
    largest = max((course[0] for course in courses.values()), default=0.0)
    if not largest > 0 or len(courses) < 2:
        return None  # a single layer may start as small as it likes
    steps = [reading.step for reading in readings]
    grown = {name: course[-1] / largest for name, course in courses.items()}
    kept = {name: course[-1] / course[0] for name, course in courses.items() if course[0] > 0.1 * largest}
    most, least = max(grown, key=lambda name: grown[name]), min(kept, key=lambda name: kept[name])
    figures = {"grown": grown[most], "kept": kept[least], "layers": len(courses)}
    learned = share_learned(evidence)
    heard = [place for _, places in places_over_time(evidence) for place in places.values()]
    normalised = any(place.get("kind") == "norm" for place in heard)
    if normalised or (learned or 0.0) > MASTERED.value:
        return Verdict(figures)
    most_growth = (GROWN_RECURRENT if any("weight_hh" in name for name in courses) else GROWN).value
    if grown[most] > most_growth:
        where, value, limit, line = most, grown[most], most_growth, most_growth * largest
        text = f"The weights of {short(where)} have grown to {value:.0f} times the size of the largest first ones."
    elif max(courses[least][-FEWEST:]) < WIPED.value * courses[least][0]:
        where, value, limit, line = least, kept[least], WIPED.value, WIPED.value * courses[least][0]
        text = f"The weights of {short(where)} have shrunk to {value:.1%} of their first size."
    else:
        return Verdict(figures)
    finding = Finding(
        level="warning",
        symptom=text,
        value=value,
        threshold=limit,
        where=short(where),
        step=steps[-1],
        cause="Weight decay takes more than the gradient gives." if value < 1 else "",
        remedy="Lower optim.weight_decay." if value < 1 else "",
        treatments=("less-decay",) if value < 1 else (),
        picture=picture_of(steps, courses[where], "root mean square of the weights", line),
    )
    return Verdict(figures, (finding,))


def untrained(evidence: Evidence) -> Verdict | None:
    """Tensors that should learn, and that the optimiser does not hold, no gradient reaches, or no step moves."""
    facts = facts_of(evidence)
    if not facts:
        return None
    learning = {name: fact for name, fact in facts.items() if fact.get("trainable")}
    forgotten = [name for name, fact in learning.items() if fact.get("in_optimizer") is False]
    gradients, updates = evidence.readings("grad_norm"), evidence.readings("update_norm")
    # A network that no gradient moves at all learns by a rule of its own.
    by_gradient = any(norm is not None for reading in gradients for norm in reading.values.values())
    unreached = _always(gradients, lambda norm: norm is None) if by_gradient and len(gradients) >= FEWEST else []
    still: list[str] = []
    if by_gradient and len(updates) >= FEWEST and not _blacked_out(evidence):
        still = [name for name in _always(updates, lambda norm: norm == 0) if name not in unreached]
        still = [name for name in still if learning.get(name, {}).get("kind") == "weight"]
    # In a user's own network: layers that do not learn, unasked, and still have the weights that torch draws.
    named = not str(evidence.option("model.name", "module:")).startswith("module:")
    asked = named or evidence.option("model.freeze")
    random = [] if asked else [name for name, fact in facts.items() if fact.get("random")]
    figures = {
        "tensors": len(learning),
        "random": len(random),
        "forgotten": len(forgotten),
        "unreached": len(unreached),
        "still": len(still),
    }
    kinds = (
        (random, "are frozen at their random first weights", "They were frozen before they had learned anything."),
        (
            forgotten,
            "are not in the optimiser",
            "The optimiser was built without these layers, or before they were there.",
        ),
        (
            unreached,
            "should learn and get no gradient",
            "The way from the loss is cut (detach, no_grad), or forward does not use them.",
        ),
        (still, "should learn and do not move", "Their gradient is zero, or their rate."),
    )
    findings = []
    for names, text, cause in kinds:
        if names:
            numel = sum(facts[name]["numel"] for name in names if name in facts)
            findings.append(
                Finding(
                    level="warning",
                    symptom=f"{len(names)} of {len(facts)} tensors {text}: {_listed(names)} ({numel:,} weights).",
                    value=len(names),
                    threshold=0.0,
                    where=short(names[0]),
                    n=len(facts),
                    cause=cause,
                )
            )
    return Verdict(figures, tuple(findings))


def frozen_moving(evidence: Evidence) -> Verdict | None:
    """Tensors that are not to learn, or statistics that belong to them, and that changed between two readings."""
    readings = evidence.readings("frozen_norm")
    moved: dict[str, tuple[int, float]] = {}
    pairs = 0
    for before, after in zip(readings, readings[1:], strict=False):
        for name, norm in before.values.items():
            now = after.values.get(name)
            pairs += now is not None
            if now is not None and now != norm and name not in moved:
                moved[name] = (after.step, abs(number(now) - number(norm)))
    if not pairs:
        return None
    figures = {"tensors": len({name for reading in readings for name in reading.values}), "moved": len(moved)}
    if not moved:
        return Verdict(figures)
    first = min(moved, key=lambda name: moved[name][0])
    statistics = all("running_" in name for name in moved)
    changes = tuple(change for _, change in moved.values())
    finding = Finding(
        level="warning",
        symptom=f"{len(moved)} tensors of frozen layers change during training: {_listed([*moved])}.",
        value=len(moved),
        threshold=0.0,
        where=short(first),
        step=moved[first][0],
        n=figures["tensors"],
        cause="Their batch normalisations are in training mode and follow the new data." if statistics else "",
        remedy="Put the frozen part into evaluation mode (model.freeze does so)." if statistics else "",
        picture=Picture("change of the norm", {"change": changes}, (*map(short, moved),), "tensor"),
    )
    return Verdict(figures, (finding,))


def _always(readings: list[Reading], holds: Any) -> list[str]:
    """Names for which something holds in every reading, each reading having them."""
    names = [name for name in readings[-1].values if all(name in reading.values for reading in readings)]
    return [name for name in names if all(holds(reading.values[name]) for reading in readings)]


def _blacked_out(evidence: Evidence) -> bool:
    """Whether some layer answers next to nothing or is saturated throughout: then what is before it cannot move."""
    return any(
        number(place.get(key)) >= BLACKED_OUT or number(place.get("signal")) == 0
        for _, places in places_over_time(evidence)
        for place in places.values()
        for key in ("dead", "saturated")
    )


def _listed(names: list[str]) -> str:
    return ", ".join(map(short, names[:4])) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


CHECKS = (
    Check(
        code="B09",
        name="untrained-parameters",
        question="Does everything move that should learn?",
        rule=untrained,
        when="before",
        cause="Some weights are left out of training by mistake.",
        remedy="Build the optimiser from all parameters of the complete network; look for detach() in forward.",
        treatments=("unfreeze",),
        reads=("parameters", "grad_norm", "update_norm"),
    ),
    Check(
        code="B10",
        name="frozen-yet-moving",
        question="Does everything stay that is frozen?",
        rule=frozen_moving,
        when="during",
        cause="Something else than the gradient changes them: an average, a hook, or the forward pass itself.",
        remedy="Leave frozen tensors out of whatever writes into them.",
        explains=("B09",),
        reads=("frozen_norm",),
    ),
    Check(
        code="S08",
        name="weight-size",
        question="Do the weights keep a sensible size?",
        rule=size,
        when="during",
        cause="The steps are too large, and nothing holds the weights back.",
        remedy="Lower the rate, limit the gradient's norm, decay the weights a little.",
        thresholds={"grown": GROWN, "grown_recurrent": GROWN_RECURRENT, "wiped": WIPED, "mastered": MASTERED},
        explains=("S05", "S06", "S07", "O04", "G01", "G15"),
        treatments=("lower-rate", "clip", "more-decay"),
        reads=("weight_norm", "parameters"),
    ),
)
