"""Importance of knobs: against what was built in, against refitting without each trial, against optuna's fANOVA."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from clinic.invented_search import DECAY, DROPOUT, HIDDEN, LR, Params, Sweep
from limpid.doctor import knob_importance
from limpid.doctor.diagnosis import judge
from limpid.doctor.evidence import Evidence
from limpid.doctor.knob_importance import importances, normal_scores
from limpid.record.trial_table import TrialTable

KNOBS = (LR, DECAY, DROPOUT, HIDDEN)


def rate_and_dropout(params: Params) -> float:
    return 0.9 - 0.04 * (math.log10(params["optim.lr"]) + 2) ** 2 + 0.1 * params["model.dropout"]


def table(sweep: Sweep, seed: int = 0) -> TrialTable:
    return TrialTable(sweep.head(), sweep.rows(seed))


def test_what_matters_is_found_and_what_does_nothing_is_not() -> None:
    hits, alarms = [], []
    for seed in range(20):
        found = {one.knob: one for one in importances(table(Sweep(knobs=KNOBS, surface=rate_and_dropout), seed))}
        hits.append(found["optim.lr"].sure and found["optim.lr"].share > 0.3)
        alarms += [found["optim.weight_decay"].sure, found["model.hidden"].sure]
    assert all(hits)
    assert sum(alarms) <= 2  # of 40, at 2.5 %


def test_shares_of_luck_lie_around_zero() -> None:
    """Nothing matters: shares of both signs, whose mean is 0 within three standard errors."""
    shares = [
        one.share
        for seed in range(30)
        for one in importances(table(Sweep(knobs=KNOBS, surface=lambda params: 0.9), seed))
    ]
    assert abs(np.mean(shares)) < 3 * np.std(shares) / math.sqrt(30)
    assert min(shares) < 0 < max(shares)


def test_the_shortcut_equals_refitting_without_each_trial() -> None:
    draw = np.random.default_rng(0)
    X_NP, z_N, owner = draw.normal(size=(14, 4)), draw.normal(size=14), np.array([0, 0, 1, 1])
    w_N = np.array([0, 1, 1, 2, 1, 0, 3, 1, 1, 1, 0, 1, 1, 1], dtype=float)
    quick, _ = knob_importance._foretold(X_NP, z_N, w_N[None], 2.0, owner, 2)
    total = w_N.sum()
    Xc, zc = X_NP - w_N @ X_NP / total, z_N - w_N @ z_N / total
    explained = np.zeros(4)
    for n in range(14):
        kept = np.where(np.arange(14) == n, 0.0, w_N)
        # The mean is a coefficient of its own, which the ridge leaves alone.
        design = np.column_stack([np.ones(14), Xc])
        gram = design.T @ (kept[:, None] * design) + np.diag([0, 2.0, 2.0, 2.0, 2.0])
        beta = np.linalg.solve(gram, design.T @ (kept * zc))[1:]
        explained += w_N[n] * zc[n] * Xc[n] * beta
    assert quick[0] == pytest.approx(np.bincount(owner, explained) / (w_N @ zc**2), rel=1e-9)


@pytest.mark.slow
def test_it_agrees_with_fanova() -> None:
    """optuna's fANOVA on the same scores puts the same knob first, with a share within 0.25."""
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for surface in (rate_and_dropout, lambda params: 0.9 - 0.4 * abs(params["model.dropout"] - 0.3)):
        trials = table(Sweep(knobs=KNOBS, surface=surface, budget=100))
        scores = normal_scores(np.array([trial.figure for trial in trials.ranked]))
        ranges = {
            knob.path: FloatDistribution(knob.low, knob.high, log=knob.on_log)
            if knob.is_number
            else CategoricalDistribution([str(choice) for choice in knob.choices])
            for knob in trials.knobs
        }
        study = optuna.create_study(direction="maximize")
        for trial, score in zip(trials.ranked, scores, strict=True):
            params = {path: v if not isinstance(v, list) else str(v) for path, v in trial.params.items()}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=ranges, value=float(score)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = optuna.importance.get_param_importances(
                study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
            )
        ours = importances(trials)
        assert ours[0].knob == max(theirs, key=lambda path: theirs[path])
        assert ours[0].share == pytest.approx(theirs[ours[0].knob], abs=0.25)


def test_a_conditional_knob_is_measured_where_it_was_asked() -> None:
    knobs = (
        LR,
        {"path": "optim.name", "kind": "choice", "choices": ["sgd", "adamw"]},
        {"path": "optim.momentum", "kind": "linear", "low": 0.5, "high": 0.99, "when": {"optim.name": ["sgd"]}},
    )

    def surface(params: Params) -> float:
        return 0.9 + 0.2 * params.get("optim.momentum", 0.7)

    found = {one.knob: one for one in importances(table(Sweep(knobs=knobs, surface=surface, budget=60)))}
    momentum = found["optim.momentum"]
    assert momentum.conditional
    assert momentum.trials < found["optim.lr"].trials == 60
    assert momentum.sure
    few = judge(Sweep(knobs=knobs, surface=surface, budget=16).evidence(0))
    (told,) = [finding for finding in few.findings if finding.where == "optim.momentum"]
    assert told.level == "note"
    assert "was not measured" in told.symptom


def test_failed_and_pruned_trials_are_left_out() -> None:
    sweep = Sweep(knobs=KNOBS, breaks=lambda params, draw: draw.random() < 0.3, budget=40)
    trials = table(sweep)
    assert {one.trials for one in importances(trials)} == {len(trials.ranked)}
    assert len(trials.ranked) < 40


def test_the_same_trials_in_another_order_say_the_same() -> None:
    sweep = Sweep(knobs=KNOBS)
    rows = sweep.rows(0)
    assert importances(TrialTable(sweep.head(), rows)) == importances(TrialTable(sweep.head(), rows[::-1]))


def test_networks_as_text_are_left_out() -> None:
    sweep = Sweep(knobs=KNOBS)
    rows, header = sweep.rows(0), sweep.head()
    header["space"]["knobs"].append({"path": "model.name", "kind": "pattern", "high": 10000, "choices": ["fc32 fc10"]})
    for row in rows:
        if row["kind"] == "member":
            row["params"] = {**row["params"], "model.name": f"fc{row['number']} fc10"}
    assert {one.knob for one in importances(TrialTable(header, rows))} == {knob["path"] for knob in KNOBS}
    assert judge(Evidence(header, rows)).findings


def test_trials_that_all_end_alike_say_nothing() -> None:
    found = importances(table(Sweep(knobs=KNOBS, surface=lambda params: 0.9, noise=0.0)))
    assert all(one.share == 0.0 and not one.sure for one in found)
