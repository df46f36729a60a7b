"""Commands that make one network of several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limpid.commands.options import Json, Quiet


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(ensemble)


def ensemble(
    runs: Annotated[list[Path], typer.Argument(help="run folders, trained on the same data")],
    out: Annotated[Path | None, typer.Option(help="run folder to write")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Average the answers of several runs, of any architectures, as one network with its own run folder and score.

    To train the members of an ensemble in one go: limpid train ... --set training.members=5.
    """
    from limpid.reporting.terminal import print_result
    from limpid.workbench import ensemble as join_runs

    run = join_runs(*runs, out=out)
    if not quiet:
        print_result(run, json=json)
