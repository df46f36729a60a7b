"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunFolder = Annotated[Path, typer.Argument(help="run folder, as printed by train")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object per line instead of text")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="print nothing but errors")]
