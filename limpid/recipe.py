"""Named, complete settings that are known to work, as TOML files in recipes/: to run, to print, to copy and change.

The first comment of a file says what it is; a comment that begins with "Start:" shows how to run it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpid.config import Config
from limpid.config_reader import config_from_dict
from limpid.errors import ConfigError, nearest
from limpid.section import PartSection

HERE = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """One recipe: its file's text, and the configuration that it sets."""

    name: str
    text: str
    config: Config

    @property
    def what(self) -> str:
        """What it is, in one line."""
        return self.text.splitlines()[0].removeprefix("#").strip()

    @property
    def start(self) -> str:
        """A command that runs it."""
        lines = [
            line.removeprefix("# Start:").strip() for line in self.text.splitlines() if line.startswith("# Start:")
        ]
        return lines[0]


def recipe_names() -> list[str]:
    """Every recipe, in alphabetical order."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def load_recipe(name: str) -> Recipe:
    """The recipe of this name, in any spelling of case, spaces and underscores. Raises ConfigError with the nearest."""
    word = name.lower().replace("_", "-").replace(" ", "-").removesuffix(".toml")
    known = recipe_names()
    if word not in known:
        hint = nearest(word, known)
        raise ConfigError(f"There is no recipe {name!r}. " + (f"Did you mean {hint}?" if hint else ", ".join(known)))
    text = (HERE / f"{word}.toml").read_text(encoding="utf-8")
    return Recipe(word, text, config_from_dict(tomllib.loads(text), origin=f"recipe {word}"))


def build_on(recipe: Config, given: Config) -> Config:
    """The recipe with everything that was given besides put in its place.

    Where another part is given (another model, optimiser, schedule or loss), those options of the recipe are left out
    that neither the new part nor another chosen one has.
    """
    base, over = recipe.model_dump(exclude_unset=True), given.model_dump(exclude_unset=True)
    merged: dict[str, Any] = {}
    for section in Config.model_fields:
        mine, theirs = base.get(section, {}), over.get(section, {})
        values = {**mine, **theirs}
        options = {**_fitting(section, values, mine), **theirs.get("options", {})}
        merged[section] = {**values, **({"options": options} if options else {})}
        if not options:
            merged[section].pop("options", None)
    return config_from_dict({section: values for section, values in merged.items() if values}, origin="recipe")


def _fitting(section: str, values: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's options that still belong to a chosen part, or to no part at all."""
    kind: Any = Config.model_fields[section].annotation
    options: dict[str, Any] = base.get("options", {})
    if not issubclass(kind, PartSection):
        return {}
    chosen = [values.get(key) for key in ("name", "schedule", "loss")]
    parts = [catalogue[name] for catalogue in kind.catalogues for name in chosen if name in catalogue]
    kept = {key for part in parts for key in part.options}
    changed = any(values.get(key) != base.get(key) for key in ("name", "schedule", "loss"))
    return {key: value for key, value in options.items() if not changed or key in kept}
