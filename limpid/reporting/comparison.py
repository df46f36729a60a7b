"""Runs side by side, and a verdict where it can be had: better, worse, or cannot tell.

A verdict about two networks needs predictions of the same rows. It pairs them, so that what makes a row hard for both
cancels out, and it speaks of these trained networks only. Where runs hold members of several seeds, or several runs
differ in nothing but their seed, there is a verdict about the recipe too: see recipe_verdict.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from limpid.record.run import Run
from limpid.reporting.progress import json_line
from limpid.reporting.reading import Reading, Row, read_run
from limpid.reporting.recipe_verdict import DOUBT, RecipeVerdict, judge_recipes
from limpid.reporting.repeats import Repeats, group_runs, members_of, runs_of, shown_repeats
from limpid.reporting.row_verdict import Verdict, judge
from limpid.reporting.terminal import table_lines
from limpid.reporting.text import figure, interval, label, number, plain, seconds, value_text

BY_SEED = ("training.seed", "data content")  # in which runs of one recipe may differ
NOT_COMPARED = ("record.", "data.data_dir", "data.workers", "data.memory_share")  # say nothing about what was learned


@dataclass(frozen=True)
class Comparison:
    """One row of facts per run and per recipe, the options in which they differ, and verdicts against the first."""

    rows: list[Row]
    differences: list[Row]
    verdicts: list[Verdict]
    recipes: list[Row] = field(default_factory=list)
    recipe_verdicts: list[RecipeVerdict] = field(default_factory=list)

    def render(self) -> str:
        """The comparison as plain text."""
        lines = table_lines([{"run": row["run"], **_shown(row)} for row in self.rows])
        if self.recipes:
            lines += ["", "Over their repeats:", *_indented([shown_repeats(row) for row in self.recipes])]
        if self.differences:
            lines += ["", "They differ in:", *_indented(self.differences)]
        if self.recipe_verdicts:
            lines += ["", *(verdict.sentence() for verdict in self.recipe_verdicts)]
            if any(verdict.word != "not comparable" for verdict in self.recipe_verdicts):
                lines.append("This is about the recipes on these data, whatever the seed; other data may change it.")
        if self.verdicts:
            lines += ["", *(["As ensembles:"] if self.recipe_verdicts else [])]
            lines += [verdict.sentence() for verdict in self.verdicts]
        if any(verdict.word != "not comparable" for verdict in self.verdicts):
            lines.append("This is about these trained networks on these rows; another seed may change it.")
        return "\n".join(lines)

    def to_json(self) -> str:
        """The same as one JSON object on one line."""
        told = [
            [{**asdict(verdict), "sentence": verdict.sentence()} for verdict in verdicts]
            for verdicts in (self.verdicts, self.recipe_verdicts)
        ]
        found = {"runs": self.rows, "differences": self.differences, "verdicts": told[0]}
        return json_line(found | {"recipes": self.recipes, "recipe_verdicts": told[1]})


def compare_runs(runs: list[Run]) -> Comparison:
    """Put runs side by side; the first is what the others are compared with.

    Runs that differ in nothing but their seed count as one recipe, and get verdicts as recipes only.
    """
    readings = [read_run(run) for run in runs]
    names = _names(readings)
    rows = [_facts(reading, name) for reading, name in zip(readings, names, strict=True)]
    populations = [found for found in map(members_of, readings, names) if found]
    groups = [] if populations else group_runs(readings, NOT_COMPARED)
    if any(len(group) > 1 for group in groups):
        firsts = [group[0] for group in groups]
        titles = [names[readings.index(first)] for first in firsts]
        differences = [row for row in _differences(firsts, titles) if row["option"] not in BY_SEED]
        return Comparison(rows, differences, [], *_judged([*map(runs_of, groups, titles)], len(groups) - 1))
    num_recipes = max(0, len(populations) - 1)
    doubt = DOUBT / max(1, len(readings) - 1 + num_recipes)
    verdicts = [
        judge(readings[0], reading, names[0], name, doubt)
        for reading, name in zip(readings[1:], names[1:], strict=True)
    ]
    return Comparison(rows, _differences(readings, names), verdicts, *_judged(populations, len(verdicts) + num_recipes))


def _judged(recipes: list[Repeats], num_verdicts: int) -> tuple[list[Row], list[RecipeVerdict]]:
    """Rows of the recipes, and verdicts of each against the first; so many verdicts share the doubt."""
    doubt = DOUBT / max(1, num_verdicts)
    verdicts = [judge_recipes(recipes[0], other, doubt) for other in recipes[1:]]
    scores = [verdict.score for verdict in verdicts if verdict.score]
    rows = []
    for one in recipes:
        known = [name for name in (*scores, *one.scores()) if name in one.scores()]
        rows += [one.to_row(known[0])] if known else []
    return rows, verdicts


def _indented(rows: list[Row]) -> list[str]:
    return ["  " + line for line in table_lines(rows)]


def _names(readings: Sequence[Reading]) -> list[str]:
    """Folder names, numbered where two are the same."""
    names = [plain(reading.run.path.resolve().name) for reading in readings]
    return [f"{name} ({i + 1})" if names.count(name) > 1 else name for i, name in enumerate(names)]


def _facts(reading: Reading, name: str) -> Row:
    result, score = reading.result or {}, reading.score
    model, speed = reading.header.get("model") or {}, reading.throughput or {}
    if score not in result:
        score = None
    members = reading.run.events("member")
    return {
        "run": name,
        "data": reading.title[0],
        "model": reading.title[1],
        "status": reading.status,
        "score": score,
        "value": result[score] if score is not None else None,
        "interval": (result.get("interval") or {}).get(score or ""),
        "n": result.get("n"),
        "members": len(members) or None,
        "best_epoch": None if members else reading.best_epoch,
        "epochs": max((int(row.get("epochs") or 0) for row in members), default=reading.last_epoch),
        "seconds": speed.get("seconds_total", (reading.end or {}).get("seconds")),
        "parameters": model.get("parameters"),
    }


def _shown(row: Row) -> Row:
    """The facts of one run as printed; what all runs lack comes out empty."""
    score, within = row["score"], row["interval"]
    return {
        "data": row["data"],
        "model": row["model"],
        "score": f"{label(score)} {figure(score, row['value'])}" if score else row["status"],
        "95 % interval": interval(score, *within) if within else "",
        "n": number(row["n"]) if row["n"] is not None else "",
        "epochs": f"{row['best_epoch']} of {row['epochs']}"
        if row["best_epoch"] and row["epochs"]
        else str(row["epochs"] or row["best_epoch"] or 0) + (" each" if row["members"] else ""),
        "time": seconds(row["seconds"]) if isinstance(row["seconds"], int | float) else "",
        "parameters": number(row["parameters"]) if isinstance(row["parameters"], int) else "",
    }


def _differences(readings: Sequence[Reading], names: Sequence[str]) -> list[Row]:
    """Options, data and seed in which the runs differ: one row each, one column per run."""
    tables = [_flat(reading.header.get("config") or {}) for reading in readings]
    for table, reading in zip(tables, readings, strict=True):
        table["data content"] = str(reading.header.get("fingerprint"))[:12]
    keys = [key for key in dict.fromkeys(key for table in tables for key in table) if not key.startswith(NOT_COMPARED)]
    absent = (None, "none")  # two ways to say that there is none
    differing = [
        key
        for key in keys
        if any(table.get(key) != tables[0].get(key) for table in tables)
        and not all(table.get(key) in absent for table in tables)
    ]
    return [
        {"option": key} | {name: value_text(table.get(key)) for name, table in zip(names, tables, strict=True)}
        for key in differing
    ]


def _flat(config: Mapping[str, Any]) -> Row:
    return {
        f"{plain(section)}.{plain(key)}": value
        for section, options in config.items()
        if isinstance(options, Mapping)
        for key, value in options.items()
    }
