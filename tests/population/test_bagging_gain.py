"""Averaging bagged networks helps where they over-fit: Breiman's point, and AlexNet's seven networks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid

OPTIONS: dict[str, Any] = {"model": "mlp", "dropout": 0.0, "device": "cpu", "record__report": False}


def gain(source: str, out: Path, **options: Any) -> float:
    """Test accuracy of seven bagged networks as one, less their mean."""
    run = limpid.train(source, bag=7, out=out, **OPTIONS, **options)
    singles = [row["accuracy"] for row in run.events("member_result")]
    (result,) = run.events("result")
    assert len(singles) == 7
    assert result["split"] == "test"
    return float(result["accuracy"] - np.mean(singles))


def test_seven_networks_on_two_hundred_digits(tmp_path: Path) -> None:
    gains = [
        gain("digits", tmp_path / str(seed), seed=seed, hidden=(64,), epochs=15, data__train_share=0.15)
        for seed in range(3)
    ]
    assert np.median(gains) >= 0.01


@pytest.mark.slow
@pytest.mark.spec("J43")
@pytest.mark.skipif("LIMPID_DATA" not in os.environ, reason="needs mnist in the folder LIMPID_DATA")
def test_seven_networks_on_a_thousand_images(tmp_path: Path) -> None:
    share = 1000 / 54_000  # a tenth of the 60,000 validates
    options = {"data_dir": os.environ["LIMPID_DATA"], "data__train_share": share, "hidden": (64, 64), "epochs": 5}
    assert gain("mnist", tmp_path / "run", **options) >= 0.01
    assert limpid.Run.open(tmp_path / "run").header["data"]["num_train"] == 1000
