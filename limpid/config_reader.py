"""From texts, files and keywords to a validated `Config`.

Values come, in rising order of precedence, from the defaults, a TOML file, and `section.key=value` assignments. An
unknown key is refused with the nearest known one.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from limpid.config import Config
from limpid.errors import ConfigError, nearest
from limpid.population_words import spell_out
from limpid.section import PartSection

# Short names of the options that people type most, on the command line (with dashes) and as keywords in Python.
SHORT_NAMES = {
    **{key: f"data.{key}" for key in ("target", "drop", "types", "header", "task", "test", "split", "size", "noise")},
    **{key: f"data.{key}" for key in ("data_dir", "image_size", "skip_bad")},
    **{key: f"data.{key}" for key in ("form", "window", "horizon", "context", "tokens")},
    "hidden": "model.hidden",
    "dropout": "model.dropout",
    "pretrained": "model.pretrained",
    "start": "model.start",
    "freeze": "model.freeze",
    "loss": "objective.loss",
    "label_smoothing": "objective.label_smoothing",
    "class_weights": "objective.class_weights",
    "optimizer": "optim.name",
    "lr": "optim.lr",
    "weight_decay": "optim.weight_decay",
    "schedule": "optim.schedule",
    "clip_norm": "optim.clip_norm",
    "accumulate": "optim.accumulate",
    "ema": "optim.ema",
    **{key: f"training.{key}" for key in ("epochs", "batch_size", "seed", "precision", "device", "patience")},
    "on": "training.on",
    "out": "record.out",
    "tensorboard": "record.tensorboard",
    "mlflow": "record.mlflow",
}


def config_from_dict(values: Mapping[str, Any], *, origin: str = "configuration") -> Config:
    """Validate nested plain values into a `Config`.

    Raises ConfigError naming the key, what it accepts, and for an unknown key the nearest known one.
    """
    try:
        return Config.model_validate(_lists_to_tuples(values))
    except ValidationError as error:
        raise ConfigError(_explain(error, origin)) from None


def load_config(path: str | Path) -> Config:
    """Read a TOML file of sections. Raises ConfigError when it is missing, not TOML, or does not validate."""
    return config_from_dict(read_toml(path, "no such configuration file."), origin=str(path))


def read_toml(path: str | Path, missing: str) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigError, which says `missing` where there is no such file."""
    file = Path(path)
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: {missing}") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}. Expected a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from None


def override(config: Config, assignments: Iterable[str]) -> Config:
    """Apply `section.key=value` texts; a value is read as TOML and, failing that, as a plain string.

    >>> override(Config(), ["optim.lr=3e-3"]).optim.lr
    0.003
    """
    values = config.model_dump(exclude_unset=True)
    for text in assignments:
        path, separator, literal = text.partition("=")
        section, dot, key = path.strip().partition(".")
        if not separator or not dot:
            raise ConfigError(f"--set {text}: expected section.key=value, for example --set optim.lr=0.01.")
        if section in Config.model_fields:
            literal = _as_declared(section, key, literal.strip())
        values.setdefault(section, {})
        values[section] = {**values[section], key: literal}
    return config_from_dict(values, origin="--set")


def with_options(config: Config, options: Mapping[str, Any]) -> Config:
    """Set options by short name (`lr`) or by section and key with two underscores (`optim__lr`).

    `seeds`, `folds`, `bag` and `sizes` ask for several networks; see limpid/population_words.py. A single text or
    number is accepted where a list is meant. Raises ConfigError for an unknown name.

    >>> with_options(Config(), {"lr": 0.1, "training__threads": 1}).training.threads
    1
    """
    values = config.model_dump(exclude_unset=True)
    for name, value in spell_out(options).items():
        path = SHORT_NAMES.get(name, name.replace("__", "."))
        section, dot, key = path.partition(".")
        if not dot:
            hint = nearest(name, [*SHORT_NAMES, *known_keys()])
            raise ConfigError(f"{name} is not an option." + (f" Nearest: {hint}." if hint else ""))
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        is_list = _is_list(section, key) and value != "balanced"
        if is_list and isinstance(value, str | int | float):
            value = (str(value),) if section == "data" else (value,)
        if is_list and isinstance(value, list | tuple) and section == "data":
            value = tuple(str(item) for item in value)
        values[section] = {**values.get(section, {}), key: value}
    return config_from_dict(values, origin="options")


def known_keys() -> dict[str, str]:
    """Every `section.key` with its one-line description, in order; a section's own keys before those of its parts."""
    keys = {}
    for section, field in Config.model_fields.items():
        kind: Any = field.annotation
        for key, option in kind.model_fields.items():
            if key != "options":
                keys[f"{section}.{key}"] = option.description or ""
        for key in kind.part_options() if issubclass(kind, PartSection) else ():
            owners = kind.owners(key)
            keys[f"{section}.{key}"] = f"{', '.join(part.name for part in owners)}: {owners[0].options[key].what}"
    return keys


def _as_declared(section: str, key: str, literal: str) -> Any:
    """Read a literal as TOML; a comma-separated text becomes a list where the option is one."""
    try:
        value = tomllib.loads(f"value = {literal}")["value"]
    except tomllib.TOMLDecodeError:
        value = _number_or_text(literal)
        if literal.lower() in ("true", "false"):
            value = literal.lower() == "true"
        elif literal.lower() == "none" and not _is_word(section, key, "none"):
            value = None
    several = isinstance(value, str) and "," in value and _is_list(section, key, of_any=True)
    if (several or _is_list(section, key)) and not isinstance(value, list):
        if isinstance(value, str) and value not in ("balanced",):
            return [_number_or_text(part.strip()) for part in value.split(",") if part.strip()]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return [value]
    return value


def _is_word(section: str, key: str, word: str) -> bool:
    """Whether this word is one of the option's choices."""
    field = Config.model_fields[section].annotation.model_fields.get(key)  # type: ignore[union-attr]
    return field is not None and f"'{word}'" in str(field.annotation)


def _is_list(section: str, key: str, *, of_any: bool = False) -> bool:
    """Whether the option holds several values: for every part that has it, or for any of them."""
    if section not in Config.model_fields:
        return False
    kind: Any = Config.model_fields[section].annotation
    if key in kind.model_fields:
        return "tuple" in str(kind.model_fields[key].annotation)
    parts = kind.owners(key) if issubclass(kind, PartSection) else []
    lists = [isinstance(part.options[key].default, tuple) for part in parts]
    return any(lists) if of_any else bool(lists) and all(lists)


def _number_or_text(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _lists_to_tuples(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {key: _lists_to_tuples(value) for key, value in values.items()}
    return tuple(values) if isinstance(values, list) else values


def _explain(error: ValidationError, origin: str) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"][:2])
        if problem["loc"][:2] == ("data", "types") and len(problem["loc"]) > 2:
            name = f"{name}.{problem['loc'][2]}"
        if problem["type"] == "extra_forbidden":
            hint = nearest(name, [*known_keys(), *Config.model_fields])
            described = f" Nearest: {hint} ({known_keys().get(hint, 'a section')})." if hint else ""
            lines.append(f"{origin}: {name} is not an option.{described}")
        else:
            given = problem.get("input")
            lines.append(f"{origin}: {name} = {given!r} is not accepted: {problem['msg'].lower()}.")
    return "\n".join(dict.fromkeys(lines))
