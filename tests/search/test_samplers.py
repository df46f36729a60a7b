"""Samplers: what they draw, that chance alone decides nothing twice, and that the order of ending changes nothing."""

from __future__ import annotations

import math
import random

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from limpid.errors import ConfigError
from limpid.search.foreign import Past
from limpid.search.knob import Knob
from limpid.search.pruners import PRUNERS, build_pruner
from limpid.search.sampler import drawn
from limpid.search.samplers import SAMPLERS, build_sampler
from limpid.search.space import Params, Space, drawn_point

optuna.logging.set_verbosity(optuna.logging.ERROR)
RATE = Knob("optim.lr", "log", 1e-4, 1e-1)
SPACE = Space(
    (
        RATE,
        Knob("optim.name", "choice", choices=("sgd", "adamw")),
        Knob("optim.momentum", "linear", 0.5, 0.99, when={"optim.name": ("sgd",)}),
        Knob("training.batch_size", "whole", 8, 128, log=True),
    )
)
PLANE = Space((Knob("optim.lr", "linear", 0.0, 1.0), Knob("model.dropout", "linear", 0.0, 1.0)))
BUDGET = 18
QUICK = tuple(name for name in SAMPLERS if name != "gp")


def score(params: Params) -> float:
    return (math.log(params["optim.lr"]) + 5) ** 2 + (params["optim.name"] == "sgd")


def searched(name: str, *, seed: int = 0, at_once: int = 1, order: int = 0, budget: int = BUDGET) -> dict[int, Params]:
    """The trials of a search whose members end in a random order, several of them in training."""
    sampler, rng = build_sampler(name, seed, SPACE, budget), random.Random(order)
    study = optuna.create_study(sampler=sampler)
    asked: dict[int, Params] = {}
    running: list[optuna.trial.Trial] = []
    most = min(budget, sampler.most or budget)
    while len(asked) < most or running:
        while len(asked) < most and len(running) < at_once and sampler.ready(study):
            trial = study.ask()
            asked[trial.number] = SPACE.ask(trial)
            running.append(trial)
        trial = running.pop(rng.randrange(len(running)))
        if trial.number == 3:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, score(asked[trial.number]))
    return asked


@pytest.mark.parametrize("name", QUICK)
def test_the_same_seed_asks_the_same_trials_however_they_end(name: str) -> None:
    alone = searched(name)
    assert searched(name, at_once=2, order=1) == alone
    assert searched(name, at_once=64, order=2) == alone
    assert searched(name, seed=1) != alone
    assert len(alone) >= 16


def test_a_gaussian_process_asks_the_same_trials_too() -> None:
    assert searched("gp", budget=15) == searched("gp", budget=15, at_once=3, order=1)


@pytest.mark.parametrize("name", QUICK)
def test_a_search_that_was_stopped_goes_on_as_it_would_have(name: str) -> None:
    whole = searched(name)
    storage = optuna.storages.InMemoryStorage()
    for number in range(len(whole)):  # a new sampler for every trial: nothing is remembered but the study
        sampler = build_sampler(name, 0, SPACE, BUDGET)
        study = optuna.create_study(storage=storage, sampler=sampler, study_name="s", load_if_exists=True)
        trial = study.ask()
        params = SPACE.ask(trial)
        assert params == whole[number]
        study.tell(trial, None if number == 3 else score(params), TrialState.FAIL if number == 3 else None)


@pytest.mark.parametrize("name", ["tpe", "cma-es", "two-stage", "evolution"])
def test_samplers_that_learn_try_better_values_than_chance(name: str) -> None:
    def late(of: str) -> float:
        trials = [list(searched(of, seed=seed, budget=40).values())[20:] for seed in range(4)]
        return float(np.median([score(params) for asked in trials for params in asked]))

    assert late(name) < 0.5 * late("random")


@pytest.mark.spec("H3")
def test_learning_rates_are_drawn_log_uniformly() -> None:
    rates = np.array([drawn(SPACE, 0, number)["optim.lr"] for number in range(4000)])
    places = np.sort(np.log10(rates) + 4) / 3  # uniform on 0 to 1, if the rates are log-uniform from 1e-4 to 1e-1
    distance = np.abs(places - (np.arange(4000) + 0.5) / 4000).max()
    assert distance < 1.63 / math.sqrt(4000)  # Kolmogorov and Smirnov at 1 %
    assert (rates < 1e-3).mean() == pytest.approx(1 / 3, abs=0.03)  # of uniform rates it would be 1 %
    twin = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    theirs = [twin.ask().suggest_float("lr", 1e-4, 1e-1, log=True) for _ in range(1000)]
    assert np.median(rates) == pytest.approx(np.median(theirs), rel=0.3)


def test_knobs_are_drawn_independently() -> None:
    points = np.array([drawn_point(SPACE, 0, number) for number in range(4000)])
    assert np.abs(np.corrcoef(points.T) - np.eye(4)).max() < 0.05
    assert np.abs(np.corrcoef(points[:-1, 0], points[1:, 0])[0, 1]) < 0.05


