"""Every loss, optimiser, schedule, activation, initialiser and augmentation of the catalogues trains by `train`.

The cases are read off the catalogues: a new part joins by being registered.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from limpid.catalogue.activations import ACTIVATIONS
from limpid.catalogue.augmentations import AUGMENTATIONS
from limpid.catalogue.initializers import INITIALIZERS
from limpid.catalogue.losses import LOSSES
from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.catalogue.schedules import SCHEDULES
from limpid.config import AugmentConfig
from limpid.deploy.trained import load_trained
from limpid.errors import ConfigError, Stopped
from limpid.record.run import Run
from limpid.workbench import train
from tests.small_data import Small, assert_finite, finite, make_small, train_small

MLP = {"model": "mlp", "hidden": (12, 8)}
ROWS = make_small("vector", "classification")
LOSS_CASES = [(name, task) for name, part in LOSSES.items() for task in part.tasks]
GRID = [(optimizer, schedule) for optimizer in OPTIMIZERS for schedule in SCHEDULES if optimizer != "none"]
SAMPLED = random.Random(7).sample(GRID, 8)  # each optimiser with four schedules: optim/test_optimizer_contract.py
RESUMED = random.Random(8).sample(GRID, 3)


def section_of(run: Run, name: str) -> dict[str, Any]:
    """A section of the configuration that the run's header holds."""
    return dict(run.header["config"][name])


@pytest.mark.parametrize(("name", "task"), LOSS_CASES)
def test_a_loss_trains_every_task_that_it_is_for(name: str, task: str, tmp_path: Path) -> None:
    texts = task == "tokens"
    small = make_small("text" if texts else "vector", task)
    if LOSSES[name].log_rate:
        small = type(small)(small.source, small.samples, abs(small.y).round(), small.options)
    model: dict[str, Any] = {"model": "gru", "model__units": 8} if texts else MLP
    if LOSSES[name].refusal:
        with pytest.raises(ConfigError, match=name):
            train_small(small, tmp_path / "run", loss=name, **model)
        return
    run = train_small(small, tmp_path / "run", loss=name, **model)
    assert_finite(run)
    assert section_of(run, "objective")["loss"] == name
    assert section_of(run, "objective")["options"].keys() >= LOSSES[name].options.keys()


