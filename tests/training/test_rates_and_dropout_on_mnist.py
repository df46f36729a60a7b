"""Experiments of the ledger on handwritten digits: learning rates (J19), and what dropout is worth (J40, J42)."""

from __future__ import annotations

import math
import os

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config import RegularizeConfig
from limpid.data.dataset import Dataset
from limpid.models.dropout import make_dropout
from limpid.optim.regularizers import attach_regularizers
from limpid.workbench import load_data

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    folder = os.environ.get("LIMPID_DATA")
    if not folder:
        pytest.skip("set LIMPID_DATA to a folder that holds mnist")
    return load_data("mnist", data_dir=folder)


def rows(dataset: Dataset, first: int, count: int, *, test: bool = False) -> tuple[Tensor, Tensor]:
    """So many rows as (B, 784) in [0, 1], with their classes."""
    split = dataset.test() if test else dataset.train
    assert split is not None
    batch = split.rows.take(torch.arange(first, first + count))
    return batch[0].reshape(count, -1).float() / 255, split.target[first : first + count]


def classifier(drop: float, drop_input: float) -> nn.Sequential:
    """784-512-512-10."""
    return nn.Sequential(
        make_dropout("inverted", drop_input),
        *(nn.Linear(784, 512), nn.ReLU(), make_dropout("inverted", drop)),
        *(nn.Linear(512, 512), nn.ReLU(), make_dropout("inverted", drop)),
        nn.Linear(512, 10),
    )


@pytest.mark.spec("O23", "J19")
def test_learning_rates_too_low_good_and_too_high(mnist: Dataset) -> None:
    x, y = rows(mnist, 0, 5000)

    def loss_after(lr: float) -> float:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        for step in range(200):
            start = step * 50 % 5000
            optimizer.zero_grad()
            F.cross_entropy(model(x[start : start + 50]), y[start : start + 50]).backward()
            optimizer.step()
        with torch.no_grad():
            return F.cross_entropy(model(x), y).item()

    low, good, high = (loss_after(lr) for lr in (1e-4, 0.1, 10.0))
    assert good < low
    assert math.isnan(high) or high >= math.log(10) - 0.1


@pytest.mark.spec("J40")
def test_dropout_narrows_the_gap_and_lowers_the_test_loss(mnist: Dataset) -> None:
    """784-512-512-10, 500 images, dropout 0.5 and 0.2 at the input, 600 steps of Adam; also against L2 alone."""
    x_test, y_test = rows(mnist, 0, 4000, test=True)

    def train(seed: int, drop: float, drop_input: float, l2: float = 0.0) -> tuple[float, float]:
        x, y = rows(mnist, 500 * seed, 500)
        torch.manual_seed(seed)
        model = classifier(drop, drop_input)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        attach_regularizers(RegularizeConfig(l2=l2), model, optimizer)
        for step in range(600):
            start = step * 50 % 500
            optimizer.zero_grad()
            F.cross_entropy(model(x[start : start + 50]), y[start : start + 50]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            return F.cross_entropy(model(x), y).item(), F.cross_entropy(model(x_test), y_test).item()

    better = against_l2 = 0
    for seed in range(5):
        (plain_train, plain_test), (drop_train, drop_test) = train(seed, 0.0, 0.0), train(seed, 0.5, 0.2)
        better += drop_test < plain_test and drop_test - drop_train < plain_test - plain_train
        against_l2 += drop_test < train(seed, 0.0, 0.0, l2=1e-3)[1]
    assert better >= 4
    print(f"dropout beats L2 of 1e-3 in {against_l2} of 5")


@pytest.mark.spec("J42")
def test_an_autoencoder_with_dropout_has_fewer_active_units(mnist: Dataset) -> None:
    x, _ = rows(mnist, 0, 5000)

    def active_share(drop: float) -> float:
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(784, 256), nn.ReLU())
        model = nn.Sequential(encoder, make_dropout("inverted", drop), nn.Linear(256, 784))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for step in range(1000):
            start = step * 100 % 5000
            optimizer.zero_grad()
            F.mse_loss(model(x[start : start + 100]), x[start : start + 100]).backward()
            optimizer.step()
        with torch.no_grad():
            return (encoder(x) > 0).double().mean().item()

    assert active_share(0.5) < active_share(0.0)
