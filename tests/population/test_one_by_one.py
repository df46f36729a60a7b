"""Members one after another: each is what a run of its own would be, and what fails stays its own affair."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import limpid
from limpid.config import Config
from limpid.config_reader import with_options
from limpid.deploy.trained import best_weights
from limpid.errors import ConfigError
from limpid.population.executors import train_population
from limpid.population.ground import Ground
from limpid.population.host import Listed
from limpid.population.member import Member

SMALL = {"data__source": "moons", "model__name": "mlp", "model__hidden": (8,), "epochs": 3, "training__threads": 1}


def member(number: int, **options: object) -> Member:
    return Member(number, with_options(Config(), SMALL | options))


def test_a_member_is_a_run_without_a_folder(tmp_path) -> None:
    host = Listed([member(0)])
    train_population(host, Ground(), on="one-by-one")
    outcome = host.outcomes[0]
    run = limpid.train(config=member(0).config, record__out=str(tmp_path / "run"), record__report=False)
    _, weights = best_weights(run)
    assert outcome.weights is not None
    assert outcome.weights.keys() == weights.keys()
    assert all(torch.equal(outcome.weights[name], weights[name]) for name in weights)
    curve = [row["loss"] for row in run.events("metric") if row["split"] == "valid"]
    assert list(outcome.figures) == curve
    assert outcome.figure == min(curve)
    assert outcome.state == "finished"
    assert (outcome.epochs, outcome.steps) == (3, run.events("end")[0]["step"])


def test_a_member_does_not_depend_on_its_neighbours() -> None:
    alone, among = Listed([member(3, seed=3)]), Listed([member(i, seed=i) for i in range(5)])
    for host in (alone, among):
        train_population(host, Ground(), on="one-by-one")
    one, other = alone.outcomes[3].weights, among.outcomes[3].weights
    assert one is not None
    assert other is not None
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_failures_are_outcomes() -> None:
    broken = [member(0, lr=1e30, optimizer="sgd"), member(1, model__norm="batch", batch_size=1), member(2)]
    host = Listed(broken)
    train_population(host, Ground(), on="one-by-one")
    assert [host.outcomes[i].state for i in range(3)] == ["failed", "failed", "finished"]
    assert "NaN or infinite" in host.outcomes[0].reason
    assert "batch normalisation" in host.outcomes[1].reason
    assert host.outcomes[1].weights is None
    assert math.isnan(host.outcomes[1].figure)


def test_a_host_may_let_a_member_go() -> None:
    class Impatient(Listed):
        def epochs(self, told: Any) -> list[bool]:
            return [self.epoch(*one) for one in told]

        def epoch(self, member: Member, row: object, valid_row: object) -> bool:
            return member.number != 1

    host = Impatient([member(i) for i in range(3)])
    train_population(host, Ground(), on="one-by-one")
    assert [host.outcomes[i].state for i in range(3)] == ["finished", "pruned", "finished"]
    assert host.outcomes[1].epochs == 1


def test_a_bootstrap_sees_other_rows() -> None:
    host = Listed([member(0), Member(1, member(0).config, bootstrap=7)])
    train_population(host, Ground(), on="one-by-one")
    assert host.outcomes[0].figures != host.outcomes[1].figures


def test_an_unknown_way_is_named() -> None:
    with pytest.raises(ConfigError, match="one-by-one"):
        train_population(Listed([]), Ground(), on="one-by-won")
