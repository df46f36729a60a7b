"""Commands that list what there is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from limpid.commands.options import Json


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    learning = (losses, optimizers, schedules, companions, surfaces)
    networks = (models, activations, initializers, regularizers, augmentations)
    for command in (*networks, *learning, show, datasets, options):
        app.command()(command)


def models(json: Json = False) -> None:
    """List the architectures with their size and work (multiply-adds of one sample, at the size of images shown).

    torchvision's and timm's other names work too, and so does a pattern of layers such as "[conv32-relu-pool]*2 fc".
    """
    from limpid.catalogue.models import MODELS

    rows = []
    for part in MODELS.values():
        size, work = (part.counted.parameters, part.counted.macs) if part.counted else (None, None)
        row: dict[str, Any] = {"name": part.name, "data": ", ".join(part.kinds), "year": part.year}
        row["input"] = " x ".join(map(str, part.counted.input_shape)) if part.counted else ""
        row["parameters"] = size if json else _grouped(size, width=11)
        row["macs"] = work if json else _grouped(work, width=14)
        row["what"] = part.what
        row["published"] = "; ".join(f"{figure} {value}" for figure, value in part.published.items())
        rows.append(row)
    _print(rows, json)


def _grouped(number: int | None, *, width: int) -> str:
    return "" if number is None else f"{number:>{width},}"


def losses(json: Json = False) -> None:
    """List the losses (objective.loss), with the tasks that they are for."""
    from limpid.catalogue.losses import LOSSES

    _print([{"name": p.name, "tasks": ", ".join(p.tasks), "what": p.what} for p in LOSSES.values()], json)


def optimizers(json: Json = False) -> None:
    """List the optimisers (optim.name), with their default learning rates."""
    from limpid.catalogue.optimizers import OPTIMIZERS

    _print([{"name": p.name, "lr": p.lr, "year": p.year, "what": p.what} for p in OPTIMIZERS.values()], json)


def schedules(json: Json = False) -> None:
    """List the courses of the learning rate (optim.schedule)."""
    from limpid.catalogue.schedules import SCHEDULES

    _print_parts(SCHEDULES, json)


def companions(json: Json = False) -> None:
    """List what goes around any optimiser: averages of the weights, slow weights, steps against sharpness."""
    from limpid.catalogue.companions import COMPANIONS

    _print_parts(COMPANIONS, json)


def surfaces(json: Json = False) -> None:
    """List the surfaces of `limpid race`: losses of two parameters, each with one difficulty of optimisation."""
    from limpid.catalogue.surfaces import SURFACES

    rows = []
    for part in SURFACES.values():
        row: dict[str, Any] = {"name": part.name, "difficulty": part.difficulty, "year": part.year, "what": part.what}
        if json:
            row |= {"formula": part.formula, "source": part.source, "pitfall": part.pitfall, "start": part.start}
            row |= {"minima": part.minima, "least": part.least}
            row |= {"local_minima": part.local_minima, "saddles": part.saddles}
        rows.append(row)
    _print(rows, json)


def activations(json: Json = False) -> None:
    """List the activations (model.activation)."""
    from limpid.catalogue.activations import ACTIVATIONS

    _print_parts(ACTIVATIONS, json)


def initializers(json: Json = False) -> None:
    """List the ways to draw the first weights (model.init)."""
    from limpid.catalogue.initializers import INITIALIZERS

    _print_parts(INITIALIZERS, json)


def regularizers(json: Json = False) -> None:
    """List what holds a network back from memorising, and the options that switch it on."""
    from limpid.catalogue.regularizers import REGULARIZERS

    _print_parts(REGULARIZERS, json)


def augmentations(json: Json = False) -> None:
    """List the random changes of training images (section augment)."""
    from limpid.catalogue.augmentations import AUGMENTATIONS

    _print_parts(AUGMENTATIONS, json)


def show(
    name: Annotated[str, typer.Argument(help="a model, loss, optimizer, schedule, ..., by any of its names")],
) -> None:
    """Tell all about one part: formula, source, options with their defaults, pitfalls."""
    from limpid.catalogue.kinds import describe, find_everywhere

    texts = []
    for kind, part in find_everywhere(name):
        texts.append(describe(kind, part))
        if kind.kind == "schedule":
            from limpid.commands.course import course_line

            texts[-1] += "\n" + course_line(part)
    print("\n\n".join(texts))


def datasets(json: Json = False) -> None:
    """List the data sets that have a name."""
    from limpid.workbench import list_datasets

    _print(list_datasets(), json)


def options(json: Json = False) -> None:
    """List every option that a TOML file or --set accepts, with what it means and its default."""
    from limpid.config import Config
    from limpid.config_reader import known_keys

    plain = Config().model_dump(mode="json")
    rows = []
    for path, what in known_keys().items():
        section, _, key = path.partition(".")
        default = plain[section].get(key)
        rows.append({"option": path, "default": "chosen" if default in (None, "auto") else default, "what": what})
    _print(rows, json)


def _print_parts(catalogue: Any, json: bool) -> None:
    _print([{"name": p.name, "year": p.year, "what": p.what} for p in catalogue.values()], json)


def _print(rows: list[dict[str, Any]], json: bool) -> None:
    from limpid.reporting.terminal import print_table

    print_table(rows, json=json)
