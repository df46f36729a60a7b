"""The report of a search, finished or running: one self-contained page like that of a run (html.py)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limpid.errors import RecordError
from limpid.record.run import Run
from limpid.record.trial_table import Finalist, Trial, TrialTable
from limpid.reporting import facts, search_figures
from limpid.reporting.figures import Figure
from limpid.reporting.finding_cards import finding_cards
from limpid.reporting.page import content_policy, json_island, markup, plotly_source, template
from limpid.reporting.reading import Reading, read_run, score_title
from limpid.reporting.search_lines import next_command, range_text, value_of
from limpid.reporting.text import doubts, figure, interval, label, number, plain, seconds, shorten, value_text

HERE = Path(__file__).parent
MOST_ROWS = 1000  # of the table of trials: the best
LONGEST_REASON = 200
Row = dict[str, Any]


def render_search(run: Run) -> str:
    """The whole page as text."""
    table, reading, best = TrialTable(run.header, run.events()), read_run(run), _best_run(run)
    drawn = _figures(table)
    scripts = [(HERE / name).read_text(encoding="utf-8") for name in ("report.js", "search_page.js")]
    plotly = plotly_source() if drawn else ""
    style = "".join((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "search_page.css"))
    config = run.path / "best.toml"
    return template("search_page.html.j2").render(
        policy=content_policy(plotly, *scripts),
        style=markup(style),
        plotly=markup(plotly),
        scripts=[markup(script) for script in scripts],
        islands=markup(json_island({name: entry["figure"] for name, entry in drawn.items()})),
        figures=drawn,
        title=reading.title,
        subtitle=_subtitle(run),
        status=_status(table),
        cards=_cards(table, best),
        metric=label(table.metric),
        paths=[plain(knob.path) for knob in table.knobs],
        finalists=_finalist_rows(table),
        verdict=_verdict(table),
        winner=_winner_pairs(table),
        best_toml=plain_lines(config.read_text(encoding="utf-8")) if config.is_file() else "",
        examined=any(row["kind"] == "diagnosis" for row in run.events()),
        findings=[card | {"picture": markup(card["picture"])} for card in finding_cards(reading.findings)],
        next_search=_next(table, run),
        trials=_trial_rows(table),
        left_out=max(0, len(table.searched) - MOST_ROWS),
        space=[(plain(knob.path), range_text(knob)) for knob in table.knobs],
        how=_how(table),
        config=facts.config_sections(reading),
        data_blocks=facts.data_blocks(reading),
        machine=facts.machine_pairs(reading),
        notes=reading.notes,
    )


def plain_lines(text: str) -> str:
    """Text of several lines without anything that acts on the screen."""
    return "\n".join(plain(line) for line in text.splitlines())


def _best_run(run: Run) -> Reading | None:
    """The winner's run, once it is there."""
    try:
        return read_run(Run.open(run.path / "best"))
    except RecordError:
        return None


def _subtitle(run: Run) -> str:
    began = plain(run.header.get("created", ""))[:19].replace("T", " ")
    return " · ".join(filter(None, (began, plain(run.path.name))))


def _status(table: TrialTable) -> str | None:
    """One plain sentence while the search is not finished."""
    count = f"{len(table.searched)} of {table.budget or 0} trials have ended"
    if table.end is None:
        return f"Not finished: {count}. The search is still going, or was ended from outside."
    state, reason = str(table.end.get("status")), plain(table.end.get("reason") or "").rstrip(".")
    if state == "finished":
        return None
    return f"{state.capitalize()}: {count}. {reason + '.' if reason else ''} It can be resumed."


