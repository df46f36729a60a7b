"""The sweep doctor on invented searches: sick ones, healthy ones, and near misses, each from several seeds.

How often on 40 fresh seeds of each: docs/CLINIC.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from clinic.conditions_searches import HEALTHY, NEAR, SICK, rate
from clinic.invented_search import Sweep
from limpid.doctor.checks import CHECKS
from limpid.doctor.diagnosis import Diagnosis, judge
from limpid.doctor.evidence import Evidence
from limpid.doctor.rules_sweep_edge import extended
from limpid.record.trial_table import Range

SEEDS = range(5)


def warned(diagnosis: Diagnosis) -> set[str]:
    return {finding.code for finding in diagnosis.findings if finding.level != "note"}


@pytest.mark.parametrize("name", SICK)
def test_a_sick_search_is_found_from_every_seed(name: str) -> None:
    code, sweep = SICK[name]
    for seed in SEEDS:
        levels = {finding.level for finding in judge(sweep.evidence(seed)).findings if finding.code == code}
        assert levels == {"note" if code == "H08" else "warning"}, seed


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_search_is_left_alone(name: str) -> None:
    for seed in SEEDS:
        assert warned(judge(HEALTHY[name].evidence(seed))) == set(), seed


@pytest.mark.parametrize("name", NEAR)
def test_a_near_miss_is_silent(name: str) -> None:
    code, sweep = NEAR[name]
    for seed in SEEDS:
        assert code not in warned(judge(sweep.evidence(seed))), seed


def test_checks_of_searches_are_asked_of_searches_only() -> None:
    of_searches = {code for code, check in CHECKS.items() if check.scope == "search"}
    assert of_searches == {f"H0{i}" for i in range(1, 9)}
    search = judge(Sweep().evidence())
    assert {*search.statistics, *search.unmeasured} == of_searches
    run = judge(Evidence({}, []))
    assert not of_searches & {*run.statistics, *run.unmeasured}


@pytest.mark.parametrize("code", [f"H0{i}" for i in range(1, 9)])
def test_a_search_that_has_only_begun_is_no_error(code: str) -> None:
    for rows in ([], [{"kind": "member", "number": 0, "stage": "search", "params": {}, "state": "failed"}]):
        verdict = CHECKS[code].rule(Evidence(Sweep().head(), rows))
        assert verdict is None or not [finding for finding in verdict.findings if finding.level != "note"]


def test_a_running_search_is_not_blamed_for_few_trials() -> None:
    assert "H02" not in warned(judge(Sweep(budget=8, ended=False).evidence()))


def test_the_finding_says_how_far_to_extend() -> None:
    (finding,) = [f for f in judge(SICK["range ends below the best"][1].evidence(1)).findings if f.code == "H01"]
    assert finding.where == "optim.lr"
    assert finding.remedy == "optim.lr: extend to 1e-06..0.0001 (now 1e-06..1e-05)."


@pytest.mark.parametrize(
    ("knob", "side", "bounds"),
    [
        (Range("optim.lr", "log", 1e-4, 1e-1, on_log=True), "high", (1e-4, 1.0)),
        (Range("model.dropout", "linear", 0.1, 0.5), "low", (0.0, 0.5)),
        (Range("model.k", "whole", 1, 21), "high", (1, 31)),
        (Range("model.k", "whole", 4, 64, on_log=True), "low", (1, 64)),
    ],
)
def test_ranges_are_extended_on_their_own_scale(knob: Range, side: str, bounds: tuple[float, float]) -> None:
    assert extended(knob, side) == bounds


def test_what_ends_without_a_figure_is_told_by_its_reason() -> None:
    sweep = Sweep(breaks=lambda params, draw: draw.random() < 0.8, reason="It does not fit in memory.")
    (finding,) = [f for f in judge(sweep.evidence(2)).findings if f.code == "H02"]
    assert "It does not fit in memory" in finding.symptom


def test_trials_that_learn_nothing_count_as_broken() -> None:
    """Ten equal classes: 10 % right is knowing nothing. At high rates trials end there, with a figure and no NaN."""
    data = {"task": "classification", "class_counts": [100] * 10}
    sweep = Sweep(surface=lambda p: 0.9 + 0.03 * rate(p) if rate(p) < -2.8 else 0.1, budget=40, header={"data": data})
    for seed in SEEDS:
        diagnosis = judge(sweep.evidence(seed))
        assert "H02" in warned(diagnosis)
        assert diagnosis.statistics["H04"]["edge"] == pytest.approx(10**-2.8, rel=0.5)
        (finding,) = [f for f in diagnosis.findings if f.code == "H02"]
        assert "most: they learned nothing" in finding.symptom
        assert "optim.lr: end below" in finding.remedy
    assert sum("H04" in warned(judge(sweep.evidence(seed))) for seed in range(10)) >= 8
    unknown = replace(sweep, header={})
    assert not {"H02", "H04"} & warned(judge(unknown.evidence(0)))


def test_a_metric_that_is_to_fall_is_turned_round() -> None:
    """The same search told as a loss: everything found must be found again."""
    sweep = SICK["range ends below the best"][1]
    rising, rows = judge(sweep.evidence(0)), sweep.rows(0)
    for row in rows:
        if row["kind"] == "member" and row["state"] == "finished":
            figures = [1 - value for value in row["figures"]]
            row |= {"monitor": "loss", "figure": min(figures), "figures": figures, "valid": {"loss": min(figures)}}
    falling = judge(Evidence({**sweep.head(), "metric": "loss", "higher_is_better": False}, rows))
    assert warned(falling) == warned(rising)
    one, other = (diagnosis.statistics["H01"]["optim.lr"] for diagnosis in (rising, falling))
    assert one["distance"] == pytest.approx(other["distance"])
    assert one["rising"] == pytest.approx(other["rising"])


def test_time_that_was_over_is_not_the_pruners_doing() -> None:
    sweep = SICK["let go blindly"][1]
    rows = sweep.rows(0)
    for row in rows:
        if row.get("state") == "pruned":
            row["reason"] = "let go after epoch 1: the time was over"
    assert CHECKS["H05"].rule(Evidence(sweep.head(), rows)) is None


@pytest.mark.parametrize("change", [lambda row: row | {"figure": math.nan, "valid": {}, "figures": []}, lambda row: {}])
def test_figures_that_are_missing_or_nan_are_survived(change: Callable[[Any], Any]) -> None:
    rows = [change(dict(row)) if i % 3 == 0 else row for i, row in enumerate(Sweep().rows(0))]
    judge(Evidence(Sweep().head(), rows))


def test_thresholds_are_what_the_trials_say() -> None:
    """1 - 0.05^(1/n): of n uniform draws, the best lies in the best so much of the space in 95 of 100 searches."""
    draw = np.random.default_rng(0)
    statistics = judge(Sweep(budget=25).evidence()).statistics["H02"]
    best = draw.random((20000, 25)).min(axis=1)
    assert (best < statistics["likely_best"]).mean() == pytest.approx(0.95, abs=0.01)


def test_a_tie_is_a_note_and_a_flat_search_a_warning() -> None:
    levels = {f.code: f.level for f in judge(SICK["nothing matters"][1].evidence(0)).findings}
    assert levels["H03"] == "warning"
    flat = [judge(SICK["nothing matters"][1].evidence(seed)).findings for seed in range(12)]
    symptoms = [one.symptom for findings in flat for one in findings if one.code == "H03" and one.level == "warning"]
    assert any("no better than the middle trial" in symptom for symptom in symptoms)
    assert not any("-" in symptom.partition(" better than")[0] for symptom in symptoms)
    tied = replace(Sweep(), surface=lambda p: 0.97 if rate(p) > -2 else 0.8, noise=0.004)
    levels = {f.code: f.level for f in judge(tied.evidence(0)).findings}
    assert levels["H03"] == "note"
