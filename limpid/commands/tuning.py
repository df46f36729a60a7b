"""The command that searches for better settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from limpid.commands.options import Json, Quiet, also_taking, given_config
from limpid.errors import ConfigError
from limpid.fork_server import expect_workers

SAMPLERS = "random (unless given), grid, quasi-random, two-stage, tpe, gp, cma-es or evolution"
NOT_SEARCHED = ("tensorboard", "mlflow", "folds", "bag", "sizes")  # options of train that a search has no use for


def add_to(app: typer.Typer, train: Callable[..., Any]) -> None:
    """Register the command, with the options of `train` that say what is trained on what."""
    app.command()(also_taking(train, but=NOT_SEARCHED)(tune))


def tune(
    space: Annotated[Path | None, typer.Option(help="TOML file with a table for each knob; else a default one")] = None,
    architectures: Annotated[
        bool, typer.Option("--architectures", help="search the network itself, layer by layer")
    ] = False,
    budget: Annotated[int | None, typer.Option(help="trials (25); with --resume, a larger one extends")] = None,
    time: Annotated[str | None, typer.Option(help="after which no trial begins: 90s, 10m, 1h")] = None,
    metric: Annotated[str | None, typer.Option(help="validation figure that trials are judged by")] = None,
    sampler: Annotated[str | None, typer.Option(help=SAMPLERS)] = None,
    pruner: Annotated[str | None, typer.Option(help="none (unless given), median, halving or hyperband")] = None,
    seeds: Annotated[int | None, typer.Option(help="fresh seeds for each of the best three trials (3)")] = None,
    on: Annotated[
        str | None, typer.Option(help="auto, stacked, stacks, processes, one-by-one, ray, or an address")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="folder of a search to go on with, or to extend")] = None,
    show: Annotated[Path | None, typer.Option(help="folder of a search to look at, finished or running")] = None,
    json: Json = False,
    quiet: Quiet = False,
    **named: Any,
) -> None:
    """Search for better settings: train many configurations, and the best of them again from fresh seeds.

    Trials learn from the training rows and are judged on the validation rows; the test rows are read once, for the
    winner, which is a run of its own in best/. best.toml trains it again: limpid train --config best.toml.

    Options of train fix what is not to be searched: --lr 0.01 takes the rate out of the default space.
    """
    if show is None:
        expect_workers(on, budget or 0)
    from limpid.reporting.search_screen import SearchScreen

    screen = SearchScreen(quiet=quiet, json=json)
    given = {name: value for name, value in named.items() if value not in (None, [])}
    if show is not None:
        from limpid.record.run import Run

        screen.show(Run.open(show))
        return
    from limpid.search.tuning import tune as search

    if resume is not None:
        asked = {"space": space, "metric": metric, "sampler": sampler, "pruner": pruner, "seeds": seeds, **given}
        asked["architectures"] = architectures or None
        refused = [name.rstrip("_") for name, value in asked.items() if value is not None]
        if refused:
            word = refused[0] if refused[0] == "source" else f"--{refused[0].replace('_', '-')}"
            raise ConfigError(f"--resume goes on with what the search has; leave out {word}.")
        result = search(resume=resume, budget=budget, time=time, on=on, observer=screen)
    else:
        flags = {name: given.pop(name) for name in ("source", "model", "recipe") if name in given}
        config = given_config(given, given.pop("config", None), given.pop("set_", ()))
        result = search(
            flags.pop("source", None),
            config=config,
            space=space,
            architectures=architectures,
            budget=budget,
            time=time,
            metric=metric,
            sampler=sampler,
            pruner=pruner,
            seeds=seeds,
            on=on,
            observer=screen,
            **flags,
        )
    screen.result(result.run)
