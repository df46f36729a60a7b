"""The page of a race of optimisers: who won where, and for each surface its contours, the paths and the losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limpid.reporting.page import content_policy, json_island, markup, plotly_source
from limpid.reporting.race_figures import race_figure, rates_figure
from limpid.reporting.text import number, plain

HERE = Path(__file__).parent
Row = dict[str, Any]


def render_race(record: Mapping[str, Any]) -> str:
    """The whole page as text.

    Args:
        record: of the race, as practice/race_record.py makes it.
    """
    import jinja2

    figures: Row = {}
    for surface in record["surfaces"]:
        figures[f"race-{surface['name']}"] = race_figure(surface)
        figures[f"rates-{surface['name']}"] = rates_figure(surface)
    scripts = [(HERE / name).read_text(encoding="utf-8") for name in ("report.js", "search_page.js")]
    plotly = plotly_source()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    style = "".join((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "race_page.css"))
    return environment.get_template("race_page.html.j2").render(
        policy=content_policy(plotly, *scripts),
        style=markup(style),
        plotly=markup(plotly),
        scripts=[markup(script) for script in scripts],
        islands=markup(json_island(figures)),
        num_optimizers=len(record["standings"]),
        num_surfaces=len(record["surfaces"]),
        conclusions=[plain(sentence) for sentence in record["conclusions"]],
        terms=plain(record["terms"]),
        seed=record["seed"],
        standings=[_standing(row) for row in record["standings"]],
        surfaces=[_surface(row) for row in record["surfaces"]],
    )


def _standing(row: Mapping[str, Any]) -> Row:
    named = {key: ", ".join(map(plain, row[key])) for key in ("wins", "lasts", "diverged")}
    counts = {f"num_{key}": len(row[key]) for key in ("wins", "lasts", "diverged")}
    told: Row = {"optimizer": plain(row["optimizer"]), "adaptive": "adaptive" if row["adaptive"] else ""}
    return told | {"rank": f"{row['mean_rank']:.1f}", "order": row["mean_rank"]} | named | counts


def _surface(row: Mapping[str, Any]) -> Row:
    told = {key: plain(row[key]) for key in ("name", "difficulty", "what", "formula", "source", "pitfall")}
    told["title"] = told["name"].replace("_", " ")
    facts = [(name, plain(value)) for name, value in row["facts"] if name != "difficulty"]
    shown: Row = {"facts": facts, "table": [finish_cells(line) for line in row["lines"]]}
    return told | shown | {"rates_of": plain(row["rates"]["optimizer"]), "sliced": row["rates"]["slice"] is not None}


def finish_cells(line: Mapping[str, Any]) -> Row:
    """One finish as it is printed: rank, optimiser, rate, and how it ended."""
    steps = {key: "" if line[key] is None else str(line[key]) for key in ("near", "arrived")}
    cells: Row = {"rank": number(line["rank"], 3), "optimizer": plain(line["optimizer"]), "lr": f"{line['lr']:g}"}
    cells |= {"excess": number(line["excess"], 3) if math.isfinite(line["excess"]) else "not finite"}
    notes = ["diverged"] if line["diverged"] else []
    notes += ["at the edge of the rates tried"] if line["edge"] and not line["diverged"] else []
    return cells | steps | {"note": ", ".join(notes)}