@pytest.fixture(scope="module")
def first_weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """What every optimiser begins with."""
    still = train_small(ROWS, tmp_path_factory.mktemp("still") / "run", steps=2, optimizer="none", **MLP)
    return load_trained(still).network.state_dict()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_moves_every_weight(name: str, first_weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    run = train_small(ROWS, tmp_path / "run", steps=2, optimizer=name, **MLP)
    assert_finite(run)
    assert section_of(run, "optim")["name"] == name
    assert section_of(run, "optim")["options"].keys() >= OPTIMIZERS[name].options.keys()
    after = load_trained(run).network.state_dict()
    assert finite(after)
    kept = {key for key in after if torch.equal(after[key], first_weights[key]) and "scale" not in key}
    assert not kept or name == "none"


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_sets_the_rate_of_every_step(name: str, tmp_path: Path) -> None:
    run = train_small(ROWS, tmp_path / "run", steps=6, optimizer="sgd", schedule=name, lr=0.1, **MLP)
    assert_finite(run)
    assert section_of(run, "optim")["schedule"] == name
    assert section_of(run, "optim")["options"].keys() >= SCHEDULES[name].options.keys()
    rates = [row["lr"] for row in run.events("metric") if row["split"] == "train_step"]
    assert len(rates) == 6
    assert all(0 <= rate <= 0.1 + 1e-9 for rate in rates)
    assert max(rates) > 0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_trains_in_an_mlp_and_in_a_pattern(name: str, tmp_path: Path) -> None:
    run = train_small(ROWS, tmp_path / "run", model__activation=name, **MLP)
    assert_finite(run)
    assert section_of(run, "model")["activation"] == name
    if name != "maxout":  # which makes its own dense layer
        assert_finite(train_small(ROWS, tmp_path / "pattern", model=f"fc8-{name} fc"))


@pytest.mark.parametrize("name", INITIALIZERS)
def test_an_initializer_draws_the_first_weights(name: str, tmp_path: Path) -> None:
    small = make_small("image", "classification", side=8)
    run = train_small(small, tmp_path / "run", model="convnet", model__init=name)
    assert_finite(run)
    assert section_of(run, "model")["init"] == name
    texts, gru = make_small("text", "classification"), {"model": "gru", "model__units": 8}
    gru["model__embedding_init"] = name
    if INITIALIZERS[name].needs_matrix:
        with pytest.raises(ConfigError, match="bias_init"):
            train_small(texts, tmp_path / "biases", model__bias_init=name, **gru)
    else:
        gru["model__bias_init"] = name
    assert_finite(train_small(texts, tmp_path / "texts", **gru))


def strength(name: str) -> Any:
    """A value that switches an augmentation on: true, two pixels or degrees, or a fifth."""
    field = AugmentConfig.model_fields[name]
    bounds = [value for each in field.metadata for value in (getattr(each, "le", None), getattr(each, "lt", None))]
    if "bool" in str(field.annotation):
        return True
    return 2 if "int" in str(field.annotation) or max(filter(None, bounds), default=0) > 1 else 0.2


UNCHANGED: dict[str, Any] = {"model": "linear", "augment__crop": 0, "augment__flip": False}


@pytest.fixture(scope="module", params=[1, 3])
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Small, Run]:
    """Images of so many channels, and a run on them as they are."""
    small = make_small("image", "classification", side=12, channels=request.param)
    return small, train_small(small, tmp_path_factory.mktemp("plain") / "run", **UNCHANGED)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_changes_what_is_learned(name: str, plain: tuple[Small, Run], tmp_path: Path) -> None:
    small, without = plain
    run = train_small(small, tmp_path / "run", **{**UNCHANGED, f"augment__{name}": strength(name)})
    assert_finite(run)
    assert section_of(run, "augment")[name] == strength(name)
    assert run.events("end")[-1]["digest"] != without.events("end")[-1]["digest"]


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [pytest.param(*pair, marks=[] if pair in SAMPLED else [pytest.mark.slow]) for pair in GRID],
)
def test_an_optimizer_goes_with_a_schedule(optimizer: str, schedule: str, tmp_path: Path) -> None:
    run = train_small(ROWS, tmp_path / "run", steps=6, optimizer=optimizer, schedule=schedule, **MLP)
    assert_finite(run)
    assert (section_of(run, "optim")["name"], section_of(run, "optim")["schedule"]) == (optimizer, schedule)


class Interrupter:
    """Ctrl-C at the end of the second epoch."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None

    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None:
        if row["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [pytest.param(*pair, marks=[] if pair in RESUMED else [pytest.mark.slow]) for pair in GRID],
)
def test_a_pair_interrupted_and_resumed_ends_with_the_same_bits(optimizer: str, schedule: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        **ROWS.options, **MLP, "optimizer": optimizer, "schedule": schedule, "record__report": False, "epochs": 4,
        "batch_size": 8, "optim__warmup": 0.2, "device": "cpu",
    }  # fmt: skip
    whole = train(ROWS.source, y=ROWS.y, out=str(tmp_path / "whole"), **options)
    with pytest.raises(Stopped):
        train(ROWS.source, y=ROWS.y, out=str(tmp_path / "cut"), observer=Interrupter(), **options)
    resumed = train(ROWS.source, y=ROWS.y, resume=tmp_path / "cut")
    assert resumed.events("end")[-1]["digest"] == whole.events("end")[-1]["digest"]
    assert resumed.events("result")[-1]["loss"] == whole.events("result")[-1]["loss"]
