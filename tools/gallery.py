"""docs/GALLERY.md: every part that can be named, found by any word that people use for it. `make gallery` writes it.

The page is made of the catalogues alone, so that it cannot say anything else than `limpid show` does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limpid.catalogue.kinds import KINDS
from limpid.catalogue.model_part import ModelPart
from limpid.catalogue.part import Catalogue, Option, Part
from limpid.catalogue.surface_part import SurfacePart
from limpid.data.sources import named_sources
from limpid.recipe import load_recipe, recipe_names

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "GALLERY.md"
HEAD = """# Gallery

Every part that a run can name, by kind. `limpid show NAME` prints one of them in the terminal, by any of its names; the
[index](#index) at the end lists all words. `make gallery` writes this page from the catalogues: change them, not it.
"""
TITLES = {
    "model": ("Models", "`--model NAME`; any architecture of torchvision and timm goes by its own name too."),
    "loss": ("Losses", "`--loss NAME`"),
    "optimizer": ("Optimisers", "`--optimizer NAME`"),
    "companion of an optimizer": ("Companions of optimisers", "Wrap any optimiser: `limpid show NAME` says how."),
    "schedule": ("Schedules", "`--schedule NAME`: the course of the learning rate"),
    "activation": ("Activations", '`--set model.activation="NAME"`'),
    "initializer": ("Initialisers", "`--set model.init=NAME`: the first weights"),
    "regularizer": ("Regularisers", "What holds a network back from memorising; each line says what switches it on."),
    "augmentation": ("Augmentations", "`--set augment.NAME=...`: random changes of training images"),
    "surface": ("Surfaces", "`limpid race NAME`: what makes optimisation hard, as losses of two parameters"),
}


def page() -> str:
    """The whole page as text."""
    blocks = [HEAD, _contents()]
    for kind in KINDS:
        title, how = _title(kind)
        blocks.append(f"## {title}\n\n{how}\n" if how else f"## {title}\n")
        blocks += [_entry(kind, part) for part in kind.values()]
    blocks += [_recipes(), _data_sets(), _index()]
    return "\n".join(blocks)


def anchor(kind: Catalogue[Any], part: Part) -> str:
    """The address of a part on the page: one each, also where two kinds share a name."""
    return f"{kind.kind}-{part.name}".replace("_", "-").replace(" ", "-")


def _title(kind: Catalogue[Any]) -> tuple[str, str]:
    return TITLES.get(kind.kind, (f"{kind.kind.capitalize()}s", ""))


def _contents() -> str:
    titles = [*(_title(kind)[0] for kind in KINDS), "Recipes", "Data sets", "Index"]
    return "\n".join(f"- [{title}](#{title.lower().replace(' ', '-')})" for title in titles) + "\n"


def _entry(kind: Catalogue[Any], part: Part) -> str:
    year = f", {part.year}" if part.year is not None and str(part.year) not in part.source else ""
    lines = [
        f'<a id="{anchor(kind, part)}"></a>',
        f"### {part.name}",
        "",
        f"{_plain(part.what[0].upper() + part.what[1:])}.",
        "",
    ]
    if part.aliases:
        lines.append(f"- also known as: {_plain(', '.join(part.aliases))}")
    if part.formula:
        lines.append(f"- formula: `{part.formula.replace('`', '')}`")
    lines.append(f"- source: {_plain(part.source)}{year}")
    if isinstance(part, ModelPart):
        lines += _model_lines(part)
    if isinstance(part, SurfacePart):
        lines += [f"- {name}: {_plain(value)}" for name, value in part.facts()]
    if part.pitfall:
        lines.append(f"- mind: {_plain(part.pitfall)}")
    if part.options:
        lines.append("- options:")
        lines += [f"  - {line}" for line in _option_lines(kind, part)]
    return "\n".join(lines) + "\n"


def _model_lines(part: ModelPart) -> Iterator[str]:
    yield f"- data: {', '.join(part.kinds)}; tasks: {', '.join(part.tasks)}"
    for figure, value in part.published.items():
        yield f"- published {_plain(figure)}: {_plain(value)}"
    if part.counted is not None:
        shape = " x ".join(map(str, part.counted.input_shape))
        yield f"- counted at {shape}: {part.counted.parameters:,} parameters, {part.counted.macs:,} multiply-adds"


def _option_lines(kind: Catalogue[Any], part: Part) -> Iterator[str]:
    called = "." in kind.section
    for name, option in part.options.items():
        path = name if called else f"{kind.section}.{name}"
        yield f"`{path} = {option.default}`: {_plain(option.what)}{_limits(option)}"


def _limits(option: Option) -> str:
    limits = option.range_text() or (f"one of {', '.join(map(str, option.choices))}" if option.choices else "")
    return f" ({_plain(limits)})" if limits else ""


def _recipes() -> str:
    lines = ["## Recipes", "", "Complete settings by name; `limpid recipes NAME` prints one to copy and change.", ""]
    for name in recipe_names():
        recipe = load_recipe(name)
        lines.append(f"- [{name}](../limpid/recipes/{name}.toml): {_plain(recipe.what)}. `{recipe.start}`")
    return "\n".join(lines) + "\n"


def _data_sets() -> str:
    lines = [
        "## Data sets",
        "",
        "`limpid train NAME`; anything else is a file, a folder or an archive of your own.",
        "",
    ]
    lines += [f"- {name}: {_plain(what)}" for name, what in named_sources().items()]
    return "\n".join(lines) + "\n"


def words() -> dict[str, list[tuple[Catalogue[Any], Part]]]:
    """Every name and every other word, with the parts that go by it, in alphabetical order."""
    found: dict[str, list[tuple[Catalogue[Any], Part]]] = {}
    for kind in KINDS:
        for part in kind.values():
            for word in (part.name, *part.aliases):
                found.setdefault(word, []).append((kind, part))
    return dict(sorted(found.items(), key=lambda item: (item[0].lower(), item[0])))


def _index() -> str:
    lines = ["## Index", ""]
    for word, parts in words().items():
        links = [f"[{part.name}](#{anchor(kind, part)}) ({kind.kind})" for kind, part in parts]
        lines.append(f"- {_plain(word)}: {', '.join(links)}")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text in which Markdown sees no markup: formulas and names hold stars, underscores and angle brackets."""
    return re.sub(r"([\\*_<>|\[\]])", r"\\\1", text)


def main(path: Path = PAGE) -> int:
    path.parent.mkdir(exist_ok=True)
    path.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
