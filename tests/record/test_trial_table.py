"""The trials of a search from its rows, whatever rows there are yet."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from clinic.invented_search import BATCH, LR, Sweep
from limpid.record.trial_table import Range, TrialTable, key_of

HEADER = {"kind": "search", "metric": "accuracy", "higher_is_better": True, "budget": 3, "epochs": 4}


def member(number: int, figure: float, **changes: Any) -> dict[str, Any]:
    row = {"kind": "member", "number": number, "stage": "search", "params": {"optim.lr": 0.1 * (number + 1)}, "seed": 0}
    row |= {"state": "finished", "monitor": "accuracy", "figure": figure, "figures": [0.1, figure], "best_epoch": 2}
    return row | changes


def test_trials_are_ranked_and_the_best_so_far_never_falls() -> None:
    table = TrialTable(HEADER, [member(0, 0.5), member(2, 0.7), member(1, 0.6), member(3, math.nan), member(4, 0.6)])
    assert [trial.number for trial in table.ranked] == [2, 1, 4, 0]
    assert table.best_so_far() == [(0, 0.5), (1, 0.6), (2, 0.7), (3, 0.7), (4, 0.7)]
    falling = TrialTable({**HEADER, "higher_is_better": False}, [member(0, 0.5), member(1, 0.6)])
    assert [trial.number for trial in falling.ranked] == [0, 1]
    assert falling.best_so_far() == [(0, 0.5), (1, 0.5)]


def test_the_figure_is_that_of_the_metric_not_of_the_monitor() -> None:
    row = member(0, 0.3, monitor="loss", valid={"loss": 0.3, "accuracy": 0.9})
    metric = [{"kind": "metric", "member": 0, "split": "valid", "epoch": e, "accuracy": 0.4 * e} for e in (2, 1)]
    (trial,) = TrialTable(HEADER, [*metric, row]).all
    assert trial.figure == 0.9
    assert trial.curve == ((1, 0.4), (2, 0.8))
    (unknown,) = TrialTable(HEADER, [member(0, 0.3, monitor="loss")]).all
    assert math.isnan(unknown.figure)
    assert unknown.curve == ()


def test_finalists_are_grouped_by_their_values_and_their_winner_is_found_among_the_trials() -> None:
    again = [(0.6, {"a": [1], "b": 2}), (0.8, {"b": 2, "a": [1]}), (0.9, {"a": [2]})]
    finals = [
        member(10 + i, figure, stage="final", params=params, seed=1 + i % 2) for i, (figure, params) in enumerate(again)
    ]
    own = [member(0, 0.95, params={"a": [2]}), member(1, 0.9, params={"a": [1], "b": 2})]
    table = TrialTable(HEADER, [*own, *finals, {"kind": "winner", "params": {"b": 2, "a": [1]}}])
    assert [(one.mean, len(one.trials)) for one in table.finalists] == [(0.9, 1), (pytest.approx(0.7), 2)]
    assert table.best_trial is not None
    assert table.best_trial.number == 1
    assert [trial.number for trial in table.searched] == [0, 1]


def test_a_search_that_went_on_is_not_over_and_has_its_new_budget() -> None:
    rows = [member(0, 0.5), {"kind": "end", "status": "finished"}, {"kind": "extension", "budget": 9}, member(1, 0.6)]
    table = TrialTable(HEADER, rows)
    assert not table.ended
    assert table.budget == 9


@pytest.mark.parametrize(
    ("metric", "counts", "chance"),
    [("accuracy", [90, 10], 0.9), ("loss", [50, 50], math.log(2)), ("f1", [50, 50], None), ("accuracy", [], None)],
)
def test_the_figure_of_knowing_nothing(metric: str, counts: list[int], chance: float | None) -> None:
    header = {**HEADER, "metric": metric, "data": {"task": "classification", "class_counts": counts}}
    assert TrialTable(header, []).chance == (None if chance is None else pytest.approx(chance))
    assert TrialTable({**header, "data": {"task": "regression", "class_counts": counts}}, []).chance is None


def test_whole_rows_of_a_search_survive_json() -> None:
    sweep = Sweep(knobs=(LR, BATCH))
    table = TrialTable(json.loads(json.dumps(sweep.head())), json.loads(json.dumps(sweep.rows(0))))
    assert len(table.searched) == 25
    assert len(table.finalists) == 3
    assert table.ended


@pytest.mark.parametrize(
    "row", [{"kind": "member"}, {"kind": "metric", "member": 3}, {"kind": "winner"}, {"kind": "x"}]
)
def test_rows_that_lack_everything_are_survived(row: dict[str, Any]) -> None:
    table = TrialTable({}, [row, member(0, 0.5)])
    assert [trial.number for trial in table.all] == [0]


def test_places_run_along_the_scale_of_a_range() -> None:
    log = Range("optim.lr", "log", 1e-4, 1.0, on_log=True)
    assert [log.place(value) for value in (1e-4, 1e-2, 1.0)] == pytest.approx([0.0, 0.5, 1.0])
    assert log.place(-1.0) is None
    assert log.place("high") is None
    assert Range("model.k", "whole", 1, 5).place(3) == 0.5
    assert Range("optim.name", "choice", choices=("sgd",)).place("sgd") is None
    assert key_of({"a": (1, 2), "b": 1}) == key_of({"b": 1, "a": [1, 2]})
