"""The page of a search: who won, how surely, and every trial; in any state of the search, whatever its texts hold."""

from __future__ import annotations

import base64
import hashlib
import math
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import limpid
from clinic.invented_search import BATCH, DECAY, DROPOUT, HIDDEN, LR, Sweep
from limpid.record.run import Run
from limpid.record.trial_table import TrialTable
from limpid.reporting import search_figures
from limpid.reporting.html import write_report
from tests.reporting.test_html import HOSTILE, Page, read_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NAME = {"path": "optim.name", "kind": "choice", "choices": ["sgd", "adamw"]}
MOMENTUM = {"path": "optim.momentum", "kind": "linear", "low": 0.5, "high": 0.99, "when": {"optim.name": ["sgd"]}}
SWEEP = Sweep(
    knobs=(LR, DECAY, DROPOUT, HIDDEN, NAME, MOMENTUM),
    budget=40,
    prune_at=6,
    breaks=lambda params, draw: params["optim.weight_decay"] > 0.003,
)

Rows = list[dict[str, Any]]


def write(path: Path, rows: Rows, header: dict[str, Any]) -> Run:
    with Run.create(path, header) as run:
        for row in rows:
            run.add(row["kind"], **{key: value for key, value in row.items() if key not in ("kind", "time")})
    return Run.open(path)


@pytest.fixture
def searched(tmp_path: Path) -> Run:
    rows = SWEEP.rows(0)
    importance = [
        {"kind": "importance", "knob": "optim.lr", "share": 0.6, "low": 0.4, "high": 0.8, "trials": 20},
        {"kind": "importance", "knob": "model.dropout", "share": -0.02, "low": -0.1, "high": 0.06, "trials": 20},
        {"kind": "importance", "knob": "optim.momentum", "trials": 5},
    ]
    finding = {"kind": "finding", "level": "warning", "code": "H01", "name": "best-at-the-edge", "where": "optim.lr"}
    finding |= {
        "symptom": "The range ends too early.",
        "value": 0.1,
        "threshold": 0.2,
        "cause": "c",
        "remedy": "extend",
    }
    told = {"kind": "next", "changes": ["optim.lr: extend"], "arguments": ["digits", "--budget", "25"]}
    told |= {"space": "[optim.lr]\nlow = 0.1\nhigh = 1.0\n"}
    (tmp_path / "s").mkdir()
    run = write(tmp_path / "s", [*rows[:-1], *importance, finding, {"kind": "diagnosis"}, told, rows[-1]], SWEEP.head())
    (run.path / "best.toml").write_text('[data]\nsource = "digits"\n', encoding="utf-8")
    return run


def test_winner_doubt_and_finalists_are_told(searched: Run) -> None:
    page, (winner,) = read_page(searched), searched.events("winner")
    low, high = winner["interval"]
    assert f"winner, validation accuracy {100 * winner['figure']:.2f} %" in page.words
    assert f"trial {winner['trial']}, mean of 3 fresh seeds, 95 % interval {100 * low:.2f} to {100 * high:.2f} %" in (
        page.words
    )
    for finalist in winner["finalists"]:
        assert ", ".join(f"{100 * figure:.2f} %" for figure in finalist["figures"]) in page.words
    verdict = "they cannot be told apart" if winner["tied"] else "it is better than luck explains"
    assert f"Against trial {winner['second']} the difference is {100 * winner['lead']:.2f} %" in page.words
    assert verdict in page.words
    assert 'source = "digits"' in page.text


def test_every_trial_stands_in_the_table_with_its_state_and_reason(searched: Run) -> None:
    page = read_page(searched)
    members = [row for row in searched.events("member") if row["stage"] != "final"]
    rows = [a for tag, a in page.elements if tag == "tr" and a.get("class")]
    classes = [(a["class"] or "").split()[0] for a in rows if (a["class"] or "") != "best"]
    for state in ("finished", "failed", "pruned"):
        assert classes.count(state) == sum(row["state"] == state for row in members) > 0
    assert "let go after epoch 6: by median" in page.words
    assert "The loss became NaN or infinite" in page.words
    assert f"{sum(row['state'] == 'pruned' for row in members)} pruned" in page.words


