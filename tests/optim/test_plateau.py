"""The rate that falls on a plateau against torch's, on scripted and on random figures."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from limpid.config import OptimConfig
from limpid.optim import build_schedule
from limpid.optim.plateau import Plateau
from limpid.training.loop import Responsive


def torchs(figures: list[float], **options: Any) -> list[float]:
    """The rate after each epoch's figure."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    scheduler = ReduceLROnPlateau(optimizer, eps=0.0, **options)
    rates = []
    for figure in figures:
        scheduler.step(figure)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def ours(figures: list[float], *, higher_is_better: bool = False, **options: Any) -> list[float]:
    plateau = Plateau(**options)
    seen: list[float] = []
    plateau.follow(seen, higher_is_better=higher_is_better)
    rates = []
    for step, figure in enumerate(figures):
        seen.append(figure)
        rates.append(plateau(step))
    return rates


@pytest.mark.spec("O22")
def test_a_constant_figure_is_borne_for_patience_epochs_and_one_more() -> None:
    rates = ours([1.0] * 25)  # torch's defaults: mode min, factor .1, patience 10, threshold 1e-4 relative
    # The first epoch improves on nothing; the rate falls after patience + 1 = 11 epochs that did not improve.
    assert rates == pytest.approx([1.0] * 11 + [0.1] * 11 + [0.01] * 3)
    assert rates == pytest.approx(torchs([1.0] * 25))


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize(("patience", "cooldown", "least"), [(0, 0, 0.0), (2, 0, 0.2), (2, 3, 0.0), (5, 1, 0.05)])
def test_equals_torch_on_random_figures(
    mode: str, threshold_mode: str, patience: int, cooldown: int, least: float
) -> None:
    chance = random.Random(patience + cooldown)
    figures = [round(chance.uniform(0.5, 1.5), 2) for _ in range(60)]
    shared = {"factor": 0.5, "patience": patience, "threshold": 0.02, "cooldown": cooldown}
    expected = torchs(figures, mode=mode, threshold_mode=threshold_mode, min_lr=least, **shared)
    got = ours(figures, higher_is_better=mode == "max", relative=threshold_mode == "rel", least=least, **shared)
    assert got == pytest.approx(expected)
    assert len(set(got)) > 2, "a rate that never falls shows nothing"


def test_taken_up_in_the_middle_it_has_the_rates_that_it_would_have_had() -> None:
    figures = [1.0, 0.9, 0.9, 0.9, 0.9, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9]
    whole = ours(figures, patience=1)
    for known in range(len(figures)):
        resumed = Plateau(patience=1)
        seen = figures[:known]
        resumed.follow(seen, higher_is_better=False)
        for figure, expected in zip(figures[known:], whole[known:], strict=True):
            seen.append(figure)
            assert resumed(0) == expected


def test_a_figure_that_is_nan_is_no_improvement_and_negative_ones_count_by_their_size() -> None:
    assert ours([float("nan")] * 3, patience=1) == pytest.approx([1.0, 0.1, 0.1])
    assert ours([-1.0, -1.001, -1.1], patience=0, threshold=0.01) == pytest.approx([1.0, 0.1, 0.1])


def test_built_by_name_with_warm_up_it_answers_to_results() -> None:
    config = OptimConfig(schedule="reduce on plateau", warmup=0.1, factor=0.5, plateau_patience=0, least_lr=0.2)
    schedule = build_schedule(config, num_steps=40, steps_per_epoch=4)
    assert isinstance(schedule, Responsive)
    assert [schedule(step) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    schedule.follow([1.0, 1.0, 1.0, 1.0, 1.0], higher_is_better=False)
    assert schedule(30) == pytest.approx(0.2)
