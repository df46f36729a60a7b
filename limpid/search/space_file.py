"""A search space as a TOML file: a table for each knob, by its name in the configuration.

    [optim.lr]
    low = 1e-4
    high = 1e-1
    scale = "log"                       # linear, unless said

    [model.hidden]
    choices = [[64], [128], [64, 64]]

    [optim.name]
    choices = ["sgd", "adamw"]

    [optim.momentum]                    # asked only beside sgd
    low = 0.5
    high = 0.99
    when = { "optim.name" = "sgd" }     # one value, or a list of them
    why = "momentum below a half is none"

Options that are whole numbers (training.batch_size) are searched as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limpid.config import Config
from limpid.config_reader import known_keys, read_toml, with_options
from limpid.errors import ConfigError, nearest
from limpid.search.knob import Knob, frozen
from limpid.search.space import Space
from limpid.section import PartSection

KEYS = ("low", "high", "scale", "choices", "when", "why")
SCALES = ("linear", "log")


def load_space(path: str | Path) -> Space:
    """Read a space. Raises ConfigError that names file, table, key and the nearest known one."""
    tables = read_toml(path, "no such file. A search space is a TOML file with a table for each knob.")
    return space_of(tables, origin=str(path))


def space_of(values: Mapping[str, Any], *, origin: str) -> Space:
    """The space of nested tables, as TOML gives them: {"optim": {"lr": {"low": 1e-4, ...}}}. Raises ConfigError."""
    knobs = []
    for section, tables in values.items():
        if section not in Config.model_fields:
            hint = nearest(section, Config.model_fields)
            raise ConfigError(
                f"{origin}: [{section}] is no section of the configuration."
                + (f" Did you mean {hint}?" if hint else f" There are {', '.join(Config.model_fields)}.")
            )
        if not isinstance(tables, Mapping):
            raise ConfigError(f"{origin}: {section} = {tables!r} is no knob. Write a table such as [{section}.KEY].")
        for key, table in tables.items():
            knobs.append(read_knob(f"{section}.{key}", table, origin))
    return Space(tuple(_conditions_last(knobs)), origin)


def read_knob(path: str, table: Any, origin: str) -> Knob:
    """One knob from its table. Raises ConfigError."""
    known = known_keys()
    if path not in known:
        hint = nearest(path, known)
        described = f" Nearest: {hint} ({known[hint]})." if hint else ""
        raise ConfigError(f"{origin}: [{path}] is not an option.{described}")
    where = f"{origin}: [{path}]"
    if not isinstance(table, Mapping):
        raise ConfigError(
            f"{where} = {table!r} is one value, which a search does not vary. "
            f"Give low and high, or choices; or set it with --set {path}={table}."
        )
    for key in table:
        if key not in KEYS:
            hint = nearest(key, KEYS)
            raise ConfigError(
                f"{where}: {key} is not known." + (f" Did you mean {hint}?" if hint else f" Use {', '.join(KEYS)}.")
            )
    why = table.get("why", "")
    if not isinstance(why, str):
        raise ConfigError(f"{where}: why = {why!r}: expected a text.")
    when = _condition(table.get("when", {}), where)
    if "choices" in table:
        return _checked(_choice(path, table, where, when, why), origin)
    return _checked(_range(path, table, where, when, why), origin)


def _choice(path: str, table: Mapping[str, Any], where: str, when: dict[str, tuple[Any, ...]], why: str) -> Knob:
    spare = [key for key in ("low", "high", "scale") if key in table]
    if spare:
        raise ConfigError(f"{where}: choices and {spare[0]} exclude each other. Keep one of them.")
    choices = table["choices"]
    if not isinstance(choices, list | tuple) or not choices:
        raise ConfigError(f"{where}: choices = {choices!r}: expected a list of values, such as [16, 32, 64].")
    values = tuple(frozen(choice) for choice in choices)
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ConfigError(f"{where}: choices holds {value!r} twice.")
    return Knob(path, "choice", choices=values, when=when, why=why)


def _range(path: str, table: Mapping[str, Any], where: str, when: dict[str, tuple[Any, ...]], why: str) -> Knob:
    for key in ("low", "high"):
        value = table.get(key)
        if value is None:
            raise ConfigError(f"{where}: {key} is missing. Give low and high, or choices.")
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or value != value
            or abs(value) == float("inf")
        ):
            raise ConfigError(f"{where}: {key} = {value!r}: expected a number.")
    low, high, scale = table["low"], table["high"], table.get("scale", "linear")
    if scale not in SCALES:
        raise ConfigError(f"{where}: scale = {scale!r}: expected {' or '.join(SCALES)}.")
    if low >= high:
        raise ConfigError(f"{where}: low = {low:g} is not below high = {high:g}. Exchange them, or set the option.")
    if scale == "log" and low <= 0:
        raise ConfigError(f"{where}: low = {low:g} has no place on a log scale. Give a low above 0, or scale = linear.")
    if not is_whole(path):
        return Knob(path, "log" if scale == "log" else "linear", float(low), float(high), when=when, why=why)
    for key in ("low", "high"):
        if table[key] != int(table[key]):
            raise ConfigError(f"{where}: {key} = {table[key]}: {path} is a whole number.")
    return Knob(path, "whole", int(low), int(high), log=scale == "log", when=when, why=why)


def is_whole(path: str) -> bool:
    """Whether the option takes whole numbers only."""
    section, _, key = path.partition(".")
    kind: Any = Config.model_fields[section].annotation
    if key in kind.model_fields:
        return "float" not in str(kind.model_fields[key].annotation)
    defaults = [part.options[key].default for part in kind.owners(key)] if issubclass(kind, PartSection) else []
    return all(isinstance(default, int) for default in defaults)


def _checked(knob: Knob, origin: str) -> Knob:
    """The knob, if the configuration takes its values one by one. Raises ConfigError."""
    for value in knob.choices if knob.kind == "choice" else (knob.low, knob.high):
        try:
            with_options(Config(), {knob.path.replace(".", "__"): value})
        except ConfigError as error:
            raise ConfigError(f"{origin}: [{knob.path}]: {str(error).removeprefix('options: ')}") from None
    return knob


def _condition(when: Any, where: str) -> dict[str, tuple[Any, ...]]:
    if not isinstance(when, Mapping):
        raise ConfigError(f'{where}: when = {when!r}: expected a table, such as {{ "optim.name" = "sgd" }}.')
    found: dict[str, tuple[Any, ...]] = {}
    for path, values in _flat(when).items():
        if path not in known_keys():
            hint = nearest(path, known_keys())
            raise ConfigError(
                f"{where}: when names {path}, which is not an option." + (f" Nearest: {hint}." if hint else "")
            )
        found[path] = tuple(frozen(value) for value in values) if isinstance(values, list) else (values,)
    return found


def _flat(when: Mapping[str, Any]) -> dict[str, Any]:
    """Both `"optim.name" = "sgd"` and `optim.name = "sgd"`, which TOML reads as tables in tables."""
    flat: dict[str, Any] = {}
    for key, value in when.items():
        flat |= {f"{key}.{rest}": one for rest, one in value.items()} if isinstance(value, Mapping) else {key: value}
    return flat


def _conditions_last(knobs: list[Knob]) -> list[Knob]:
    """The knobs in their order, each behind those that its condition names; what cannot be so stays, to be refused."""
    waiting, ordered = list(knobs), list[Knob]()
    while waiting:
        placed = {knob.path for knob in ordered}
        ready = next((knob for knob in waiting if set(knob.when) <= placed), waiting[0])
        waiting.remove(ready)
        ordered.append(ready)
    return ordered
