"""All catalogues together: find a part by any word, and describe it."""

from __future__ import annotations

from typing import Any

from limpid.catalogue.activations import ACTIVATIONS
from limpid.catalogue.augmentations import AUGMENTATIONS
from limpid.catalogue.companions import COMPANIONS
from limpid.catalogue.initializers import INITIALIZERS
from limpid.catalogue.losses import LOSSES
from limpid.catalogue.model_part import ModelPart
from limpid.catalogue.models import MODELS
from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.catalogue.part import Catalogue, Part
from limpid.catalogue.regularizers import REGULARIZERS
from limpid.catalogue.schedules import SCHEDULES
from limpid.catalogue.surface_part import SurfacePart
from limpid.catalogue.surfaces import SURFACES
from limpid.errors import ConfigError, nearest

KINDS: tuple[Catalogue[Any], ...] = (
    MODELS,
    LOSSES,
    OPTIMIZERS,
    COMPANIONS,
    SCHEDULES,
    ACTIVATIONS,
    INITIALIZERS,
    REGULARIZERS,
    AUGMENTATIONS,
    SURFACES,
)


def find_everywhere(word: str) -> list[tuple[Catalogue[Any], Part]]:
    """Every part that goes by this name, of any kind. Raises ConfigError naming the nearest."""
    found = [(kind, kind[name]) for kind in KINDS if (name := kind.get_name(word)) is not None]
    if not found:
        hint = nearest(word, [name for kind in KINDS for name in kind])
        raise ConfigError(f"There is no part {word!r}." + (f" Did you mean {hint}?" if hint else ""))
    return found


def describe(kind: Catalogue[Any], part: Part) -> str:
    """The part as a few lines for people."""
    lines = [f"{part.name} ({kind.kind}): {part.what}"]
    if part.aliases:
        lines.append(f"  also: {', '.join(part.aliases)}")
    if part.formula:
        lines.append(f"  formula: {part.formula}")
    lines.append(f"  source: {part.source}")
    if part.pitfall:
        lines.append(f"  mind: {part.pitfall}")
    if isinstance(part, ModelPart):
        lines += _figures_of(part)
    if isinstance(part, SurfacePart):
        lines += [f"  {name}: {value}" for name, value in part.facts()]
    called = "." in kind.section  # the options stand in brackets behind the name, see call.py
    if called and part.options:
        example = ", ".join(f"{name}={option.default}" for name, option in part.options.items())
        lines.append(f'  written: {kind.section}="{part.name}({example})"')
    for name, option in part.options.items():
        limits = option.range_text() or (f"one of {', '.join(map(str, option.choices))}" if option.choices else "")
        limits = f" ({limits})" if limits else ""
        path = name if called else f"{kind.section}.{name}"
        lines.append(f"  {path} = {option.default}: {option.what}{limits}")
    return "\n".join(lines)


def _figures_of(part: ModelPart) -> list[str]:
    """What was published of an architecture, what we count, and the text that it is, where it is one."""
    lines = [f"  published {figure}: {value}" for figure, value in part.published.items()]
    if part.counted:
        shape = " x ".join(map(str, part.counted.input_shape))
        lines.append(
            f"  counted at {shape}, {part.counted.num_outputs} outputs: {part.counted.parameters:,} parameters, "
            f"{part.counted.macs:,} multiply-adds"
        )
    if part.pattern:
        lines.append(f"  pattern: {part.pattern}")
    return lines
