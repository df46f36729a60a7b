"""A search as it happens: a line for each trial as it ends, and a bar between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from limpid.errors import RecordError
from limpid.record.run import Run
from limpid.record.trial_table import TrialTable
from limpid.reporting.finding_lines import finding_line
from limpid.reporting.progress import Progress
from limpid.reporting.search_lines import TrialLines, heading_lines, result_lines, result_row
from limpid.reporting.terminal import print_data_summary


class SearchScreen:
    """Is told how a search goes, and prints it."""

    def __init__(self, *, quiet: bool = False, json: bool = False, stream: TextIO | None = None) -> None:
        self._quiet, self._json = quiet, json
        self.progress = Progress(quiet=quiet, json=json, stream=stream, unit="epoch")
        self._table: TrialLines | None = None
        self._epochs = 0  # that each network is trained
        self._heard = 0  # epochs of all networks since the bar began

    def begins(self, folder: Any) -> None:
        """The search begins, or goes on with the trials that it has."""
        header, rows = folder.run.header, list(folder.trials.values())
        self._epochs = int(header["epochs"])
        if self._json:
            self._emit("search", path=str(folder.path), space=header["space"], budget=folder.budget)
            for row in folder.run.events("finding"):
                self._emit("finding", **{key: value for key, value in row.items() if key not in ("kind", "time")})
            return
        if not self._quiet:
            print_data_summary(header.get("summary") or {}, header.get("data") or {}, stream=self.progress.stream)
        self._write([finding_line(row) for row in folder.run.events("finding") if row["level"] != "note"])
        self._write(heading_lines(header, folder.budget))
        table = TrialTable(header, [{"kind": "member", **row} for row in rows])
        self._table = TrialLines(table)
        self._write([self._table.heading, *self._table.lines(table.searched)])
        self._expect(folder.budget - len(rows))

    def way(self, text: str) -> None:
        """How networks are trained together, and why."""
        self._emit("way", text=text)  # a search has many of them: on a terminal they would hide its trials

    def epoch(self) -> None:
        """Some network was trained for one more epoch."""
        self._heard += 1
        self.progress.step(self._heard)

    def trial(self, row: Mapping[str, Any], *, best: bool) -> None:
        """A trial has ended; `best`: none was better so far."""
        self._emit("trial", **row, best=best)
        if self._table is not None:
            self._write([self._table.line(self._table.trial_of(row), best=best)])

    def finals(self, count: int) -> None:
        """The finalists are trained from fresh seeds: so many networks more."""
        self._expect(count)

    def final(self, row: Mapping[str, Any]) -> None:
        """A finalist was trained from one more seed."""
        self._emit("final", **row)

    def close(self) -> None:
        """The search is over, for whatever reason."""
        self.progress.close()

    def _expect(self, networks: int) -> None:
        """A bar begins, for as many networks."""
        self._heard = 0
        if not self._json:
            self.progress.start(max(0, networks) * self._epochs, 0)

    def result(self, run: Run) -> None:
        """Who won."""
        if self._json:
            self._emit("result", **result_row(run))
        else:
            self._write(result_lines(run))

    def show(self, run: Run) -> None:
        """A search as its record tells it now, whether it is over or not. Raises RecordError where it is no search."""
        if run.header.get("kind") != "search":
            raise RecordError(f"{run.path} is no search. To look at a training: limpid report {run.path}")
        if not self._json:
            table = TrialTable(run.header, run.events())
            trials = TrialLines(table)
            self._write(heading_lines(run.header, table.budget or 0))
            self._write([trials.heading, *trials.lines(table.searched)])
        self.result(run)

    def _emit(self, event: str, **fields: Any) -> None:
        hidden = ("event", "kind", "time", "figures")
        self.progress.emit(event, **{key: value for key, value in fields.items() if key not in hidden})

    def _write(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.progress.line(line)
