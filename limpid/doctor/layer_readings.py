"""What a record says of the layers of a network: the hidden places, their statistics over time, and what was learned.

A place is a layer or an activation function, in the order of the forward pass (training/listening.py). The head is the
last layer of weights; what comes before it is hidden.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from limpid.doctor.evidence import Evidence
from limpid.doctor.numbers import number

WEIGHTS = ("linear", "conv")
WARM_UP = 0.2  # share of the planned steps
DATA = "input"  # the place that is the data itself

Places = Mapping[str, Mapping[str, Any]]


def places_at_start(evidence: Evidence) -> dict[str, dict[str, Any]]:
    """What the probe `signal_at_start` heard, by place."""
    layers = (evidence.probe("signal_at_start") or {}).get("layers")
    return _plain(layers)


def places_over_time(evidence: Evidence) -> list[tuple[int, dict[str, dict[str, Any]]]]:
    """(step, what was heard by place) of each pass, oldest first."""
    return [(reading.step, _plain(reading.values)) for reading in evidence.readings("activation")]


def hidden(places: Places) -> list[str]:
    """Names of the places between the data and the head."""
    names = [name for name in places if name != DATA]
    heads = [i for i, name in enumerate(names) if places[name].get("kind") in WEIGHTS]
    return names[: heads[-1]] if heads else names


def hidden_weights(places: Places) -> list[str]:
    """Names of the layers of weights before the head."""
    return [name for name in hidden(places) if places[name].get("kind") in WEIGHTS]


def share_learned(evidence: Evidence) -> float | None:
    """1 - L / L*: how much of the loss L* of knowing nothing is gone, by the median L of the last tenth of the steps.

    Where that loss is not known, the first recorded loss stands for it. None before a fifth of the run is over, or
    there are ten losses: nobody has learned anything then.
    """
    planned = number(evidence.planned_steps)
    if len(evidence.curve) and evidence.curve.steps[-1] < WARM_UP * planned:
        return None
    losses = [loss for loss in evidence.curve.losses if math.isfinite(loss)]
    chance = number((evidence.probe("loss_at_start") or {}).get("chance"))
    reference = chance if chance > 0 else losses[0] if losses else 0.0
    if len(losses) < 10 or not reference > 0:
        return None
    return 1 - statistics.median(losses[-max(5, len(losses) // 10) :]) / reference


def facts_of(evidence: Evidence) -> dict[str, dict[str, Any]]:
    """What the probe `parameters` says of each tensor; `numel` is a finite number."""
    facts = _plain(evidence.probe("parameters"))
    return {name: {**fact, "numel": count(fact.get("numel"))} for name, fact in facts.items()}


def count(value: Any) -> int:
    """A number of a record as a count; 0 for what is none."""
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


def short(name: str) -> str:
    """The name of a place or tensor for people."""
    return name.removeprefix("body.") or "the network"


def persistent(values: Sequence[float], limit: float, last: int) -> bool:
    """Whether each of the last so many values, of which there must be as many, lies above the limit."""
    return len(values) >= last and all(value > limit for value in values[-last:])


def _plain(values: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(values, Mapping):
        return {}
    return {str(name): dict(place) for name, place in values.items() if isinstance(place, Mapping)}
