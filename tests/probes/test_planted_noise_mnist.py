"""Planted label noise on MNIST: estimated within 3 points, and found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import limpid
from limpid.errors import DataError
from limpid.probes.suspects import rows_of, suspect_classes
from tests.probes.test_confident_joint import flipped


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "pairs"),
    [(0.0, False), (0.05, False), (0.05, True), (0.1, False), (0.1, True), (0.2, False), (0.2, True)],
)
def test_planted_errors_are_counted_and_found(share: float, pairs: bool) -> None:
    try:
        dataset = limpid.load_data("mnist")
    except DataError as error:
        pytest.skip(str(error))
    assert dataset.valid is not None
    true = torch.cat([dataset.train.target, dataset.valid.target]).numpy()
    label = torch.from_numpy(flipped(true, share, pairs, seed=1))
    size = len(dataset.train)
    train, valid = replace(dataset.train, target=label[:size]), replace(dataset.valid, target=label[size:])
    suspects, estimate = suspect_classes(rows_of(replace(dataset, train=train, valid=valid)))
    assert estimate is not None
    assert abs(estimate.share - share) < 0.03
    if not share:
        return
    places = [one.position + (size if one.split == "valid" else 0) for one in suspects if one.kind == "label"]
    wrong = label.numpy() != true
    assert np.mean(wrong[places]) >= 0.7
    assert wrong[places].sum() >= 0.8 * wrong.sum()
