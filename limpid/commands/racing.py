"""The command that lets optimisers race on difficult surfaces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limpid.commands.options import Json


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(race)


def race(
    surfaces: Annotated[
        list[str] | None, typer.Argument(help="by name, all unless given; see `limpid surfaces`")
    ] = None,
    optimizers: Annotated[
        str | None, typer.Option(help='such as adam,"sgd(momentum=0)"; else plain descent and all that there are')
    ] = None,
    steps: Annotated[int, typer.Option(help="updates of each", min=20, max=2000)] = 200,
    seed: Annotated[int, typer.Option(help="of the samples that stochastic surfaces draw", min=0, max=2**31 - 1)] = 0,
    out: Annotated[Path, typer.Option(help="folder to write race.html, ranking.csv and traces.csv into")] = Path(
        "race"
    ),
    json: Json = False,
) -> None:
    """Let optimisers race on surfaces that are hard in one way each: who wins where, as a table and a page.

    Everybody starts at the same point and gets the same number of learning rates to choose from.
    """
    from limpid.practice.race import race as run_race
    from limpid.practice.race import split_calls
    from limpid.practice.race_files import check_folder, write_race
    from limpid.practice.race_record import race_record
    from limpid.reporting.race_lines import race_lines
    from limpid.reporting.terminal import print_table

    check_folder(out)
    done = run_race(surfaces or (), split_calls(optimizers or ""), num_steps=steps, seed=seed)
    record = race_record(done)
    page = write_race(done, record, out)
    if json:
        print_table([*done.ranking(), {"conclusions": done.conclusions, "page": str(page)}], json=True)
        return
    print("\n".join(race_lines(record)))
    print(f"page     {page}")
