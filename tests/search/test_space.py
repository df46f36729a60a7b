"""Knobs map the unit interval onto their values evenly; spaces ask, tighten, lay out and check themselves."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import optuna
import pytest
from optuna.trial import Trial

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.errors import ConfigError, ModelError
from limpid.search.knob import Knob, encoded
from limpid.search.samplers import Random
from limpid.search.space import Space
from limpid.search.space_check import impossible
from limpid.spec import DataSpec

RATE = Knob("optim.lr", "log", 1e-4, 1e-1)
BATCH = Knob("training.batch_size", "whole", 8, 100, log=True)
EPOCHS = Knob("training.epochs", "whole", 1, 5)
OPTIMIZER = Knob("optim.name", "choice", choices=("sgd", "adamw", "lion"))
MOMENTUM = Knob("optim.momentum", "linear", 0.5, 0.99, when={"optim.name": ("sgd",)})
NESTEROV = Knob("optim.nesterov", "choice", choices=(False, True), when={"optim.name": ("sgd",)})
HIDDEN = Knob("model.hidden", "choice", choices=((64,), (64, 64)))
SPACE = Space((RATE, OPTIMIZER, MOMENTUM, NESTEROV, HIDDEN, BATCH))
VECTOR = DataSpec(name="v", kind="vector", task="binary", input_shape=(2,), num_outputs=1, num_train=700, num_valid=100)


def linear_knob(name: str) -> Knob:
    return Knob(name, "linear", 0.0, 1.0)


@pytest.mark.parametrize("knob", [RATE, MOMENTUM, BATCH, EPOCHS, OPTIMIZER, HIDDEN])
def test_place_is_the_inverse_of_at(knob: Knob) -> None:
    for u in np.linspace(0, 1, 101):
        value = knob.at(u)
        again = knob.at(knob.place(value))
        assert again == (value if knob.kind in ("whole", "choice") else pytest.approx(value, rel=1e-12))


def test_scales_are_what_the_formulas_say() -> None:
    for u in (0.0, 0.3, 1.0):
        assert RATE.at(u) == pytest.approx(1e-4 * (1e-1 / 1e-4) ** u)
        assert MOMENTUM.at(u) == pytest.approx(0.5 + u * 0.49)
    assert all(1e-4 <= RATE.at(u) <= 1e-1 for u in (0.0, 1e-300, 1.0))  # the configuration may refuse what lies beyond


def test_whole_numbers_and_choices_own_equal_shares() -> None:
    u = (np.arange(60_000) + 0.5) / 60_000
    values, counts = np.unique([EPOCHS.at(one) for one in u], return_counts=True)
    assert values.tolist() == [1, 2, 3, 4, 5]
    assert counts.tolist() == [12_000] * 5
    names, counts = np.unique([OPTIMIZER.at(one) for one in u], return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {"sgd": 20_000, "adamw": 20_000, "lion": 20_000}
    assert isinstance(EPOCHS.at(0.5), int)


def test_whole_numbers_on_a_log_scale_own_what_their_length_is() -> None:
    u = (np.arange(100_000) + 0.5) / 100_000
    values = np.array([BATCH.at(one) for one in u])
    assert (values.min(), values.max()) == (8, 100)
    for n in (8, 20, 100):
        share = math.log((n + 0.5) / (n - 0.5)) / math.log(100.5 / 7.5)
        assert (values == n).mean() == pytest.approx(share, abs=2e-5)


def test_conditions_ask_only_where_they_hold() -> None:
    study = optuna.create_study(sampler=Random(SPACE, seed=0))
    seen = set()
    for _ in range(40):
        params = SPACE.ask(study.ask())
        seen.add(params["optim.name"])
        assert ("optim.momentum" in params) == (params["optim.name"] == "sgd") == ("optim.nesterov" in params)
    assert seen == {"sgd", "adamw", "lion"}


def test_a_trial_that_has_values_keeps_them() -> None:
    study = optuna.create_study(sampler=Random(SPACE, seed=0))
    trial = study.ask()
    params = SPACE.ask(trial)
    study.sampler = Random(SPACE, seed=1)
    assert SPACE.ask(Trial(study, trial._trial_id)) == params
    assert SPACE.params_of(study.trials[0]) == params
    assert SPACE.params_of(study.trials[0])["model.hidden"] in HIDDEN.choices  # a tuple again, not its text


def test_values_are_options_of_a_configuration() -> None:
    config = with_options(Config(), SPACE.patch({"optim.lr": 0.02, "model.hidden": (64, 64), "optim.name": "sgd"}))
    assert (config.optim.lr, config.model.hidden, config.optim.name) == (0.02, (64, 64), "sgd")


def test_a_space_survives_json() -> None:
    assert Space.from_dict(json.loads(json.dumps(SPACE.to_dict()))) == SPACE


def test_optuna_sees_the_same_ranges() -> None:
    for knob in SPACE.knobs:
        distribution = knob.to_distribution()
        for u in (0.0, 0.5, 1.0):
            assert distribution._contains(distribution.to_internal_repr(encoded(knob.at(u))))


def test_tightened_ranges_hold_the_best_and_stay_within_the_old() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        best = [SPACE.at(rng.random(len(SPACE.knobs))) for _ in range(3)]
        tight = SPACE.tightened(best, 0.25)
        for knob in tight.knobs:
            old = next(one for one in SPACE.knobs if one.path == knob.path)
            values = [params[knob.path] for params in best if knob.path in params]
            if knob.kind == "choice":
                assert set(knob.choices) == (set(values) or set(old.choices))
                continue
            assert old.low <= knob.low < knob.high <= old.high
            assert all(knob.low * (1 - 1e-9) <= value <= knob.high * (1 + 1e-9) for value in values)
            if knob.kind != "whole" and values:
                places = [old.place(value) for value in values]
                width = old.place(knob.high) - old.place(knob.low)
                assert width == pytest.approx(max(0.25, max(places) - min(places)), abs=1e-9)
                assert old.place(knob.low) <= min(places) + 1e-9


def test_tightening_is_on_the_knobs_own_scale() -> None:
    tight = Space((RATE,)).tightened([{"optim.lr": 1e-3}, {"optim.lr": 1e-2}], 0.1).knobs[0]
    assert (tight.low, tight.high) == (pytest.approx(1e-3), pytest.approx(1e-2))


def test_a_knob_whose_condition_none_can_meet_is_left_out() -> None:
    best = [{"optim.lr": 1e-3, "optim.name": "lion", "model.hidden": (64,), "training.batch_size": 20}]
    assert SPACE.tightened(best).paths == ("optim.lr", "optim.name", "model.hidden", "training.batch_size")


def test_a_grid_lies_at_the_middles_of_equal_parts() -> None:
    grid = Space((linear_knob("optim.lr"), linear_knob("model.dropout"))).grid(25)
    fifths = [0.1, 0.3, 0.5, 0.7, 0.9]
    wanted = [(pytest.approx(a), pytest.approx(b)) for a, b in itertools.product(fifths, fifths)]
    assert [(p["optim.lr"], p["model.dropout"]) for p in grid] == wanted


@pytest.mark.parametrize("count", [1, 2, 5, 24, 100])
def test_a_grid_keeps_to_its_count_and_repeats_nothing(count: int) -> None:
    grid = SPACE.grid(count)
    assert 1 <= len(grid) <= count
    assert len({json.dumps(params) for params in grid}) == len(grid)
    assert len(grid) > count / 3
    for params in grid:
        assert ("optim.momentum" in params) == (params["optim.name"] == "sgd")


def test_the_size_is_the_number_of_combinations() -> None:
    whole = Space((OPTIMIZER, NESTEROV, HIDDEN, EPOCHS))
    brute = {
        (name, nesterov if name == "sgd" else None, hidden, epochs)
        for name, nesterov, hidden, epochs in itertools.product(
            OPTIMIZER.choices, NESTEROV.choices, HIDDEN.choices, range(1, 6)
        )
    }
    assert whole.size == len(brute) == 40
    assert math.isinf(SPACE.size)
    many = tuple(Knob(f"training.{key}", "whole", 1, 10_000) for key in ("epochs", "steps", "batch_size"))
    assert math.isinf(Space(many).size)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ((), "names no knob"),
        ((RATE, RATE), "optim.lr stands there twice"),
        ((MOMENTUM, OPTIMIZER), "asked after it: put it first"),
        ((MOMENTUM,), "optim.name is no knob of this space"),
        ((OPTIMIZER, Knob("optim.momentum", "linear", 0, 1, when={"optim.name": ("adam",)})), "never is"),
    ],
)
def test_a_space_that_cannot_be_asked_is_refused(knobs: tuple[Knob, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Space(knobs)


def test_an_impossible_combination_is_named_before_anything_is_trained() -> None:
    loose = Space((OPTIMIZER, linear_knob("optim.momentum"), RATE), "mine.toml")
    with pytest.raises(ConfigError) as caught:
        loose.check(Config(), VECTOR)
    message = str(caught.value)
    assert message.startswith("mine.toml: ")
    assert "optim.momentum" in message
    assert "optim.name = adamw" in message
    assert "optim.lr" not in message.partition(" cannot be built: ")[0]  # it has no part in it
    Space((OPTIMIZER, MOMENTUM, RATE)).check(Config(), VECTOR)


def test_networks_are_built_for_the_check() -> None:
    space = Space((Knob("model.name", "choice", choices=("mlp", "lenet5")),), "mine.toml")
    with pytest.raises(ConfigError, match=r"mine.toml: model.name = lenet5 cannot be built: lenet5 takes data of kind"):
        space.check(Config(), VECTOR)


def test_a_configuration_that_fails_by_itself_says_so_itself() -> None:
    base = with_options(Config(), {"model__name": "lenet5"})
    with pytest.raises(ModelError, match=r"^lenet5 takes data of kind"):
        Space((RATE,)).check(base, VECTOR)
    found = impossible((RATE,), base, VECTOR)
    assert found is not None
    assert found[0] == {}