def test_findings_and_the_next_search_are_shown(searched: Run) -> None:
    page = read_page(searched)
    assert "The range ends too early." in page.words
    assert "optim.lr: extend" in page.words
    assert "limpid tune digits --budget 25 --space s/next.toml" in page.words
    assert "low = 0.1 high = 1.0" in page.words


def test_the_page_is_closed_and_runs_only_its_own_scripts(searched: Run) -> None:
    page = Page(write_report(searched).read_text(encoding="utf-8"))
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy") or ""
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    running = [text for attributes, text in page.scripts if attributes.get("type") != "application/json"]
    digests = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in running}
    assert {f"'sha256-{digest}'" for digest in digests} == set(rules["script-src"].split())
    assert [len(text) > 1_000_000 for text in running].count(True) == 1
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form", "img"), tag
        assert not any(name.startswith("on") or name in ("src", "href") for name in attributes), (tag, attributes)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_only_shown(text: str, tmp_path: Path, searched: Run) -> None:
    plain_page = read_page(searched)
    rows = [dict(row) for row in SWEEP.rows(0)]
    for row in rows:
        if row["kind"] == "member":
            row |= {"reason": text, "params": {**row["params"], "optim.name": text}}
    rows.append({"kind": "finding", "level": "warning", "code": "H01", "name": text, "symptom": text, "value": 1,
                 "threshold": 0, "where": text, "cause": text, "remedy": text})  # fmt: skip
    rows.append({"kind": "next", "changes": [text], "arguments": [text], "space": text})
    header = SWEEP.head() | {"data": {"name": text}, "sampler": text}
    header["space"]["knobs"][4]["choices"] = [text, "adamw"]
    header["space"]["origin"] = text
    run = write(tmp_path / "hostile", rows, header)
    (run.path / "best.toml").write_text(text.replace("\x1b", "?"), encoding="utf-8")
    page = read_page(run)
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in plain_page.elements}
    assert len(page.scripts) == len(plain_page.scripts)
    assert page.figures
    assert not set("\x1b\u202e\u2028") & set(page.text)


@pytest.mark.parametrize("kept", [0, 1, 5, 30])
def test_a_search_that_is_running_is_shown_as_far_as_it_is(kept: int, tmp_path: Path) -> None:
    page = read_page(write(tmp_path / "s", SWEEP.rows(0)[:kept], SWEEP.head()))
    assert f"Not finished: {kept} of 40 trials have ended" in page.words
    assert ("Best so far" in page.words) == (kept > 0)
    assert "Winner" not in page.words


def test_a_search_of_which_every_trial_failed(tmp_path: Path) -> None:
    sweep = Sweep(budget=5, breaks=lambda params, draw: True, ended=False)
    end = {"kind": "end", "status": "failed", "reason": "No configuration could be judged."}
    page = read_page(write(tmp_path / "s", [*sweep.rows(0), end], sweep.head()))
    assert "Failed: 5 of 5 trials have ended. No configuration could be judged." in page.words
    assert "5 failed" in page.words
    assert page.figures == {}


def test_a_winner_by_its_own_figure_says_so(tmp_path: Path) -> None:
    sweep = replace(SWEEP, finals=(3, 0))
    page = read_page(write(tmp_path / "s", sweep.rows(0), sweep.head()))
    assert "a fresh seed would probably do worse" in page.words


def test_limpid_report_writes_it(searched: Run) -> None:
    assert "Limpid search report" in limpid.report(searched.path).read_text(encoding="utf-8")


def table_of(change: Callable[[dict[str, Any]], None] = lambda row: None) -> TrialTable:
    rows = SWEEP.rows(0)
    for row in rows:
        change(row)
    return TrialTable(SWEEP.head(), rows)


def test_the_best_so_far_is_the_running_maximum() -> None:
    table = table_of()
    figure = search_figures.course_figure(table)
    assert figure is not None
    best, course = -math.inf, []
    for row in sorted((row for row in SWEEP.rows(0) if row.get("stage") == "search"), key=lambda row: row["number"]):
        best = max(best, row["figure"]) if row["state"] == "finished" else best
        course += [float(f"{100 * best:.6g}")] if best > -math.inf else []
    assert figure["data"][0]["y"] == course
    assert sum(trace["name"] == "winner" for trace in figure["data"]) == 1


