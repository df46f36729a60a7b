"""Does the gradient arrive, everywhere and at a bearable size? S03, S04, O10."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.layer_readings import facts_of, hidden, places_at_start, places_over_time, share_learned, short
from limpid.doctor.numbers import number

VANISHED = Threshold(1e-3, "of the gradient at the other end", "AUTOTRAINER", "it is judged with the loss, not alone")
GONE = Threshold(1e-4, "of the gradient at the other end", "torch's MLPs of 12 layers and more", "as above")
LITTLE = Threshold(
    0.5, "of what there is to learn", "what the last layers alone learned", "easy tasks need no first layers"
)
EXPLODED = Threshold(1e3, "times the gradient at the other end", "healthy networks stay below 40", "depth")
LEARNED = Threshold(0.1, "of what there is to learn", "a tenth above knowing nothing", "hard tasks learn no more")
SPIKE = Threshold(10.0, "times the median before, and after", "USERS.md S04", "sampled readings miss most spikes")
SPIKES = Threshold(3, "readings", "persistence", "few readings in short runs")
LEAP = Threshold(100.0, "times the median, in a step longer than the weights", "calibrated on recurrent nets", "rates")
UNEQUAL = Threshold(
    300.0, "times from the slowest to the fastest layer", "torchmortem has 100; healthy regressions reach 94", "scales"
)
RATES = Threshold(30.0, "highest rate over lowest", "ours: fine-tuning gives first layers a tenth", "hundredths")
LEFT = Threshold(
    100.0,
    "way of the fastest layer over that of the slowest, in sizes of the first weights",
    "torchmortem, USERS O10; a rate of a thousandth 490 to 590, rates by layer_decay 0.7 below 27",
    "one rate reaches 450: only where rates differ",
)
FEWEST = 5  # readings from which a median says something
LATER = 3  # readings after a burst, which tell it from growth
DEAD = 0.9  # share of dead units: what S05 says explains the rest


def gradient_profile(evidence: Evidence) -> tuple[float, float] | None:
    """Gradient with respect to the first hidden layer over that to the last; and early in time over its largest."""
    places = places_at_start(evidence)
    sizes = [number(places[name].get("gradient")) for name in hidden(places)]
    sizes = [size for size in sizes if not math.isnan(size)]
    ratios = [
        number(place["gradient_early"]) / number(place["gradient_most"])
        for place in places.values()
        if number(place.get("gradient_most")) > 0
    ]
    if not sizes and not ratios:
        return None
    depth = sizes[0] / sizes[-1] if len(sizes) > 1 and sizes[-1] > 0 else 1.0
    return depth, min(ratios, default=1.0)


def vanishing(evidence: Evidence) -> Verdict | None:
    """Whether the gradient fades on its way back, in depth or in time, and little is learned meanwhile."""
    profile = gradient_profile(evidence)
    learned = share_learned(evidence)
    if profile is None or learned is None:
        return None
    depth, time = profile
    least = min(depth, time)
    figures = {"depth": depth, "time": time, "learned": learned}
    little = LITTLE.value if least < GONE.value else LEARNED.value
    if not (least < VANISHED.value and learned < little) or _dead(evidence):
        return Verdict(figures)
    way = "from the last layer to the first" if depth <= time else "from the last place of a sequence to the first"
    finding = Finding(
        level="warning",
        symptom=f"The gradient fades to {least:.1e} {way}, and {max(learned, 0):.0%} of the loss is learned away.",
        value=least,
        threshold=VANISHED.value,
        where="depth" if depth <= time else "time",
        step=0,
        picture=_profile_picture(evidence),
    )
    return Verdict(figures, (finding,))


def _dead(evidence: Evidence) -> bool:
    latest = places_over_time(evidence)[-1:]
    return any(number(places[name].get("dead")) > DEAD for _, places in latest for name in hidden(places))


def exploding(evidence: Evidence) -> Verdict | None:
    """Whether the gradient grows on its way back through the fresh network, or bursts again and again later."""
    profile = gradient_profile(evidence)
    totals = gradient_sizes(evidence)
    if profile is None and len(totals) <= FEWEST:
        return None
    depth = 1.0 if profile is None else profile[0]
    sizes = [size for _, size in totals]
    bursts = [
        step
        for i, (step, size) in enumerate(totals)
        if FEWEST <= i < len(totals) - LATER
        and size > SPIKE.value * max(statistics.median(sizes[:i]), statistics.median(sizes[i + 1 :]))
    ]
    leap, since_leap = _largest_leap(evidence, totals)
    figures = {"depth": depth, "bursts": len(bursts), "leap": leap, "readings": len(totals)}
    picture = _profile_picture(evidence)
    if depth > EXPLODED.value:
        symptom = f"The gradient of the fresh network grows {depth:.1e} times from the last layer to the first."
        value, limit, since = depth, EXPLODED.value, 0
    elif len(bursts) >= SPIKES.value:
        symptom = (
            f"In {len(bursts)} of {len(totals)} readings the gradient is over ten times what it is before and after."
        )
        value, limit, since = len(bursts), SPIKES.value, bursts[0]
        picture = Picture("norm of the gradient", {"norm": tuple(s for _, s in totals)}, tuple(t for t, _ in totals))
    elif leap > LEAP.value:
        symptom = (
            f"At step {since_leap:,} a gradient {leap:.0f} times as large as usual threw the weights further than "
        )
        symptom += "their own size."
        value, limit, since = leap, LEAP.value, since_leap
        picture = Picture("norm of the gradient", {"norm": tuple(s for _, s in totals)}, tuple(t for t, _ in totals))
    else:
        return Verdict(figures)
    finding = Finding(level="warning", symptom=symptom, value=value, threshold=limit, step=since, picture=picture)
    return Verdict(figures, (finding,))


def _largest_leap(evidence: Evidence, totals: list[tuple[int, float]]) -> tuple[float, int]:
    """Largest gradient, over the median of all, of the readings whose update was longer than the weights."""
    weights = {reading.step: reading.values for reading in evidence.readings("weight_norm")}
    lengths = {
        reading.step: (_length(reading.values), _length(weights.get(reading.step) or {}))
        for reading in evidence.readings("update_norm")
    }
    usual = statistics.median(size for _, size in totals) if len(totals) > FEWEST else math.inf
    leaps = [(size / usual, step) for step, size in totals if usual > 0 and _is_leap(*lengths.get(step, (0.0, 0.0)))]
    return max(leaps, default=(0.0, 0))


def _is_leap(update: float, weight: float) -> bool:
    return update > weight > 0


def _length(norms: Mapping[str, Any]) -> float:
    """Of all tensors together; NaN where one of them is no number."""
    return math.sqrt(sum(number(norm) ** 2 for norm in norms.values() if norm is not None))


def gradient_sizes(evidence: Evidence) -> list[tuple[int, float]]:
    """(step, norm of all gradients together) of each reading that has only finite ones."""
    totals = [(reading.step, _length(reading.values)) for reading in evidence.readings("grad_norm")]
    return [(step, size) for step, size in totals if 0 < size < math.inf]


def unequal_speed(evidence: Evidence) -> Verdict | None:
    """Fastest over slowest layer by the median of |update| / |w|; weights that learn, at one rate.

    Where layers have rates far apart, by the way that each has come instead, the sum of |update| / |first w|: a layer
    that runs off grows, and its steps are small for its new size.
    """
    facts = facts_of(evidence)
    speeds, ways = _speeds(evidence), _ways(evidence)
    medians = {name: statistics.median(found) for name, found in speeds.items() if len(found) >= FEWEST}
    if len(medians) < 2:
        return None
    fast, slow = max(medians, key=lambda name: medians[name]), min(medians, key=lambda name: medians[name])
    ratio = _over(medians[fast], medians[slow])
    rates = _over(*(f(number(facts[name].get("rate")) for name in medians) for f in (max, min)))
    far, near = (f((name for name in medians if name in ways), key=ways.__getitem__, default="") for f in (max, min))
    left = _over(ways.get(far, math.nan), ways.get(near, math.nan))
    figures = {"ratio": ratio, "fastest": medians[fast], "slowest": medians[slow], "rates": rates, "ways": left}
    declared = number(evidence.option("optim.layer_decay", 1.0)) < 1.0
    apart = RATES.value < rates < math.inf and LEFT.value < left < math.inf
    if declared or not (UNEQUAL.value < ratio < math.inf or apart):
        return Verdict(figures)
    if apart:
        fast, slow = far, near
    finding = Finding(
        level="note",
        symptom=f"{short(fast)} has come {left:.0f} times as far as {short(slow)}, for the size that each began with: "
        f"the highest rate is {rates:.0f} times the lowest."
        if apart
        else f"{short(fast)} moves {ratio:.0f} times as fast as {short(slow)}, for its size.",
        value=left if apart else ratio,
        threshold=(LEFT if apart else UNEQUAL).value,
        where=short(slow),
        n=min(len(speeds[fast]), len(speeds[slow])),
        picture=Picture(
            "log10 of the change of a step over the weight",
            {"speed": tuple(math.log10(max(value, 1e-30)) for value in medians.values())},
            (*map(short, medians),),
            "tensor",
        ),
    )
    return Verdict(figures, (finding,))


def _speeds(evidence: Evidence) -> dict[str, list[float]]:
    """|update| / |w| of each reading, by name of the weights that learn."""
    facts = facts_of(evidence)
    weights = {reading.step: reading.values for reading in evidence.readings("weight_norm")}
    speeds: dict[str, list[float]] = {}
    for reading in evidence.readings("update_norm"):
        for name, update in reading.values.items():
            norm = number((weights.get(reading.step) or {}).get(name))
            if _counts(facts.get(name, {})) and norm > 0 and number(update) >= 0:
                speeds.setdefault(name, []).append(number(update) / norm)
    return speeds


def _ways(evidence: Evidence) -> dict[str, float]:
    """Sum over the steps of |update| / |first w| by name, each reading standing for the steps since the one before."""
    readings = evidence.readings("weight_norm")
    first = readings[0].values if readings else {}
    ways: dict[str, float] = {}
    done = 0
    for reading in evidence.readings("update_norm"):
        for name, update in reading.values.items():
            if number(first.get(name)) > 0 and number(update) >= 0:
                steps = max(1, reading.step - done)
                ways[name] = ways.get(name, 0.0) + steps * number(update) / number(first.get(name))
        done = reading.step
    return ways


def _over(large: float, small: float) -> float:
    """A quotient; infinite where the divisor is 0."""
    return large / small if small > 0 else math.inf if small == 0 else math.nan


def _counts(fact: Mapping[str, Any]) -> bool:
    return fact.get("kind") == "weight" and bool(fact.get("trainable")) and fact["numel"] > 1


def _profile_picture(evidence: Evidence) -> Picture | None:
    places = places_at_start(evidence)
    sizes = {name: number(places[name].get("gradient")) for name in hidden(places)}
    known = {name: size for name, size in sizes.items() if not math.isnan(size)}
    if len(known) < 2:
        return None
    logs = tuple(math.log10(max(size, 1e-30)) for size in known.values())
    return Picture("log10 of the gradient in the fresh network", {"gradient": logs}, (*map(short, known),), "layer")


CHECKS = (
    Check(
        code="S03",
        name="vanishing-gradient",
        question="Does the gradient reach the first layers, and the first places of a sequence?",
        rule=vanishing,
        when="during",
        cause="Every layer or time step multiplies the gradient by less than one.",
        remedy="Use ReLU or GELU, He's weights, normalisations or shortcuts; for long sequences an LSTM or attention.",
        thresholds={"vanished": VANISHED, "learned": LEARNED, "gone": GONE, "little": LITTLE},
        explains=("S07", "O02", "O04", "O10", "N02", "N03", "B14", "G01", "G09", "G15"),
        treatments=("normalise-layers", "he-init", "leaky-activation"),
        reads=("signal_at_start",),
    ),
    Check(
        code="S04",
        name="exploding-gradient",
        question="Does the gradient keep a bearable size on its way back, and over time?",
        rule=exploding,
        when="before",
        cause="Every layer or time step multiplies the gradient by more than one, or a step went too far.",
        remedy="Limit the gradient's norm (optim.clip_norm=1), lower the rate or warm it up, or start smaller.",
        thresholds={"exploded": EXPLODED, "spike": SPIKE, "spikes": SPIKES, "leap": LEAP},
        explains=("S05", "S06", "S08", "O01", "O03", "O04", "O09", "O10", "G01", "G15"),
        treatments=("clip", "lower-rate", "warm-up", "he-init"),
        reads=("signal_at_start", "grad_norm"),
    ),
    Check(
        code="O10",
        name="unequal-speed",
        question="Do all layers learn at about the same speed?",
        rule=unequal_speed,
        when="during",
        cause="The scale of the weights or the rate differs much between layers.",
        remedy="Start all layers with the same scale, or give layers rates of their own.",
        thresholds={"unequal": UNEQUAL, "rates": RATES, "left": LEFT},
        treatments=("he-init", "normalise-layers"),
        reads=("update_norm", "weight_norm", "parameters"),
    ),
)
