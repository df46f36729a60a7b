"""The command that looks for a learning rate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limpid.commands.options import Json


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("lr-find")(lr_find)


def lr_find(
    source: Annotated[str, typer.Argument(help="built-in name, file, folder or archive")],
    target: Annotated[list[str] | None, typer.Option(help="column to predict (repeat for several)")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="architecture; see `limpid models`")] = None,
    optimizer: Annotated[str | None, typer.Option(help="optimiser; see `limpid optimizers`")] = None,
    batch_size: Annotated[int | None, typer.Option(help="samples per step")] = None,
    lowest: Annotated[float, typer.Option(help="first rate")] = 1e-6,
    highest: Annotated[float, typer.Option(help="last rate, unless the loss breaks down before")] = 10.0,
    steps: Annotated[int, typer.Option(help="updates of the test", min=20)] = 200,
    config: Annotated[Path | None, typer.Option(help="TOML file with options by section")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value (repeatable)")] = None,
    json: Json = False,
) -> None:
    """Suggest a learning rate: a short training with a rate that rises until the loss breaks down.

    Nothing is kept of it. The rate suits the peak of a schedule; when in doubt, take a lower one.
    """
    from limpid.config import Config
    from limpid.config_reader import load_config, override, with_options
    from limpid.reporting.terminal import print_table
    from limpid.workbench import find_rate

    named = {"target": target, "optimizer": optimizer, "batch_size": batch_size}
    given = with_options(load_config(config) if config else Config(), {k: v for k, v in named.items() if v})
    given = override(given, set_ or ())
    curve = find_rate(source, model=model, config=given, lowest=lowest, highest=highest, num_steps=steps)
    rows = curve.rows(len(curve.rates) if json else 24)
    if json:
        print_table([*rows, {"suggestion": curve.suggestion, "rule": curve.rule}], json=True)
        return
    print_table([{key: f"{value:.3g}" if key != "step" else value for key, value in row.items()} for row in rows])
    if curve.suggestion is None:
        print(curve.rule)
    else:
        print(f"Suggestion: --lr {curve.suggestion:.1e}, {curve.rule}.")
