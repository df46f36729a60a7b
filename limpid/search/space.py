"""What a search searches: knobs in order, some of which are asked only beside certain values of earlier ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from optuna.trial import FrozenTrial, Trial

from limpid.config import Config
from limpid.errors import ConfigError
from limpid.search.knob import Knob, same
from limpid.search.space_check import impossible
from limpid.spec import DataSpec

Params = dict[str, Any]
SHRINK = 0.25  # of a range, at least, is kept around the best; see tests/search/test_two_stage.py for what it is worth
MOST_COUNTED = 10_000_000  # combinations; beyond, their number tells nobody more than "too many"


@dataclass(frozen=True)
class Space:
    """Knobs of a search.

    Attributes:
        knobs: in the order in which they are asked; a condition looks back only.
        origin: file that they were read from, or what made them; for messages.
    """

    knobs: tuple[Knob, ...]
    origin: str = "the search space"

    def __post_init__(self) -> None:
        if not self.knobs:
            raise ConfigError(f"{self.origin} names no knob: there is nothing to search. Give for example [optim.lr].")
        seen: dict[str, Knob] = {}
        for knob in self.knobs:
            if knob.path in seen:
                raise ConfigError(f"{self.origin}: {knob.path} stands there twice. Give each knob once.")
            for path, values in knob.when.items():
                if path not in seen:
                    raise ConfigError(
                        f"{self.origin}: {knob.path} is asked when {path} has a certain value, and {path} is "
                        + ("asked after it: put it first." if path in self.paths else "no knob of this space.")
                    )
                self._refuse_never(knob, seen[path], values)
            seen[knob.path] = knob

    def _refuse_never(self, knob: Knob, other: Knob, values: tuple[Any, ...]) -> None:
        if other.kind == "pattern":
            return
        for value in values:
            if other.kind == "choice":
                possible = any(same(value, choice) for choice in other.choices)
            else:
                possible = isinstance(value, int | float) and other.low <= value <= other.high
            if not possible:
                raise ConfigError(
                    f"{self.origin}: {knob.path} is asked when {other.path} = {value!r}, which {other.path} never is."
                )

    @property
    def paths(self) -> tuple[str, ...]:
        """Of all knobs, in order."""
        return tuple(knob.path for knob in self.knobs)

    @property
    def has_patterns(self) -> bool:
        """Whether networks themselves are searched."""
        return any(knob.kind == "pattern" for knob in self.knobs)

    @property
    def size(self) -> float:
        """Number of combinations, conditions included; infinite with a real number or a pattern, or too many."""
        if any(math.isinf(knob.num_values) for knob in self.knobs):
            return math.inf
        if math.prod(knob.num_values for knob in self.knobs if not knob.when) > MOST_COUNTED:
            return math.inf
        counts = [int(knob.num_values) for knob in self.knobs]
        found = sum(1 for _ in itertools.islice(self._layout(counts), MOST_COUNTED + 1))
        return found if found <= MOST_COUNTED else math.inf

    def at(self, point: Sequence[float], *, pattern: Callable[[Knob], str] | None = None) -> Params:
        """The values at a point of the unit cube, one number per knob; those of knobs that are not asked are unused.

        Args:
            point: of as many numbers from 0 to 1 as there are knobs.
            pattern: makes the network of a pattern knob, which has no place on a line.
        """
        params: Params = {}
        for knob, u in zip(self.knobs, point, strict=True):
            if knob.asked(params):
                if knob.kind == "pattern":
                    assert pattern is not None
                    params[knob.path] = pattern(knob)
                else:
                    params[knob.path] = knob.at(float(u))
        return params

    def ask(self, trial: Trial) -> Params:
        """Values for a trial, drawn by the sampler of its study; the same once more for a trial that has them."""
        params: Params = {}
        for knob in self.knobs:
            if not knob.asked(params):
                continue
            if knob.kind == "pattern":
                params[knob.path] = self._ask_pattern(trial, knob)
                continue
            params[knob.path] = knob.suggested_to(trial)
        return params

    def _ask_pattern(self, trial: Trial, knob: Knob) -> str:
        """A network is no number: it is kept as an attribute of its trial."""
        if knob.path not in trial.user_attrs:
            draw = getattr(trial.study.sampler, "pattern", None)
            assert draw is not None, "architectures are searched with a sampler of search/samplers.py"
            trial.set_user_attr(knob.path, draw(trial.study, trial.number, knob))
        return cast(str, trial.user_attrs[knob.path])

    def params_of(self, trial: FrozenTrial) -> Params:
        """The values that a trial of a study was asked with, in order."""
        stored = {**trial.user_attrs, **trial.params}
        return {knob.path: knob.decoded(stored[knob.path]) for knob in self.knobs if knob.path in stored}

    def patch(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Values as options of `limpid.train` and `with_options`: section__key."""
        return {path.replace(".", "__"): value for path, value in params.items()}

    def tightened(self, best: Sequence[Mapping[str, Any]], shrink: float = SHRINK) -> Space:
        """The space around the best few, on each knob's own scale and within the old bounds.

        A knob that none of them was asked stays as it is; one whose condition none can meet any more is left out.

        Args:
            best: values of the best trials; Goodfellow takes two to three.
            shrink: share of each range that is kept at least, so that chance agreement does not close it.
        """
        kept: dict[str, Knob] = {}
        for knob in self.knobs:
            tight = knob.tightened([params[knob.path] for params in best if knob.path in params], shrink)
            if all(_possible(kept.get(path), values) for path, values in knob.when.items()):
                kept[knob.path] = tight
        for path, knob in kept.items():
            held = {
                other: tuple(v for v in values if _possible(kept[other], (v,))) for other, values in knob.when.items()
            }
            kept[path] = Knob(**{**vars(knob), "when": held})
        return Space(tuple(kept.values()), f"{self.origin}, tightened")

    def grid(self, count: int) -> list[Params]:
        """A regular layout of at most `count` points: every knob at the middles of as many equal parts of its range.

        Levels are added to the knobs in turn, first to those with fewest, as long as the layout stays within `count`.

        Raises ConfigError for a pattern, which has no levels.
        """
        if self.has_patterns:
            raise ConfigError(f"{self.origin}: a grid needs values to lay out, and networks have none. Use random.")
        levels, size = [1] * len(self.knobs), 1
        waiting = set(range(len(levels)))  # knobs that may get one more level
        while waiting:
            index = min(waiting, key=lambda index: (levels[index], index))
            waiting.remove(index)
            if levels[index] >= self.knobs[index].num_values:
                continue
            raised = [level + (i == index) for i, level in enumerate(levels)]
            new_size = sum(1 for _ in itertools.islice(self._layout(raised), count + 1))
            if size < new_size <= count:  # a knob that nobody asks yet adds nothing; it may when others have grown
                levels, size, waiting = raised, new_size, set(range(len(levels)))
        return list(self._layout(levels))

    def _layout(self, levels: Sequence[int], params: Params | None = None) -> Iterator[Params]:
        """Every combination with so many levels per knob; the knobs that `params` has are set."""
        params = params or {}
        index = next((i for i, knob in enumerate(self.knobs) if knob.path not in params and knob.asked(params)), None)
        if index is None:
            yield params
            return
        for level in range(levels[index]):
            value = self.knobs[index].at((level + 0.5) / levels[index])
            yield from self._layout(levels, {**params, self.knobs[index].path: value})

    def check(self, base: Config, spec: DataSpec) -> None:
        """Raise ConfigError where values of some knobs cannot be built together, on this configuration and data.

        A configuration that cannot be built by itself raises its own error.
        """
        found = impossible(self.knobs, base, spec)
        if found is not None:
            params, error = found
            if not params:
                raise error
            shown = " and ".join(f"{path} = {value}" for path, value in params.items())
            hint = (
                ""
                if len(params) < 2
                else f'\nAsk one only beside the other: when = {{ "{next(iter(params))}" = ... }}.'
            )
            raise ConfigError(f"{self.origin}: {shown} cannot be built: {error}{hint}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the record."""
        return {"origin": self.origin, "knobs": [knob.to_dict() for knob in self.knobs]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Space:
        """The space of `to_dict`."""
        return cls(tuple(Knob.from_dict(knob) for knob in values["knobs"]), values["origin"])


def drawn_point(space: Space, seed: int, number: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Uniform numbers from 0 to 1, one per knob: a function of the seed and the trial's number alone."""
    return np.random.default_rng([seed, number]).random(len(space.knobs))


def _possible(knob: Knob | None, values: tuple[Any, ...]) -> bool:
    """Whether the knob can still have one of these values."""
    if knob is None:
        return False
    if knob.kind == "pattern":
        return True
    if knob.kind == "choice":
        return any(same(value, choice) for value in values for choice in knob.choices)
    return any(knob.low <= value <= knob.high for value in values)
