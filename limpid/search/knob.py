"""One knob that a search turns: a key of the configuration, its range, and the scale that the range is spread over.

Every knob maps the unit interval onto its values, evenly on its own scale, so that what a search does with numbers
from 0 to 1 (draw them, lay a grid, tighten around the best) is written once for all kinds:

    linear   v = low + u (high - low)
    log      v = low (high / low)^u
    whole    the whole numbers from low to high, each the same share of u (on a log scale: as long as its share of it)
    choice   v = choices[floor(u n)]
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

Kind = Literal["linear", "log", "whole", "choice", "pattern"]
LAST = 1.0 - 2.0**-53  # the largest number below 1: u = 1 belongs to the last value


@dataclass(frozen=True)
class Knob:
    """What is searched.

    Attributes:
        path: "section.key" of the configuration.
        kind: of its values; "pattern" is a network as text, drawn and changed by search/architecture.py.
        low, high: bounds of linear, log and whole, both within. Of a pattern, high is the most parameters.
        choices: values of a choice; of a pattern, networks to begin with.
        log: whether whole numbers are spread over a log scale.
        when: the knob is asked only where every knob named here has one of these values.
        why: reason for the range, with its source.
        shape, outputs: of a pattern: what goes in, without the batch, and how many numbers come out.
    """

    path: str
    kind: Kind
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()
    log: bool = False
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    why: str = ""
    shape: tuple[int, ...] = ()
    outputs: int = 0

    @property
    def num_values(self) -> float:
        """Count of different values; infinite for real numbers and patterns."""
        if self.kind == "choice":
            return len(self.choices)
        return self.high - self.low + 1 if self.kind == "whole" else math.inf

    @property
    def on_log(self) -> bool:
        """Whether the range is spread over a log scale."""
        return self.kind == "log" or self.log

    def at(self, u: float) -> Any:
        """The value at a place of the range, 0 <= u <= 1."""
        assert self.kind != "pattern", "patterns are drawn by search/architecture.py"
        u = min(max(u, 0.0), LAST if self.kind in ("choice", "whole") else 1.0)
        if self.kind == "choice":
            return self.choices[int(u * len(self.choices))]
        low, high = self._ends()
        value = low + u * (high - low)
        value = math.exp(value) if self.on_log else value
        if self.kind == "whole":
            return int(min(max(math.floor(value + 0.5), self.low), self.high))
        return float(min(max(value, self.low), self.high))

    def place(self, value: Any) -> float:
        """The place of a value in the range: the middle of its share, for whole numbers and choices."""
        if self.kind == "choice":
            return (self.choices.index(value) + 0.5) / len(self.choices)
        low, high = self._ends()
        if high == low:
            return 0.5
        return ((math.log(value) if self.on_log else value) - low) / (high - low)

    def _ends(self) -> tuple[float, float]:
        """Of the range on its scale; a whole number owns half a unit to either side."""
        half = 0.5 if self.kind == "whole" else 0.0
        low, high = self.low - half, self.high + half
        return (math.log(low), math.log(high)) if self.on_log else (low, high)

    def tightened(self, values: list[Any], shrink: float) -> Knob:
        """The knob around the best values: their own extent, and at least `shrink` of the range, within the old bounds.

        A choice keeps those of the values alone.
        """
        if self.kind == "pattern" or not values:
            return self
        if self.kind == "choice":
            return replace(self, choices=tuple(choice for choice in self.choices if choice in values))
        places = [self.place(value) for value in values]
        middle, width = (min(places) + max(places)) / 2, max(shrink, max(places) - min(places))
        start = min(max(middle - width / 2, 0.0), 1.0 - width)
        return replace(self, low=self.at(start), high=self.at(start + width))

    def to_distribution(self) -> BaseDistribution:
        """The same for optuna."""
        if self.kind == "choice":
            return CategoricalDistribution([encoded(choice) for choice in self.choices])
        if self.kind == "whole":
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.kind == "log")

    def suggested_to(self, trial: Trial) -> Any:
        """The value that the sampler of the trial's study gives the knob; that which the trial has, if it has one."""
        if self.kind == "choice":
            return self.decoded(trial.suggest_categorical(self.path, [encoded(choice) for choice in self.choices]))
        if self.kind == "whole":
            return trial.suggest_int(self.path, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.path, self.low, self.high, log=self.kind == "log")

    def decoded(self, stored: Any) -> Any:
        """The value behind what optuna keeps."""
        if self.kind != "choice":
            return stored
        return next(choice for choice in self.choices if same(encoded(choice), stored))

    def asked(self, params: Mapping[str, Any]) -> bool:
        """Whether the knob is asked beside these values of the knobs before it."""
        return all(
            path in params and any(same(params[path], value) for value in values) for path, values in self.when.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without what is left open."""
        empty = asdict(Knob("", self.kind))
        kept = {key: value for key, value in asdict(self).items() if value != empty[key] or key in ("path", "kind")}
        if self.kind in ("linear", "log", "whole"):
            kept |= {"low": self.low, "high": self.high}
        return _plain(kept)  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Knob:
        """The knob of `to_dict`, behind JSON or not."""
        return cls(**{key: frozen(value) for key, value in values.items()})


def encoded(value: Any) -> Any:
    """A choice as optuna can keep it: lists and tables as their JSON."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(_plain(value))


def same(one: Any, other: Any) -> bool:
    """Equal, and not a truth value for a number."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def frozen(value: Any) -> Any:
    """Lists as tuples, throughout."""
    if isinstance(value, Mapping):
        return {key: frozen(one) for key, one in value.items()}
    return tuple(frozen(one) for one in value) if isinstance(value, list | tuple) else value
