"""Command that shows what a network makes of a row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limpid.commands.options import Quiet, RunFolder


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(explain)


def explain(
    run: RunFolder,
    row: Annotated[int, typer.Option(min=0, help="row of the validation split, from 0")] = 0,
    out: Annotated[Path | None, typer.Option(help="HTML file to write; the numbers go beside it, as .json")] = None,
    quiet: Quiet = False,
) -> None:
    """Show what a run's network makes of one row: every operation with its value and the gradient of the loss.

    Writes a page that opens offline and the numbers behind it.
    """
    from limpid.finished import explain as explain_run

    page = explain_run(run, row=row, out=out)
    if not quiet:
        print(page)