def test_lines_go_through_the_places_of_their_values() -> None:
    table = table_of()
    figure = search_figures.parallel_figure(table)
    assert figure is not None
    drawn = {tuple(zip(t["x"][i : i + 7], t["y"][i : i + 7], strict=True)) for t in figure["data"]
             for i in range(0, len(t["x"]), 8)}  # fmt: skip
    assert len(drawn) == len(table.ranked)
    trial = table.ranked[0]
    wanted = [
        math.log10(trial.params["optim.lr"] / 1e-4) / 4,
        math.log10(trial.params["optim.weight_decay"] / 1e-6) / 4,
        trial.params["model.dropout"] / 0.5,
        HIDDEN["choices"].index(trial.params["model.hidden"]) / 3,  # type: ignore[attr-defined]
        ["sgd", "adamw"].index(trial.params["optim.name"]),
        (trial.params["optim.momentum"] - 0.5) / 0.49 if "optim.momentum" in trial.params else search_figures.UNASKED,
        1.0,
    ]
    assert any([y for _, y in line] == pytest.approx(wanted, abs=1e-4) for line in drawn)


def test_slices_show_the_trials_that_were_asked_for_the_knob() -> None:
    table = table_of()
    for knob in table.knobs:
        figure = search_figures.slice_figure(table, knob)
        assert figure is not None
        points = next(trace for trace in figure["data"] if trace["name"] == "trials")
        assert len(points["x"]) == sum(knob.path in trial.params for trial in table.ranked)


def test_one_trial_far_below_does_not_flatten_the_figure() -> None:
    def spoil(row: dict[str, Any]) -> None:
        if row.get("number") == first:
            row |= {"figure": 0.01, "valid": {"accuracy": 0.01}}

    first = -1
    first = next(trial.number for trial in table_of().ranked[3:])
    figure = search_figures.slice_figure(table_of(spoil), table_of().knobs[0])
    assert figure is not None
    points = next(trace for trace in figure["data"] if trace["name"] == "trials")
    assert min(points["y"]) > 10
    below = [
        text for text, symbol in zip(points["text"], points["marker"]["symbol"], strict=True) if symbol != "circle"
    ]
    assert any("1.00 %" in text for text in below)


def test_importance_is_drawn_within_0_and_100(searched: Run) -> None:
    figure = search_figures.importance_figure(TrialTable(searched.header, searched.events()))
    assert figure is not None
    (bars,) = figure["data"]
    assert bars["y"] == ["model.dropout", "optim.lr"]
    assert bars["x"] == pytest.approx([0.0, 60.0])
    assert bars["error_x"]["array"] == pytest.approx([6.0, 20.0])
    assert bars["error_x"]["arrayminus"] == pytest.approx([0.0, 20.0])
    assert "In too few trials to be measured: optim.momentum." in read_page(searched).words


def test_a_falling_metric_is_drawn_as_it_is() -> None:
    def turn(row: dict[str, Any]) -> None:
        if row.get("figures"):
            losses = [1 - value for value in row["figures"]]
            row |= {"monitor": "loss", "figure": min(losses), "figures": losses, "valid": {"loss": min(losses)}}

    rows = SWEEP.rows(0)
    for row in rows:
        turn(row)
    table = TrialTable({**SWEEP.head(), "metric": "loss", "higher_is_better": False}, rows)
    figure = search_figures.course_figure(table)
    assert figure is not None
    assert figure["data"][0]["y"] == sorted(figure["data"][0]["y"], reverse=True)
    assert min(figure["data"][1]["y"]) == pytest.approx(table.ranked[0].figure, rel=1e-5)


def test_sizes_to_choose_from_keep_their_order() -> None:
    sweep = Sweep(knobs=(LR, BATCH))
    table = TrialTable(sweep.head(), sweep.rows(0))
    figure = search_figures.slice_figure(table, table.knobs[1])
    assert figure is not None
    assert figure["layout"]["xaxis"]["categoryarray"] == ["16", "32", "64", "128"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_draws_every_figure(searched: Run) -> None:
    page = write_report(searched)
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom"]
    seen = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=180, check=True).stdout
    figures = read_page(searched).figures
    assert len(figures) == 4 + 6
    assert seen.count('class="main-svg"') >= len(figures)
