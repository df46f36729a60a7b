"""Images with a class for every pixel: from arrays to an answer for each pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from limpid.config import DataConfig
from limpid.data.sources import load_data
from limpid.errors import ConfigError, DataError
from limpid.finished import predict
from limpid.workbench import train


def images(size: int = 60, side: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Bright rectangles (class 7) on dark ground (class 3), so that codes are not the values."""
    random = np.random.default_rng(0)
    y = np.full((size, side, side), 3)
    for mask in y:
        top, left = random.integers(0, side - 4, 2)
        mask[top : top + 4, left : left + 4] = 7
    x = (y[:, None] == 7) * 150 + random.integers(0, 60, (size, 1, side, side))
    return x.astype(np.uint8), y


def test_every_pixel_keeps_its_class_in_every_part() -> None:
    x, y = images()
    y[:, 0, 0] = -1
    dataset = load_data((x, y), DataConfig(), seed=3)
    spec = dataset.spec
    assert (spec.kind, spec.task, spec.classes, spec.output_shape) == ("image", "tokens", ("3", "7"), (144,))
    assert spec.num_train + spec.num_valid + spec.num_test == 60
    seen = []
    for part in (dataset.train, dataset.valid, dataset.test()):
        assert part is not None
        (inputs,) = part.rows.take(torch.arange(len(part)))
        assert torch.equal(inputs, torch.from_numpy(x)[part.index])
        wanted = torch.from_numpy(y)[part.index].flatten(1)
        assert torch.equal(part.target >= 0, wanted >= 0)
        assert torch.equal(part.target[wanted >= 0], (wanted[wanted >= 0] == 7).long())
        assert (part.target[:, 0] == -100).all()
        seen += part.index.tolist()
    assert sorted(seen) == list(range(60))
    counted = torch.bincount(dataset.train.target[dataset.train.target >= 0])
    assert spec.class_counts == tuple(counted.tolist())


@pytest.mark.spec("A42")
def test_a_network_of_pixels_is_chosen_trained_and_asked(tmp_path: Path) -> None:
    x, y = images()
    np.savez(tmp_path / "cells.npz", x=x, y=y)
    run = train(tmp_path / "cells.npz", out=str(tmp_path / "run"), epochs=12, batch_size=6, lr=0.01, device="cpu")
    assert run.header["config"]["model"]["name"] == "unet"
    augment = run.header["config"]["augment"]
    assert (augment["flip"], augment["crop"], augment["scale"]) == (False, 0, 1.0)
    answers = predict(run, x[:4])
    found = np.array([list(map(int, pixels)) for pixels in answers.decisions]).reshape(4, 12, 12)
    assert (found == y[:4]).mean() > max(0.95, (y[:4] == 3).mean() + 0.05)
    assert answers.to_frame().height == 4


def test_what_moves_pixels_is_refused(tmp_path: Path) -> None:
    x, y = images(20)
    with pytest.raises(ConfigError, match=r"augment.flip moves pixels"):
        train(x, y=y, out=str(tmp_path / "run"), augment__flip=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (images()[0], images()[1][:, :5], r"\(60, 5, 12\).*\(60, 1, 12, 12\)"),
        (images()[0], images()[1] / 2, "whole numbers"),
        (np.zeros((60, 5)), images()[1], "takes images"),
        (images()[0], -images()[1], "none counts"),
    ],
    ids=["size", "fractions", "rows", "none"],
)
def test_targets_that_are_no_classes_of_pixels(x: np.ndarray, y: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load_data((x, y), DataConfig())
