"""A race of optimisers as lines for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from limpid.reporting.race_report import finish_cells
from limpid.reporting.terminal import table_lines

MOST_TABLES = 3  # surfaces whose whole ranking is printed; of more, one line each
WIDTH = 100
NUM_NAMED = 3


def race_lines(record: Mapping[str, Any]) -> list[str]:
    """The terms, a table for each surface or a line of it, the standings, and what follows.

    Args:
        record: of the race, as practice/race_record.py makes it.
    """
    lines = [*textwrap.wrap(str(record["terms"]), WIDTH), ""]
    surfaces = record["surfaces"]
    if len(surfaces) <= MOST_TABLES:
        for surface in surfaces:
            lines += [f"{surface['name']}: {surface['difficulty']}. {surface['pitfall']}"]
            lines += [*table_lines([finish_cells(line) for line in surface["lines"]]), ""]
    else:
        lines += [*table_lines([_summary(surface, record["standings"]) for surface in surfaces]), ""]
    if len(surfaces) > 1:
        standings = [
            {"optimizer": row["optimizer"], "mean rank": f"{row['mean_rank']:5.1f}", "first": len(row["wins"])}
            | {"last": len(row["lasts"]), "diverged": len(row["diverged"])}
            for row in record["standings"]
        ]
        lines += [*table_lines(standings), ""]
    for sentence in record["conclusions"]:
        lines += textwrap.wrap(sentence, WIDTH)
    return lines


def _summary(surface: Mapping[str, Any], standings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The best three of a surface, or all that share the first place, and who is last."""
    first, last = ([row["optimizer"] for row in standings if surface["name"] in row[key]] for key in ("wins", "lasts"))
    named = [line["optimizer"] for line in surface["lines"]]
    best = first if len(first) > NUM_NAMED else named[:NUM_NAMED]
    shown = ", ".join(best) if first else "(too many are level)"
    return {"surface": surface["name"], "difficulty": surface["difficulty"], "first": shown, "last": ", ".join(last)}
