"""A user's model sits under at most five of our frames, in at most four of our files, while it is trained."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import limpid

HOME = str(Path(limpid.__file__).parent)
MAX_FRAMES = 5
MAX_FILES = 4


class Witness(nn.Module):
    """A linear classifier that notes which of our functions stand above it in a training step."""

    paths: list[list[tuple[str, str]]] = []

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_features, num_classes)

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        if self.training and torch.is_grad_enabled():
            self.paths.append(our_callers())
        return self.linear(x_BF)


def our_callers() -> list[tuple[str, str]]:
    """(file, function) of each frame of limpid above this one, outermost first."""
    path = []
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(HOME):
            path.append((file.removeprefix(HOME + "/"), frame.f_code.co_name))
        frame = frame.f_back
    return path[::-1]


def test_hop_budget(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x_NF = rng.normal(size=(120, 4)).astype(np.float32)
    y_N = (x_NF[:, 0] + x_NF[:, 1] > 0).astype(np.int64) + (x_NF[:, 2] > 1)
    Witness.paths.clear()

    limpid.train((x_NF, y_N), model=Witness(4, 3), epochs=1, out=str(tmp_path / "run"))

    # The doctor's probes look at the model before training; they are no part of it.
    steps = [path for path in Witness.paths if ("training/loop.py", "fit") in path]
    assert steps, "the model never saw a training step"
    for path in steps:
        shown = " -> ".join(f"{file}:{function}" for file, function in path)
        assert 1 <= len(path) <= MAX_FRAMES, shown
        assert len({file for file, _ in path}) <= MAX_FILES, shown
