"""A part and its options in one line of text, as a function is called: leaky_relu(0.1), normal(mean=0, std=0.01).

Parts of this form have no section of their own for their options: activations and initialisers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from limpid.catalogue.part import Catalogue, Part
from limpid.errors import ConfigError

P = TypeVar("P", bound=Part)
CALL = re.compile(r"\s*([^()]+?)\s*(?:\(([^()]*)\))?\s*")


@dataclass(frozen=True)
class Call(Generic[P]):
    """A part, with every option as given or by default."""

    part: P
    options: dict[str, Any]
    text: str  # name and the options that were given

    def build(self, *arguments: Any, **more: Any) -> Any:
        """What the part's home returns for these arguments and the options."""
        return self.part.load()(*arguments, **more, **self.options)


def read_call(catalogue: Catalogue[P], text: str) -> Call[P]:
    """The part and options that a text names; options come in their order, or by key.

    Raises ConfigError for an unknown part or option, too many of them, or a value that is not accepted.
    """
    match = CALL.fullmatch(text)
    if match is None:
        raise ConfigError(f"{catalogue.kind} {text!r} cannot be read: expected a name, or name(value, option=value).")
    part = catalogue.find(match[1])
    own = ", ".join(f"{key}={option.default}" for key, option in part.options.items())
    form = f"{part.name}({own})" if own else f"{part.name}, which has no options"
    given: dict[str, Any] = {}
    for place, argument in enumerate(filter(None, map(str.strip, (match[2] or "").split(",")))):
        key, equals, value = map(str.strip, argument.rpartition("="))
        if not equals:
            if place >= len(part.options):
                raise ConfigError(f"{catalogue.kind} {text!r} has too many options: expected {form}.")
            key = list(part.options)[place]
        if key not in part.options or key in given:
            problem = "gives it twice" if key in given else "is not one of its options"
            raise ConfigError(f"{catalogue.kind} {text!r}: {key} {problem}. Expected {form}.")
        given[key] = _value_of(value)
    options = part.accept(given, f"{catalogue.kind} {part.name}")
    shown = ", ".join(f"{key}={str(options[key]).lower()}" for key in given)
    return Call(part, options, f"{part.name}({shown})" if shown else part.name)


def _value_of(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