def peak(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """exp(-((x - c) / 0.05)^2) at every x for every centre: a function of the first knob alone."""
    return np.exp(-(((x - centres[:, None]) / 0.05) ** 2))


@pytest.mark.spec("J62")
@pytest.mark.spec("H3")
def test_random_beats_grid_when_one_knob_matters() -> None:
    centres = np.random.default_rng(0).random((400, 10))  # ten for each of 400 random searches
    grid = np.array([params["optim.lr"] for params in PLANE.grid(25)])
    assert len(grid) == 25
    best, best_grid = [], []
    for seed, centre in enumerate(centres):
        x = np.array([drawn(PLANE, seed, number)["optim.lr"] for number in range(25)])
        best.append(peak(x, centre).max(axis=1))
        best_grid.append(peak(grid, centre).max(axis=1))
    at_random, regular = np.concatenate(best), np.concatenate(best_grid)
    assert regular.mean() == pytest.approx(0.440, abs=0.02)
    assert at_random.mean() == pytest.approx(0.816, abs=0.03)
    assert at_random.mean() - regular.mean() >= 0.2
    assert (at_random > regular).mean() >= 0.7


@pytest.mark.spec("H2")
def test_a_grid_tries_its_regular_layout_once_each_in_shuffled_order() -> None:
    sampler = build_sampler("grid", 0, SPACE, BUDGET)
    tried = list(searched("grid").values())
    assert len(tried) == sampler.most
    assert sorted(map(str, tried)) == sorted(map(str, SPACE.grid(BUDGET)))
    assert tried != SPACE.grid(BUDGET)
    study = optuna.create_study(sampler=sampler)
    for _ in tried:
        SPACE.ask(study.ask())
    one_more = study.ask()
    with pytest.raises(ConfigError, match="points, and all were tried"):
        SPACE.ask(one_more)


def test_quasi_random_points_fill_the_plane_more_evenly() -> None:
    def worst_gap(name: str) -> float:
        study = optuna.create_study(sampler=build_sampler(name, 0, PLANE, 64))
        points = np.array([list(PLANE.ask(study.ask()).values()) for _ in range(64)])
        cells = np.floor(points * 4).astype(int)
        return float(np.abs(np.bincount(cells[:, 0] * 4 + cells[:, 1], minlength=16) - 4).max())

    assert worst_gap("quasi-random") == 0  # 64 Sobol points: 4 in each of 16 squares, exactly
    assert worst_gap("random") >= 2


@pytest.mark.parametrize(("name", "hint"), [("randm", "random"), ("two stages", "two-stage"), ("cmaes", "cma-es")])
def test_an_unknown_sampler_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"sampler={name} is not known. Did you mean {hint}?"):
        build_sampler(name, 0, SPACE, 10)


def test_samplers_work_under_hyperband() -> None:
    for name in ("two-stage", "tpe", "evolution"):
        sampler = build_sampler(name, 0, SPACE, BUDGET)
        study = optuna.create_study(sampler=sampler, pruner=build_pruner("hyperband", 27))
        asked = []
        for _ in range(BUDGET):
            trial = study.ask()
            asked.append(SPACE.ask(trial))
            for epoch in range(1, 28):
                trial.report(score(asked[-1]), epoch)
                if trial.should_prune():
                    study.tell(trial, state=TrialState.PRUNED)
                    break
            else:
                study.tell(trial, score(asked[-1]))
        assert len({str(params) for params in asked}) == BUDGET


def test_a_hidden_result_is_a_trial_in_training() -> None:
    study = optuna.create_study()
    for value in (1.0, 2.0, 3.0):
        study.tell(study.ask(), value)
    past = Past(study, 2)
    assert [trial.value for trial in past.get_trials()] == [1.0, 2.0, None]
    assert past.get_trials()[2].state == TrialState.RUNNING
    assert len(past.get_trials(states=(TrialState.COMPLETE,))) == 2
    assert study.trials[2].value == 3.0  # untouched


@pytest.mark.parametrize("name", PRUNERS)
def test_pruners_let_the_worst_go_and_keep_the_best(name: str) -> None:
    study = optuna.create_study(study_name="worst", direction="maximize", pruner=build_pruner(name, 20))
    epochs = {}
    for quality in (5, 9, 1, 7, 3, 8, 2, 9.5, 0, 6, 4, 1.5, 0.5, 2.5):
        trial = study.ask()
        epochs[quality] = 20
        for epoch in range(1, 21):
            trial.report(quality * epoch / 20, epoch)
            if trial.should_prune():
                epochs[quality] = epoch
                break
        study.tell(
            trial,
            state=TrialState.PRUNED if epochs[quality] < 20 else None,
            values=quality if epochs[quality] == 20 else None,
        )
    assert epochs[9.5] == 20
    assert (sum(epochs.values()) == 280) == (name == "none")
    if name != "none":
        assert epochs[0] < 20


def test_an_unknown_pruner_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="pruner=hyperbnd is not known. Did you mean hyperband?"):
        build_pruner("hyperbnd", 10)
