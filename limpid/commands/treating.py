"""What `limpid diagnose RUN --treat` does behind the diagnosis."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def treat(run: Path, diagnosis: Any, *, budget: str, out: Path | None, json: bool) -> None:
    """Try the treatments of a diagnosis, show each trial, train what was accepted, and print what came of it."""
    from limpid.reporting.progress import json_line
    from limpid.reporting.terminal import Screen
    from limpid.reporting.therapy_lines import TrialScreen, therapy_lines
    from limpid.workbench import treat as treat_run

    therapy = treat_run(
        run,
        findings=diagnosis.findings,
        budget=budget,
        out=out,
        audience=TrialScreen(budget, quiet=json),
        observer=Screen(quiet=json),
    )
    row = therapy.to_row()
    print(json_line(row) if json else "\n".join(therapy_lines(row)))
