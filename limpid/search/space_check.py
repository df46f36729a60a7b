"""Whether a space fits a configuration and its data: tried on every combination of its choices, before any training.

A combination that cannot be built is refused here, with the knobs that do not go together, and not left to fail one
trial in four.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.defaults import resolve
from limpid.errors import LimpidError
from limpid.models.registry import build_model
from limpid.search.knob import Knob
from limpid.spec import DataSpec

MOST_RESOLVED = 256  # combinations that are tried; each takes about a millisecond
MOST_BUILT = 32  # different networks among them that are built


def impossible(knobs: tuple[Knob, ...], base: Config, spec: DataSpec) -> tuple[Mapping[str, Any], LimpidError] | None:
    """The first combination that cannot be built, cut down to the knobs that do not go together, and why.

    No knob at all, where the configuration cannot be built even without the space.

    Every choice stands beside every other (up to MOST_RESOLVED), ranges at their ends and middle.
    """
    built: set[str] = set()
    for params in itertools.islice(_combinations(knobs), MOST_RESOLVED):
        error = _refusal(params, base, spec, built)
        if error is not None:
            alone = _refusal({}, base, spec, set())
            if str(alone) == str(error):
                return {}, error
            guilty = [knob.path for knob in knobs if knob.path in params and _cures(knob, params, base, spec)]
            return {path: params[path] for path in guilty or params}, error
    return None


def _cures(knob: Knob, params: Mapping[str, Any], base: Config, spec: DataSpec) -> bool:
    """Whether the combination can be built without this knob, or with another of its values."""
    others: list[dict[str, Any]] = [{path: value for path, value in params.items() if path != knob.path}]
    others += [{**params, knob.path: value} for value in _middle(knob) if value != params[knob.path]]
    return any(_refusal(other, base, spec, set()) is None for other in others)


def _refusal(params: Mapping[str, Any], base: Config, spec: DataSpec, built: set[str]) -> LimpidError | None:
    """Why the combination cannot be built; None where it can. `built` holds the networks that could."""
    try:
        config, _ = resolve(with_options(base, {path.replace(".", "__"): params[path] for path in params}), spec)
        network = config.model.model_dump_json()
        if network not in built and len(built) < MOST_BUILT:
            build_model(config.model, spec, seed=0)
            built.add(network)
    except LimpidError as error:
        return error
    return None


def _combinations(knobs: tuple[Knob, ...]) -> Iterator[dict[str, Any]]:
    """Choices with one another first, ranges in their middle; then both ends of each range, wherever it is asked."""
    places: list[dict[str, tuple[Any, ...]]] = [{knob.path: _middle(knob) for knob in knobs}]
    for knob in knobs:
        if knob.kind not in ("choice", "pattern"):
            places.append({**{k.path: _middle(k) for k in knobs}, knob.path: (knob.low, knob.high)})
    for values in places:
        yield from _laid_out(knobs, values, {})


def _laid_out(
    knobs: tuple[Knob, ...], values: Mapping[str, tuple[Any, ...]], params: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    if not knobs:
        yield params
    elif knobs[0].asked(params):
        for value in values[knobs[0].path]:
            yield from _laid_out(knobs[1:], values, {**params, knobs[0].path: value})
    else:
        yield from _laid_out(knobs[1:], values, params)


def _middle(knob: Knob) -> tuple[Any, ...]:
    if knob.kind in ("choice", "pattern"):
        return knob.choices or ("fc",)
    return (knob.at(0.5),)