def _cards(table: TrialTable, best: Reading | None) -> list[Row]:
    """Figures of the head: {"name", "value", "detail"}."""
    cards: list[Row] = []
    winner, won = table.winner, table.best_trial
    if winner is not None and isinstance(winner.get("figure"), int | float):
        seeds = len(winner.get("figures") or ())
        bounds = winner.get("interval") or (math.nan, math.nan)
        known = seeds > 1 and all(map(math.isfinite, bounds))
        doubt = f", 95 % interval {interval(table.metric, *bounds)}" if known else ""
        detail = (
            f"trial {winner.get('trial')}, mean of {seeds} fresh seeds{doubt}" if seeds else "the best of many trials"
        )
        cards.append({"name": f"winner, validation {label(table.metric)}", "value": _shown(table, winner["figure"])})
        cards[-1]["detail"] = detail
    elif won is not None:
        cards.append({"name": f"best so far, validation {label(table.metric)}", "value": _shown(table, won.figure)})
        cards[-1]["detail"] = f"trial {won.number}"
    result = best.result if best is not None else None
    if best is not None and result and best.score in result:
        parts = doubts(str(best.score), result)
        parts.append(f"n = {number(result.get('n', 0))}, read once")
        cards.append({"name": score_title(best), "value": figure(str(best.score), result[best.score])})
        cards[-1]["detail"] = ", ".join(parts)
    counts = [(state, sum(trial.state == state for trial in table.searched)) for state in ("pruned", "failed")]
    told = ", ".join(f"{count} {state}" for state, count in counts if count) or "all finished"
    cards.append({"name": "trials", "value": number(len(table.searched)), "detail": told})
    spent = sum(trial.seconds for trial in table.all)
    whole = (table.end or {}).get("seconds")
    detail = f"{seconds(float(whole))} by the clock" if isinstance(whole, int | float) else "of all trials together"
    cards.append({"name": "time of training", "value": seconds(spent), "detail": detail})
    return cards


def _shown(table: TrialTable, value: Any) -> str:
    finite = isinstance(value, int | float) and math.isfinite(value)
    return figure(table.metric, float(value)) if finite else "none"


def _finalist_rows(table: TrialTable) -> list[Row]:
    """Finalists with their figures from fresh seeds."""
    rows = []
    for one in table.finalists:
        rows.append(
            {
                "trial": _trial_of(table, one),
                "mean": _shown(table, one.mean),
                "figures": [_shown(table, trial.figure) if trial.has_figure else "failed" for trial in one.trials],
                "params": [_cell(one.params, knob.path) for knob in table.knobs],
            }
        )
    return rows


def _trial_of(table: TrialTable, one: Finalist) -> str:
    """Number of the trial that a finalist comes from."""
    same = [trial for trial in table.ranked if dict(trial.params) == dict(one.params)]
    return str(same[0].number) if same else ""


def _verdict(table: TrialTable) -> str:
    """How sure the winner is, in one sentence."""
    winner = table.winner
    if winner is None:
        return ""
    if not winner.get("figures"):
        return "The winner is the best of many trials by its own figure: a fresh seed would probably do worse."
    lead, bounds = winner.get("lead"), winner.get("lead_interval") or (math.nan, math.nan)
    if not isinstance(lead, int | float):
        return ""
    known = all(map(math.isfinite, bounds))
    how = f" (95 % interval {interval(table.metric, *bounds)}, paired by seed)" if known else ""
    said = f"Against trial {winner.get('second')} the difference is {_shown(table, lead)}{how}"
    return f"{said}: {'they cannot be told apart' if winner.get('tied') else 'it is better than luck explains'}."


def _winner_pairs(table: TrialTable) -> list[tuple[str, str]]:
    params: Mapping[str, Any] = (table.winner or {}).get("params") or (
        table.best_trial.params if table.best_trial else {}
    )
    return [(plain(path), value_of(value)) for path, value in params.items()]


def _next(table: TrialTable, run: Run) -> Row | None:
    """The recommended search: what changes, the command, and the space."""
    if table.next is None:
        return None
    changes = [plain(change) for change in table.next.get("changes") or ()]
    return {
        "changes": changes,
        "command": next_command(table.next, Path(run.path.name)),
        "toml": plain_lines(str(table.next.get("space", ""))),
    }


