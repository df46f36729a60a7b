"""The data sets that everybody forecasts, reads and imitates, as they are found (LIMPID_DATA names their folder)."""

import os
from pathlib import Path

import pytest
import torch

from limpid.config import DataConfig
from limpid.data.sources import load_data
from limpid.data.vocabulary import Vocabulary

DATA = os.environ.get("LIMPID_DATA")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(DATA is None, reason="LIMPID_DATA is not set")]


def path(name):
    return Path(DATA or "") / name


@pytest.mark.parametrize(
    ("name", "target", "steps", "season", "step"),
    [
        ("airline-passengers", (), 144, 12, "1 month"),
        ("monthly-sunspots", (), 2820, 127, "1 month"),
        ("pollution", ("pm2.5",), 43_824, None, "1 hour"),
    ],
)
def test_series(name, target, steps, season, step):
    dataset = load_data(path(f"series/{name}.csv"), DataConfig(form="series", target=target))
    assert dataset.summary["rows"] == steps
    assert dataset.spec.preparation["season"] == season
    assert any(f"a step of {step}" in note for note in dataset.summary["notes"])


def test_reviews():
    dataset = load_data(path("text/review_polarity.tar.gz"), DataConfig())
    spec = dataset.spec
    assert (spec.num_train, spec.num_valid, spec.num_test) == (1400, 300, 300)
    assert spec.class_counts == (700, 700)
    assert spec.vocabulary == 20_000


def test_tiny_shakespeare():
    dataset = load_data(path("text/tinyshakespeare.txt"), DataConfig(valid_share=0.1, test_share=0.0))
    assert dataset.summary["tokens"] == 1_115_394
    assert dataset.spec.vocabulary == 69
    vocabulary = Vocabulary.from_state(dataset.spec.preparation["vocabulary"])
    tokens, _ = dataset.train.rows.take(torch.tensor([0]))
    assert vocabulary.decode(tokens[0].tolist()).startswith("First Citizen:\nBefore we proceed any further")
