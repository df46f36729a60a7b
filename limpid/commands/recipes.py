"""The command that lists and prints recipes."""

from __future__ import annotations

from typing import Annotated

import typer

from limpid.commands.options import Json


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(recipes)


def recipes(
    name: Annotated[str | None, typer.Argument(help="recipe to print, as TOML to copy and change")] = None,
    json: Json = False,
) -> None:
    """List the recipes, complete settings that are known to work, or print one. Run it with train --recipe NAME."""
    from limpid.recipe import load_recipe, recipe_names
    from limpid.reporting.terminal import print_table

    if name is not None:
        print(load_recipe(name).text, end="")
        return
    known = [load_recipe(word) for word in recipe_names()]
    print_table([{"name": r.name, "what": r.what, "start": r.start} for r in known], json=json)
