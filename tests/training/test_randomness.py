"""A run draws from its own seed and leaves the generators of its program as they were."""

from __future__ import annotations

import random

import numpy as np
import torch

from limpid.training.randomness import own_randomness, seed_torch


def draw() -> tuple[float, float, float]:
    return torch.rand(()).item(), float(np.random.rand()), random.random()


def test_inside_the_seed_decides_and_outside_nothing_happened() -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    expected = [draw(), draw()]
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    found = [draw()]
    with own_randomness(7):
        first = [draw() for _ in range(3)]
    with own_randomness(7):
        assert [draw() for _ in range(3)] == first
    with own_randomness(8):
        assert draw() != first[0]
    found.append(draw())
    assert found == expected


def test_torchs_generators_start_as_torch_starts_them() -> None:
    seed_torch(3)
    found = torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(found, torch.rand(4))
