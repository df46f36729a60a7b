"""Twins that are trained together: each is what it would be alone, all keep the budget, and NaN is judged."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

import limpid
from limpid.config import Config
from limpid.config_reader import with_options
from limpid.errors import LimpidError
from limpid.models.transfer import copy_where_equal
from limpid.population.ground import Ground
from limpid.population.member import Member
from limpid.practice.budget import Budget, OutOfBudget
from limpid.practice.nursery import Nursery
from limpid.practice.patches import patched
from limpid.practice.twins import Twin
from limpid.practice.yardstick import judge_network
from limpid.training.history import History, Silence
from limpid.training.loop import fit
from limpid.training.randomness import own_randomness
from limpid.wiring import Wiring, wire

MOONS: dict[str, Any] = {"data__source": "moons", "data__size": 240, "model__name": "mlp", "model__hidden": (12, 8, 8)}
MOONS |= {"epochs": 3, "batch_size": 32, "lr": 0.03, "training__threads": 1, "training__precision": "float32"}
STEPS = 3 * 6  # of a whole training: 60 % of 240 rows, in batches of 32, is checked below
CLOSE = 1e-4  # of losses of about 0.3, after 18 steps whose sums were taken in another order
FIGURE = "log_loss"


@pytest.fixture(scope="module")
def base() -> Config:
    """Resolved, as that of a run is."""
    given = with_options(Config(), MOONS)
    return wire(given, Ground().dataset(given)).config


def pair(base: Config, seed: int, **options: Any) -> list[Twin]:
    """An untreated twin and a treated one."""
    patch = {path.replace("__", "."): value for path, value in options.items()}
    return [Twin(base, seed, FIGURE), Twin(patched(base, patch), seed, FIGURE, like=base)]


def judged_plainly(nursery: Nursery, twin: Twin) -> np.ndarray[Any, Any]:
    """Figures of the rows after a plain training: wire, take over first weights, train, judge."""
    dataset = nursery.ground.dataset(twin.config)
    wiring = wire(with_options(twin.config, {"seed": twin.seed}), dataset)
    if twin.like is not None:
        copy_where_equal(wire(with_options(twin.like, {"seed": twin.seed}), dataset).network, wiring.network)
    with own_randomness(twin.seed), wiring.fast_roads():
        fit(wiring.parts, wiring.plan, History(), Silence())
    return judge_network(wiring, twin.figure).losses_N


def layers(wiring: Wiring) -> list[Tensor]:
    return [module.weight.detach() for module in wiring.network.modules() if isinstance(module, nn.Linear)]


@pytest.mark.parametrize(
    ("way", "close"), [("auto", CLOSE), ("stacked", CLOSE), ("one-by-one", 0.0)], ids=["auto", "stacked", "one by one"]
)
@pytest.mark.parametrize("options", [{"optim__lr": 0.003}, {"model__hidden": (13, 8, 8)}], ids=["rate", "width"])
def test_twins_are_what_they_would_be_alone(base: Config, way: str, close: float, options: dict[str, Any]) -> None:
    nursery = Nursery(with_options(base, {"training__on": way}))
    twins = [twin for seed in (1, 2) for twin in pair(base, seed, **options)]
    outcomes = nursery.raise_twins(twins)
    assert nursery.trainings == 4
    for twin, outcome in zip(twins, outcomes, strict=True):
        np.testing.assert_allclose(outcome.judgement.losses_N, judged_plainly(nursery, twin), rtol=0.0, atol=close)
        assert outcome.steps == STEPS
        assert not outcome.failed


@pytest.mark.slow
def test_worker_processes_take_first_weights_over_too(base: Config) -> None:
    nursery = Nursery(with_options(base, {"training__on": "processes"}))
    twins = pair(base, 1, model__hidden=(13, 8, 8))
    for twin, outcome in zip(twins, nursery.raise_twins(twins), strict=True):
        assert np.array_equal(outcome.judgement.losses_N, judged_plainly(nursery, twin))


def test_first_weights_are_taken_over_layer_by_layer_where_shapes_allow(base: Config) -> None:
    wider = with_options(base, {"model__hidden": (13, 8, 8), "seed": 4})
    ground = Ground()
    own = layers(ground.wiring(Member(0, with_options(base, {"seed": 4}))))
    taken = layers(ground.wiring(Member(0, wider, like=base)))
    drawn = layers(ground.wiring(Member(0, wider)))
    assert [one.equal(two) for one, two in zip(own, taken, strict=True) if one.shape == two.shape] == [True, True]
    assert [one.equal(two) for one, two in zip(own, drawn, strict=True) if one.shape == two.shape] == [False, False]


@pytest.mark.parametrize(
    "options",
    [{"model__hidden": (13, 8, 8), "model__init": "xavier_uniform"}, {"model__hidden": (13, 8, 8), "data__size": 200}],
    ids=["first weights are the change", "data are read in another way"],
)
def test_first_weights_are_not_taken_over_where_they_cannot_be_the_same(base: Config, options: dict[str, Any]) -> None:
    other, ground = with_options(base, options), Ground()
    one, two = (layers(ground.wiring(Member(0, other, like=like))) for like in (None, base))
    assert all(a.equal(b) for a, b in zip(one, two, strict=True))


def test_what_was_learned_elsewhere_is_not_overwritten_by_first_weights(tmp_path: Path) -> None:
    moderate = with_options(Config(), {**MOONS, "model__dropout": 0.1, "epochs": 1, "out": tmp_path / "run"})
    run = limpid.train(moderate, record__report=False, record__doctor=False)
    started = with_options(moderate, {"model__start": str(run.path)})
    strong = with_options(started, {"model__dropout": 0.3})
    ground = Ground()
    learned, taken = (layers(ground.wiring(Member(0, *given))) for given in ((started,), (strong, None, started)))
    assert all(a.equal(b) for a, b in zip(learned, taken, strict=True))


def test_each_is_trained_once(base: Config) -> None:
    nursery = Nursery(base)
    twins = pair(base, 1, optim__lr=0.003)
    first = nursery.raise_twins([*twins, twins[0]])
    again = nursery.raise_twins([twins[1], *pair(base, 2, optim__lr=0.003)])
    assert nursery.trainings == 4
    assert first[0] is first[2]
    assert again[0] is first[1]


def test_the_budget_counts_the_steps_of_all(base: Config) -> None:
    twins = [twin for seed in (1, 2) for twin in pair(base, seed, optim__lr=0.003)]
    enough = Nursery(base, budget=Budget(steps=4 * STEPS))
    assert len(enough.raise_twins(twins)) == 4
    assert enough.purse.steps == 4 * STEPS
    scarce = Nursery(base, budget=Budget(steps=4 * STEPS - 1))
    with pytest.raises(OutOfBudget):
        scarce.raise_twins(twins)
    with pytest.raises(OutOfBudget):  # and nothing begins after it
        scarce.raise_twin(Twin(base, 9, FIGURE))


@pytest.mark.parametrize("number", [1, 2], ids=["alone", "together"])
def test_the_clock_ends_trainings_within_their_epochs(base: Config, number: int) -> None:
    endless = with_options(base, {"epochs": 100_000})
    nursery = Nursery(base, budget=Budget(seconds=0.3))
    with pytest.raises(OutOfBudget):
        nursery.raise_twins([Twin(endless, seed, FIGURE) for seed in range(number)])
    assert nursery.purse.steps < 100_000


def test_one_whose_loss_becomes_nan_is_judged_by_its_best_weights_before(base: Config) -> None:
    wild = with_options(base, {"lr": 1e30})
    together = Nursery(base).raise_twins([Twin(wild, 1, FIGURE), *pair(base, 1, optim__lr=0.003)])
    alone = Nursery(base).raise_twin(Twin(wild, 1, FIGURE))
    assert [outcome.failed for outcome in together] == [True, False, False]
    assert np.array_equal(together[0].judgement.losses_N, alone.judgement.losses_N)
    assert math.isfinite(together[0].judgement.loss)


def test_one_that_cannot_be_built_says_why(base: Config) -> None:
    broken = with_options(base, {"model__freeze": "no such layer"})
    with pytest.raises(LimpidError, match="no such layer"):
        Nursery(base).raise_twins([Twin(broken, 1, FIGURE), *pair(base, 1, optim__lr=0.003)])


def test_a_short_twin_of_a_long_training_is_counted_in_epochs(base: Config) -> None:
    long = with_options(base, {"epochs": 30})
    outcomes = Nursery(base).raise_twins([Twin(long, seed, FIGURE, share=0.25) for seed in (1, 2)])
    assert [outcome.steps for outcome in outcomes] == [7 * STEPS // 3] * 2