def _trial_rows(table: TrialTable) -> list[Row]:
    """The trials, best first; those that did not finish behind them."""
    rest = [trial for trial in table.searched if not trial.has_figure]
    best = table.best_trial
    rows = []
    for trial in [*table.ranked, *rest][:MOST_ROWS]:
        known = math.isfinite(trial.figure)
        cells = [(_cell(trial.params, knob.path), _sort_key(trial.params.get(knob.path))) for knob in table.knobs]
        rows.append(
            {
                "number": trial.number,
                "state": trial.state,
                "figure": _shown(table, trial.figure) if known else "",
                "order": trial.figure if known else "",
                "epochs": trial.epochs,
                "best_epoch": trial.best_epoch or "",
                "seconds": seconds(trial.seconds),
                "time": round(trial.seconds, 4),
                "cells": cells,
                "reason": shorten(plain(trial.reason), LONGEST_REASON) if _is_telling(trial) else "",
                "best": best is not None and trial.number == best.number,
                "stage": plain(trial.stage),
            }
        )
    return rows


def _is_telling(trial: Trial) -> bool:
    return trial.state != "finished" or trial.reason not in ("all epochs done", "")


def _cell(params: Mapping[str, Any], path: str) -> str:
    return value_of(params[path]) if path in params else ""


def _sort_key(value: Any) -> Any:
    """Numbers by value, the rest by text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value if math.isfinite(value) else ""
    return "" if value is None else value_of(value)


def _how(table: TrialTable) -> list[tuple[str, str]]:
    """How the search was made."""
    header = table.header
    pairs: list[tuple[str, Any]] = [
        ("judged by", f"validation {label(table.metric)}, {'higher' if table.higher_is_better else 'lower'} is better")
    ]
    pairs += [("trials asked for", table.budget), ("sampler", header.get("sampler")), ("pruner", header.get("pruner"))]
    pairs += [("epochs of a trial, at most", header.get("epochs")), ("fresh seeds of a finalist", header.get("seeds"))]
    pairs += [("seed", header.get("seed")), ("space", (header.get("space") or {}).get("origin"))]
    return [(name, value_text(value)) for name, value in pairs if value is not None]


def _figures(table: TrialTable) -> dict[str, Row]:
    """Figures by their place on the page: {"figure", "title", "caption", "group"}."""
    drawn: dict[str, Row] = {}

    def put(name: str, group: str, one: Figure | None, title: str, caption: str = "") -> None:
        if one is not None:
            drawn[name] = {"figure": one, "title": title, "caption": caption, "group": group}

    best = table.best_trial
    who = "Winner" if table.winner else "Best so far"
    said = f"{who}: trial {best.number} with {_shown(table, best.figure)}." if best else ""
    put("course", "course", search_figures.course_figure(table), "Trial by trial", said)
    curves = search_figures.curves_figure(table)
    put("curves", "course", curves, "Learning curves of the trials", "Bold: the trials that the finalists come from.")
    caption = _importance_caption(table)
    put("importance", "knobs", search_figures.importance_figure(table), "What matters", caption)
    caption = "Each line is a trial, from knob to knob and to its figure at the right."
    put("parallel", "knobs", search_figures.parallel_figure(table), "All knobs at once", caption)
    for i, knob in enumerate(table.knobs[: search_figures.MOST_SLICES]):
        if knob.kind != "pattern":
            told = f"Asked for in {sum(knob.path in t.params for t in table.ranked)} trials." if knob.when else ""
            put(f"slice{i}", "slices", search_figures.slice_figure(table, knob), plain(knob.path), told)
    return drawn


def _importance_caption(table: TrialTable) -> str:
    rows = table.importance.values()
    unseen = [plain(row.get("knob")) for row in rows if not isinstance(row.get("share"), int | float)]
    part = [
        f"{plain(row['knob'])} among the {row['trials']} trials that were asked for it"
        for row in rows
        if isinstance(row.get("share"), int | float) and int(row.get("trials", 0)) < len(table.ranked)
    ]
    said = "Share of the differences between finished trials that a knob explains by itself, with its 95 % interval."
    said += f" Measured {', '.join(part)}." if part else ""
    return said + (f" In too few trials to be measured: {', '.join(unseen)}." if unseen else "")
