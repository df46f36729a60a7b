"""Goodfellow's procedure: exactly 25 and 25, tightened around the best two to three, and better than one stage."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from limpid.search.knob import Knob
from limpid.search.sampler import drawn
from limpid.search.samplers import build_sampler
from limpid.search.space import SHRINK, Params, Space, drawn_point
from limpid.search.two_stage import TwoStage, first_stage, kept

optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = Space((Knob("optim.lr", "log", 1e-4, 1e-1), Knob("model.dropout", "linear", 0.0, 0.5)))
PLANE = Space((Knob("optim.lr", "linear", 0.0, 1.0), Knob("model.dropout", "linear", 0.0, 1.0)))


def accuracy(params: Params) -> float:
    return float(np.exp(-((np.log10(params["optim.lr"]) + 2.3) ** 2)) - params["model.dropout"] ** 2)


def run(study: optuna.Study, trials: int) -> list[Params]:
    asked = []
    for _ in range(trials):
        trial = study.ask()
        asked.append(SPACE.ask(trial))
        study.tell(trial, accuracy(asked[-1]))
    return asked


@pytest.mark.spec("H4")
@pytest.mark.spec("K56")
def test_twenty_five_then_the_best_three_then_twenty_five_around_them() -> None:
    sampler = build_sampler("two-stage", 0, SPACE, 50)
    assert isinstance(sampler, TwoStage)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    first = run(study, 25)
    assert first == [drawn(SPACE, 0, number) for number in range(25)]
    assert [sampler.stage(number) for number in range(50)] == 25 * ["search"] + 25 * ["tightened"]

    best = sorted(first, key=accuracy, reverse=True)[:3]
    tight = SPACE.tightened(best)
    second = run(study, 25)
    for knob, old in zip(tight.knobs, SPACE.knobs, strict=True):
        values = [params[knob.path] for params in second]
        assert all(knob.low <= value <= knob.high for value in values)
        assert knob.low >= old.low
        assert knob.high <= old.high
        assert all(knob.low <= params[knob.path] <= knob.high for params in best)
        extent = old.place(max(p[knob.path] for p in best)) - old.place(min(p[knob.path] for p in best))
        assert old.place(knob.high) - old.place(knob.low) == pytest.approx(max(SHRINK, extent))
    assert np.mean([accuracy(p) for p in second]) > np.mean([accuracy(p) for p in first])


def test_the_second_stage_waits_for_the_whole_first() -> None:
    sampler = build_sampler("two-stage", 0, SPACE, 6)
    study = optuna.create_study(sampler=sampler)
    running = []
    while sampler.ready(study) and len(running) < 6:
        running.append(study.ask())
        SPACE.ask(running[-1])
    assert len(running) == 3
    study.tell(running[1], 1.0)
    study.tell(running[0], state=TrialState.FAIL)
    assert not sampler.ready(study)
    study.tell(running[2], 1.0)
    assert sampler.ready(study)


def test_failed_and_pruned_trials_count_but_nothing_is_tightened_around_them() -> None:
    sampler = build_sampler("two-stage", 0, SPACE, 4)
    assert isinstance(sampler, TwoStage)
    study = optuna.create_study(sampler=sampler)
    for _ in range(2):
        trial = study.ask()
        SPACE.ask(trial)
        study.tell(trial, state=TrialState.FAIL)
    assert sampler.tightened(study) == SPACE
    assert SPACE.ask(study.ask()) == drawn(SPACE, 0, 2)
    assert sampler.stage(2) == "tightened"


def test_where_few_finish_those_count_that_were_let_go_last() -> None:
    sampler = build_sampler("two-stage", 0, SPACE, 8)
    assert isinstance(sampler, TwoStage)
    study = optuna.create_study(sampler=sampler)
    figures = [
        {1: 0.2},
        {1: 0.5, 2: 0.4},
        {1: 0.5, 2: 0.3},
        None,
    ]  # of a loss: the last finished, the others were let go
    for reported in figures:
        trial = study.ask()
        SPACE.ask(trial)
        for epoch, figure in (reported or {}).items():
            trial.report(figure, epoch)
        study.tell(trial, *((None, TrialState.PRUNED) if reported else (0.35, None)))
    first = [drawn(SPACE, 0, number) for number in range(4)]
    assert sampler.tightened(study) == SPACE.tightened([first[3], first[2]])


def test_budgets_are_halved_and_small_ones_keep_two() -> None:
    assert [first_stage(budget) for budget in (0, 1, 2, 25, 50)] == [1, 1, 1, 13, 25]
    assert [kept(n) for n in (1, 9, 10, 25)] == [2, 2, 3, 3]


@pytest.mark.spec("J63")
@pytest.mark.spec("H4")
def test_two_stages_of_thirteen_and_twelve_beat_twenty_five_at_once() -> None:
    centres = np.random.default_rng(0).random((400, 10))  # ten for each of 400 searches
    one_stage, two_stages = [], []
    for seed, some in enumerate(centres):
        u = np.array([drawn_point(PLANE, seed, number) for number in range(25)])
        x = [PLANE.at(point.tolist()) for point in u]
        for centre in some:
            y = np.exp(-(((u[:, 0] - centre) / 0.05) ** 2))
            tight = PLANE.tightened([x[i] for i in np.argsort(-y[:13])[: kept(13)]])
            z = np.array([tight.knobs[0].at(place) for place in u[13:, 0]])
            one_stage.append(y.max())
            two_stages.append(max(y[:13].max(), np.exp(-(((z - centre) / 0.05) ** 2)).max()))
    assert np.mean(one_stage) == pytest.approx(0.816, abs=0.03)
    assert np.mean(two_stages) >= np.mean(one_stage) + 0.05
