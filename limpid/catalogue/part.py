"""One part that can be named in a run, and the catalogue of all parts of a kind.

A part is described here and built elsewhere: `home` says where, as "package.module:function", so that listing parts
loads nothing. The folder that owns the kind calls `Part.load()` inside its `build_*` function.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from limpid.errors import ConfigError, nearest


@dataclass(frozen=True)
class Option:
    """One option of a part: its default, what it means (with unit), and which values it accepts."""

    default: Any
    what: str
    least: float | None = None
    most: float | None = None
    choices: tuple[Any, ...] = ()

    def accept(self, value: Any, path: str) -> Any:
        """The value in the default's type. Raises ConfigError for another type, or outside the range."""
        value = _as_type_of(self.default, value, path)
        if self.choices and value not in self.choices:
            raise ConfigError(f"{path}={value} is not accepted: use {' or '.join(map(str, self.choices))}.")
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, str) or number is None:
                continue
            if (self.least is not None and number < self.least) or (self.most is not None and number > self.most):
                raise ConfigError(f"{path}={number} is not accepted: {self.range_text()}.")
        return value

    def range_text(self) -> str:
        """ "at least 0", "at most 1", "from 0 to 1", or nothing."""
        if self.least is not None and self.most is not None:
            return f"from {self.least:g} to {self.most:g}"
        if self.least is not None:
            return f"at least {self.least:g}"
        return f"at most {self.most:g}" if self.most is not None else ""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A named part: what it is, where it comes from, what it can be told, and what to look out for."""

    name: str
    home: str  # "limpid.optim.lion:build_lion"
    what: str  # one line
    source: str  # paper, book or library
    year: int | None = None
    formula: str = ""
    pitfall: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()  # other words that users know it by

    def load(self) -> Any:
        """The object at `home`."""
        return load_home(self.home)

    def accept(self, given: Mapping[str, Any], section: str) -> dict[str, Any]:
        """Every option of this part, as given or by default. The caller has checked that no key is foreign."""
        return {
            key: option.accept(given[key], f"{section}.{key}") if key in given else option.default
            for key, option in self.options.items()
        }


P = TypeVar("P", bound=Part)


class Catalogue(Mapping[str, P], Generic[P]):
    """All parts of a kind by name, in an order that a reader can follow."""

    def __init__(self, kind: str, section: str, parts: tuple[P, ...]) -> None:
        self.kind = kind  # "optimizer"
        self.section = section  # of the configuration, which holds the parts' options
        self._parts = {part.name: part for part in parts}
        self._aliases = {_plain(alias): part.name for part in parts for alias in (part.name, *part.aliases)}
        assert len(self._parts) == len(parts), f"two {kind}s share a name"
        assert len(self._aliases) == sum(1 + len(part.aliases) for part in parts), f"two {kind}s share an alias"

    def __getitem__(self, name: str) -> P:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def get_name(self, word: str) -> str | None:
        """The name behind a name or alias, in any spelling of case, spaces, dashes and underscores; else None."""
        return self._aliases.get(_plain(word))

    def find(self, word: str) -> P:
        """The part of this name or alias. Raises ConfigError naming the nearest."""
        name = self.get_name(word)
        if name is None:
            hint = nearest(word, [*self._parts, *(alias for part in self.values() for alias in part.aliases)])
            known = f" Did you mean {hint}?" if hint else f" There are {', '.join(self._parts)}."
            raise ConfigError(f"There is no {self.kind} {word!r}.{known}")
        return self._parts[name]

    def owners(self, option: str) -> list[str]:
        """Names of the parts that have this option."""
        return [part.name for part in self.values() if option in part.options]


def load_home(home: str) -> Any:
    """The object at "package.module:name"."""
    module, _, name = home.partition(":")
    return getattr(importlib.import_module(module), name)


def refuse_foreign(given: Mapping[str, Any], parts: tuple[Part, ...], catalogues: tuple[Catalogue[Any], ...]) -> None:
    """Raise ConfigError when an option belongs to none of the chosen parts, saying whose it is and what they have."""
    own = {key for part in parts for key in part.options}
    for key in given:
        if key not in own:
            owners = [name for catalogue in catalogues for name in catalogue.owners(key)]
            chosen = " and ".join(part.name for part in parts)
            has = f"has {', '.join(sorted(own))}" if own else "has no options"
            raise ConfigError(
                f"{catalogues[0].section}.{key} is not an option of {chosen}, which {has}. "
                f"It belongs to {', '.join(owners[:8])}."
            )


def _plain(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter not in " -_")


def _as_type_of(default: Any, value: Any, path: str) -> Any:
    """The value in the type of the default; whole numbers pass as floats, and None passes where None is the default."""
    if value is None or default is None:
        return value
    kind = type(default)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is tuple and isinstance(value, list | tuple):
        return tuple(value)
    if kind is tuple and isinstance(value, int | float | str):
        return (value,)
    if type(value) is not kind:
        named = {int: "a whole number", float: "a number", bool: "true or false", str: "a word", tuple: "a list"}[kind]
        raise ConfigError(f"{path}={value!r} is not accepted: expected {named}, such as {default}.")
    return value
