"""Commands of the doctor: check before training, diagnose after it, and list the checks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from limpid.commands.options import Json, RunFolder

FailOn = Annotated[
    str | None, typer.Option("--fail-on", help="note, warning or stop: exit with 3 if a finding is as grave")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (check, diagnose, checks):
        app.command()(command)


def check(
    source: Annotated[str, typer.Argument(help="built-in name, file, folder or archive")],
    target: Annotated[list[str] | None, typer.Option(help="column to predict (repeat for several)")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="architecture; see `limpid models`")] = None,
    recipe: Annotated[str | None, typer.Option(help="settings to begin with; see `limpid recipes`")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with options by section")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value (repeatable)")] = None,
    fail_on: FailOn = None,
    json: Json = False,
) -> None:
    """Examine data, network and their wiring before training: what would go wrong, and how good simple rivals are."""
    from limpid.config import Config
    from limpid.config_reader import load_config, override, with_options
    from limpid.workbench import check as check_source

    given = with_options(load_config(config) if config else Config(), {"target": target} if target else {})
    options: dict[str, Any] = {} if recipe is None else {"recipe": recipe}
    _print(check_source(source, model=model, config=override(given, set_ or ()), **options), fail_on, json)


def diagnose(
    run: RunFolder,
    treat: Annotated[bool, typer.Option("--treat", help="try the remedies, and train what really helps")] = False,
    budget: Annotated[str, typer.Option(help="of --treat: 90s, 5m, 1h or 20000 steps, without the new run")] = "5m",
    out: Annotated[Path | None, typer.Option(help="of --treat: folder of the new run")] = None,
    fail_on: FailOn = None,
    json: Json = False,
) -> None:
    """Say what the record of a run or a search shows: findings ranked by cause, or that nothing wrong was found."""
    from limpid.errors import ConfigError
    from limpid.record.run import open_run
    from limpid.workbench import diagnose as diagnose_run

    if treat and open_run(run).header.get("kind") == "search":
        diagnose_run(run, treat=True)  # says what is to be done instead
    if treat and fail_on is not None:
        raise ConfigError("--fail-on judges a run, --treat mends it: give one of them.")
    diagnosis = diagnose_run(run, tell=None if json else lambda line: print(line, file=sys.stderr))
    if treat:
        from limpid.commands.treating import treat as treat_run

        _print(diagnosis, None, json)
        treat_run(run, diagnosis, budget=budget, out=out, json=json)
    else:
        _print(diagnosis, fail_on, json)


def checks(json: Json = False) -> None:
    """List the doctor's checks: what each asks, when it can answer, and how often it was right in the clinic."""
    from limpid.doctor.checks import CHECKS
    from limpid.doctor.error_rates import UNKNOWN, error_rates
    from limpid.reporting.terminal import print_table

    rates = error_rates()
    rows = [
        {"code": c.code, "name": c.name, "when": c.when, **rates.get(c.code, UNKNOWN).cells(), "question": c.question}
        for c in CHECKS.values()
    ]
    print_table(rows, json=json)


def _print(diagnosis: Any, fail_on: str | None, json: bool) -> None:
    from limpid.doctor.finding import LEVELS
    from limpid.errors import ConfigError
    from limpid.reporting.finding_lines import diagnosis_lines
    from limpid.reporting.progress import json_line

    if fail_on is not None and fail_on not in LEVELS:
        raise ConfigError(f"--fail-on {fail_on}: expected {', '.join(LEVELS)}.")
    row = diagnosis.to_row()
    print(json_line(row) if json else "\n".join(diagnosis_lines(row)))
    if fail_on and any(LEVELS.index(finding.level) >= LEVELS.index(fail_on) for finding in diagnosis.findings):
        sys.exit(3)
