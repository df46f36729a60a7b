"""Command that audits labels and rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limpid.commands.options import Json, Quiet


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(audit)


def audit(
    source: Annotated[str, typer.Argument(help="built-in name, file, folder or archive; or a run folder")],
    target: Annotated[list[str] | None, typer.Option(help="column to predict (repeat for several)")] = None,
    data_dir: Annotated[str | None, typer.Option(help="folder with local copies of named data sets")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with options by section")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value (repeatable)")] = None,
    apply: Annotated[
        Path | None, typer.Option(help="edited table: apply it first, and keep its decisions in the new one")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder to write suspects.csv and gallery.html into")] = Path("audit"),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find rows to look at: labels that are probably wrong, copies, leaks, the hardest; as a table and a page.

    Choose keep, drop or relabel on the page (or in the table's column `action`), and train with
    --set data.corrections=FILE.
    """
    from limpid.config import Config
    from limpid.config_reader import load_config, override
    from limpid.practice.auditing import GALLERY, TABLE
    from limpid.practice.auditing import audit as audit_source
    from limpid.reporting.progress import json_line

    given = override(load_config(config) if config else Config(), set_ or ())
    named = {"target": target, "data_dir": data_dir}
    options = {name: value for name, value in named.items() if value}
    if (Path(source) / "run.json").is_file():
        assigned = given.model_dump(exclude_unset=True)
        options |= {f"{section}__{key}": value for section, keys in assigned.items() for key, value in keys.items()}
    found = audit_source(source, config=given, apply=apply, out=out, **options)
    if json:
        print(json_line(found.to_row() | {"table": str(out / TABLE), "gallery": str(out / GALLERY)}))
    elif not quiet:
        print("\n".join(found.lines()))
        print(f"table    {out / TABLE}")
        print(f"gallery  {out / GALLERY}")
