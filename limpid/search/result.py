"""What a search has found, read from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpid.record.run import Run
from limpid.search.folder import BEST, BEST_CONFIG, FINAL
from limpid.search.space import Params

Row = dict[str, Any]


@dataclass(frozen=True)
class SearchResult:
    """What a search has found.

    Attributes:
        run: its record; `path` is its folder.
        winner: the row that says who won.
    """

    run: Run
    winner: Row

    @property
    def path(self) -> Path:
        """The folder of the search."""
        return self.run.path

    @property
    def best(self) -> Params:
        """Values of the winner, by option."""
        return dict(self.winner["params"])

    @property
    def best_run(self) -> Run:
        """The winner's run: `limpid.predict(search.best_run, ...)`."""
        return Run.open(self.path / BEST)

    @property
    def best_config(self) -> Path:
        """The winner's complete configuration, as TOML."""
        return self.path / BEST_CONFIG

    @property
    def trials(self) -> list[Row]:
        """A row for each trial, by number: params, state, figure, and what else came of it."""
        rows = [row for row in self.run.events("member") if row["stage"] != FINAL]
        return sorted(rows, key=lambda row: row["number"])

    @property
    def finals(self) -> list[Row]:
        """A row for each finalist and seed."""
        return [row for row in self.run.events("member") if row["stage"] == FINAL]
