"""Does the fresh network let the signal through, and are its units different ones? S01, S02."""

from __future__ import annotations

import math

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.layer_readings import DATA, Places, count, hidden, places_at_start, short
from limpid.doctor.numbers import number

TWINS = Threshold(0.5, "share of a layer's units", "half of the layer does nothing of its own", "few units")
# Calibrated on MLPs of 3 to 20 layers: torch's own first weights reach 4e-4 in 8 layers, which still train well, and
# 1e-5 in 12, which do not; upwards healthy networks stay below 40, and from 300 on none of them learned.
FADED = Threshold(
    1e-4, "of the signal in the input", "calibrated on MLPs of the digits", "patience bridges a little more"
)
GROWN = Threshold(
    200.0, "times the signal in the input", "calibrated on MLPs of the digits", "a small head makes up for it"
)
ARRIVES, ALL_DEAD = 1e-2, 0.9  # share of the signal before a layer, and of dead units in it, by which S05 is meant


def twins(evidence: Evidence) -> Verdict | None:
    """Share of units whose weights and gradients are those of another unit of their layer."""
    places = places_at_start(evidence)
    shares = {name: number(place["twins"]) for name, place in places.items() if "twins" in place}
    if not shares:
        return None
    where = max(shares, key=lambda name: shares[name])
    statistics = {"twins": shares[where], "layers": len(shares)}
    if not shares[where] > TWINS.value:
        return Verdict(statistics)
    finding = Finding(
        level="warning",
        symptom=f"{shares[where]:.0%} of the units of {short(where)} start as copies of others, and learn as copies.",
        value=shares[where],
        threshold=TWINS.value,
        where=short(where),
        n=count(places[where].get("units")),
        sure="confirmed",
        picture=Picture(
            "share of units with a twin",
            {"twins": tuple(shares.values())},
            (*map(short, shares),),
            "layer",
            TWINS.value,
        ),
    )
    return Verdict(statistics, (finding,))


def scale(evidence: Evidence) -> Verdict | None:
    """Spread between samples in the last hidden layer over that in the input: how much of the signal arrives."""
    places = places_at_start(evidence)
    names = [name for name in hidden(places) if number(places[name].get("signal")) >= 0]
    signal = number(places.get(DATA, places[names[0]] if names else {}).get("signal"))
    if not names or not signal > 0:
        return None
    profile = {name: number(places[name]["signal"]) for name in names}
    gain = profile[names[-1]] / signal
    statistics = {"gain": gain, "layers": len(names)}
    if FADED.value <= gain <= GROWN.value or _stops_at_dead_units(places, names, signal):
        return Verdict(statistics)
    what = "fades to" if gain < 1 else "grows to"
    finding = Finding(
        level="warning",
        symptom=f"On its way through the fresh network the signal {what} {gain:.1e} of what the input holds.",
        value=gain,
        threshold=GROWN.value if gain > 1 else FADED.value,
        where=short(names[-1]),
        n=count((evidence.probe("signal_at_start") or {}).get("n")),
        picture=Picture(
            "log10 of the spread between samples",
            {"signal": tuple(math.log10(max(value, 1e-30)) for value in profile.values())},
            (*map(short, profile),),
            "layer",
        ),
    )
    return Verdict(statistics, (finding,))


def _stops_at_dead_units(places: Places, names: list[str], signal: float) -> bool:
    """Whether the signal arrives well at some rectifier and ends there, in units that are dead: S05 says so then."""
    for before, name in zip(names, names[1:], strict=False):
        arrives = number(places[before].get("signal")) > ARRIVES * signal
        if arrives and number(places[name].get("dead")) > ALL_DEAD:
            return True
    return False


CHECKS = (
    Check(
        code="S01",
        name="symmetric-start",
        question="Do the units of a layer start as different ones?",
        rule=twins,
        when="before",
        cause="Weights started at zero or at one constant: every unit gets the same gradient, and remains a copy.",
        remedy="Draw the first weights at random (model.init=he); only the last layer may start at zero.",
        thresholds={"twins": TWINS},
        explains=("S02", "S03", "S05", "S07", "S08", "O02", "O04", "O10", "N03", "B09", "B14", "G01", "G09", "G15"),
        treatments=("he-init",),
        reads=("signal_at_start",),
    ),
    Check(
        code="S02",
        name="start-scale",
        question="Does the fresh network keep the size of the signal?",
        rule=scale,
        when="before",
        cause="The first weights are too small or too large for the depth, so that each layer shrinks or stretches.",
        remedy="Start with He's or Glorot's scale, or put normalisations or shortcuts between the layers.",
        thresholds={"faded": FADED, "grown": GROWN},
        explains=(
            "B01",
            *("S03", "S04", "S05", "S06", "S07", "S08", "O01", "O03", "O04", "O09", "O10", "N02", "N03"),
            *("B14", "G01", "G09", "G15"),
        ),
        treatments=("he-init", "normalise-layers"),
        reads=("signal_at_start",),
    ),
)
