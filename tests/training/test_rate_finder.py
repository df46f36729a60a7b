"""The learning rate range test: leaves nothing behind, finds usable rates, and says when it finds none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from limpid.data.dataset import ResidentRows, Split
from limpid.data.loader import Loader
from limpid.errors import ConfigError
from limpid.training.loop import Parts, Plan
from limpid.training.rate_finder import RateCurve, search_rate
from limpid.workbench import find_rate, train

CPU = torch.device("cpu")
PLAN = Plan(num_epochs=1, num_steps=10, device=CPU, precision="float32")


class CrossEntropy:
    def loss(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs, target)


def parts(*, accumulate: int = 1) -> Parts:
    torch.manual_seed(0)
    x = torch.randn(120, 6)
    split = Split(ResidentRows((x,)), (x[:, 0] + 0.5 * x[:, 1] > 0).long() + (x[:, 2] > 0.5).long())
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    groups: list[dict[str, Any]] = [
        {"params": list(model[0].parameters()), "lr": 0.01},
        {"params": [*model[1].parameters(), *model[3].parameters()], "lr": 0.1},
    ]
    return Parts(
        model=model,
        objective=CrossEntropy(),
        optimizer=torch.optim.SGD(groups, lr=0.1, momentum=0.9),
        schedule=lambda step: 1.0,
        train=Loader(split, batch_size=16 // accumulate, seed=0, shuffle=True, device=CPU),
        valid=None,
        average=None,
        name_of=split.name_of,
    )


def test_it_rises_evenly_and_leaves_everything_as_found() -> None:
    found = parts()
    before = {name: tensor.clone() for name, tensor in found.model.state_dict().items()}
    curve = search_rate(found, PLAN, lowest=1e-4, highest=1.0, num_steps=41)
    assert len(curve.rates) == len(curve.losses) == len(curve.means)
    assert curve.rates[:41:10] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0][: len(curve.rates[:41:10])])
    for name, tensor in found.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not found.optimizer.state
    assert [group["lr"] for group in found.optimizer.param_groups] == [0.01, 0.1]
    assert search_rate(found, PLAN, lowest=1e-4, highest=1.0, num_steps=41) == curve


def test_its_losses_are_those_of_a_plain_loop() -> None:
    curve = search_rate(parts(), PLAN, lowest=1e-4, highest=1e-1, num_steps=15)
    twin = parts()
    twin.model.train()
    losses, epoch, batches = [], 0, iter(twin.train.epoch(0))
    for k in range(15):
        batch = next(batches, None)
        if batch is None:
            epoch += 1
            batches = iter(twin.train.epoch(epoch))
            batch = next(batches)
        rate = 1e-4 * 1000 ** (k / 14)
        twin.optimizer.param_groups[0]["lr"], twin.optimizer.param_groups[1]["lr"] = rate / 10, rate
        loss = nn.functional.cross_entropy(twin.model(*batch.inputs), batch.target)
        twin.optimizer.zero_grad()
        loss.backward()
        twin.optimizer.step()
        losses.append(loss.item())
    assert curve.losses == pytest.approx(losses, rel=1e-6)
    weights = 0.9 ** np.arange(14, -1, -1)
    assert curve.means[-1] == pytest.approx(float(weights @ losses / weights.sum()), rel=1e-6)


def test_accumulated_batches_are_one_step() -> None:
    curve = search_rate(parts(accumulate=4), replace(PLAN, accumulate=4), num_steps=25)
    assert len(curve.rates) <= 25
    assert curve.losses[0] == pytest.approx(1.1, abs=0.3), "the mean of its batches, not their sum"


def test_nothing_to_suggest_is_said() -> None:
    flat = search_rate(parts(), PLAN, lowest=1e-9, highest=1e-8, num_steps=30)
    assert flat.suggestion is None
    assert "never fell" in flat.rule
    wild = search_rate(parts(), PLAN, lowest=1e30, highest=1e32, num_steps=30)
    assert wild.suggestion is None
    assert "lower rate" in wild.rule
    with pytest.raises(ConfigError, match="expected 0 < lowest < highest"):
        search_rate(parts(), PLAN, lowest=1.0, highest=0.1)


def test_rows_are_thinned() -> None:
    curve = RateCurve([0.1] * 100, [1.0] * 100, [1.0] * 100, None, "")
    assert len(curve.rows(24)) <= 24
    assert [row["step"] for row in curve.rows(100)] == list(range(1, 101))


@pytest.mark.spec("O23")
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_suggested_rate_is_better_than_one_far_below_and_one_far_above(optimizer: str, tmp_path: Any) -> None:
    options: dict[str, Any] = {"model": "mlp", "optimizer": optimizer, "hidden": (64,), "batch_size": 32}
    curve = find_rate("digits", num_steps=150, **options)
    assert curve.suggestion is not None
    assert 1e-4 < curve.suggestion < 1.0
    scores = {}
    for factor in (0.001, 1.0, 100.0):
        run = train(
            "digits",
            lr=curve.suggestion * factor,
            schedule="constant",
            training__steps=100,
            out=str(tmp_path / f"{factor}"),
            record__report=False,
            **options,
        )
        scores[factor] = next(iter(run.events("result")))["loss"]
    assert scores[1.0] < 0.5 * scores[0.001]
    assert scores[1.0] < 0.5 * scores[100.0]


@pytest.mark.spec("O23")
def test_rates_too_low_good_and_too_high(tmp_path: Any) -> None:
    """The ledger's experiment, on digits in the place of MNIST: losses after 200 steps at 1e-4, 0.1 and 10."""
    losses = {}
    for lr in (1e-4, 0.1, 10.0):
        run = train(
            "digits",
            model="mlp",
            optimizer="sgd",
            lr=lr,
            schedule="constant",
            training__steps=200,
            training__restore_best=False,
            hidden=(64,),
            optim__momentum=0.0,
            out=str(tmp_path / f"{lr}"),
            record__report=False,
        )
        losses[lr] = [row["loss"] for row in run.events("metric") if row["split"] == "train"][-1]
    assert losses[0.1] < losses[1e-4]
    assert losses[10.0] >= np.log(10) - 0.1


def test_the_command_prints_a_table_and_a_rate(limpid: Callable[..., Any]) -> None:
    done = limpid("lr-find", "digits", "--model", "mlp", "--steps", "120", "--set", "training.seed=3")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split() == ["step", "lr", "loss", "mean"]
    assert done.out.splitlines()[-1].startswith("Suggestion: --lr ")
    done = limpid("lr-find", "digits", "--model", "mlp", "--steps", "120", "--set", "training.seed=3", "--json")
    last = json.loads(done.out.splitlines()[-1])
    assert 1e-4 < last["suggestion"] < 1
    wrong = limpid("lr-find", "digits", "--lowest", "1", "--highest", "0.1")
    assert (wrong.code, "lowest < highest" in wrong.err) == (2, True)
