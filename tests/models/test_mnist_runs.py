"""Whole runs on MNIST, as a user starts them. They need the folder LIMPID_DATA, which holds mnist."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import limpid

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif("LIMPID_DATA" not in os.environ, reason="needs mnist in the folder LIMPID_DATA"),
]


def accuracy(out: Path, **options: Any) -> float:
    """Of the test split."""
    run = limpid.train("mnist", data_dir=os.environ["LIMPID_DATA"], out=out, record__report=False, **options)
    (result,) = run.events("result")
    assert result["split"] == "test"
    return float(result["accuracy"])


@pytest.mark.spec("A12")
def test_mlp_in_three_epochs_of_adam(tmp_path: Path) -> None:
    options = {"model": "mlp", "hidden": (512, 512), "optim__name": "adam", "lr": 1e-3, "optim__schedule": "constant"}
    assert accuracy(tmp_path / "run", epochs=3, optim__weight_decay=0.0, **options) >= 0.95


@pytest.mark.spec("A21")
def test_convnet_in_one_epoch(tmp_path: Path) -> None:
    assert accuracy(tmp_path / "run", model="mnist-convnet", epochs=1) >= 0.98
