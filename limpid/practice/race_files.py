"""The files of a race: its page, and the numbers behind the pictures as tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from limpid.errors import ConfigError
from limpid.practice.race import RATES, Race
from limpid.record.files import write_file
from limpid.reporting.race_report import render_race

Row = dict[str, Any]

PAGE, RANKING, TRACES = "race.html", "ranking.csv", "traces.csv"


def check_folder(folder: Path) -> None:
    """Raise ConfigError where a file stands in the way of the folder; before the race, so that nobody waits in vain."""
    found = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not found.is_dir():
        raise ConfigError(f"--out {folder}: the folder cannot be made, because {found} is a file.")


def write_race(race: Race, record: Mapping[str, Any], folder: Path) -> Path:
    """Write race.html, ranking.csv and traces.csv into a folder, which is made; returns the path of the page.

    Args:
        race: what was run.
        record: the same as plain values, by race_record.py.
        folder: where to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / RANKING, _table(race.ranking()))
    write_file(folder / TRACES, _table(list(_traces(race))))
    write_file(folder / PAGE, render_race(record).encode("utf-8", errors="backslashreplace"))
    return folder / PAGE


def _traces(race: Race) -> Iterator[Row]:
    """Every optimiser on every surface at its rate, step by step."""
    for surface, finishes in race.finishes.items():
        for finish in finishes:
            path_T2, loss_T = race.trace(surface, finish.competitor)
            about: Row = {"surface": surface, "optimizer": race.competitors[finish.competitor].text}
            about["lr"] = RATES[finish.rate_place]
            for step, ((x, y), loss) in enumerate(zip(path_T2.tolist(), loss_T.tolist(), strict=True)):
                yield about | {"step": step, "x": x, "y": y, "loss": loss}


def _table(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
