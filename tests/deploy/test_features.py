"""Activations of any layer as arrays, and classifiers trained on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from limpid.config_reader import config_from_dict
from limpid.deploy.features import activations, extract, find_layer, open_source
from limpid.errors import ModelError
from limpid.models.blocks import head_of
from limpid.record.run import Run
from limpid.training.checkpoint import load_weights
from limpid.workbench import train


def pictures(path: Path, side: int = 16, num: int = 48) -> Path:
    rng = np.random.default_rng(0)
    y = np.arange(num) % 3
    x = rng.integers(0, 90, size=(num, side, side, 3)) + 60 * y[:, None, None, None]
    np.savez(path, x=x.astype(np.uint8), y=np.array(["a", "b", "c"])[y])
    return path


@pytest.mark.spec("A59")
def test_an_alexnet_code_has_4096_entries(tmp_path: Path) -> None:
    data = pictures(tmp_path / "p.npz", side=64, num=12)
    source = open_source("alexnet", data, config_from_dict({"model": {"pretrained": False}}))
    features = extract(source)
    assert features.shape == (4096,)
    assert {name: x.shape[1] for name, (x, _) in features.splits.items()} == dict.fromkeys(features.splits, 4096)
    assert (features.splits["train"][0] >= 0).all()  # behind the last ReLU
    head = head_of(source.network, 3)[1]
    x = source.dataset.train.rows.take(torch.arange(len(source.dataset.train)))
    with torch.no_grad():
        answer = source.network(*x)
        torch.testing.assert_close(head(torch.from_numpy(features.splits["train"][0])), answer, rtol=1e-4, atol=1e-5)


@pytest.mark.spec("A59")
def test_codes_of_a_run_train_a_linear_classifier_and_leave_the_run_as_it_was(
    tmp_path: Path, limpid: Callable[..., Any]
) -> None:
    data = pictures(tmp_path / "p.npz")
    run = train(str(data), model="convnet", epochs=2, out=tmp_path / "run", device="cpu")
    checkpoint = Run.open(run.path).latest_checkpoint()
    assert checkpoint is not None
    before = load_weights(checkpoint)
    done = limpid("features", run.path, data, "--out", "codes.npz")
    assert done.code == 0, done.err
    again = Run.open(run.path).latest_checkpoint()
    assert again is not None
    assert all(torch.equal(tensor, before[name]) for name, tensor in load_weights(again).items())
    with np.load(tmp_path / "codes.npz") as arrays:
        assert {*arrays.files} == {f"{a}_{split}" for a in "xy" for split in ("train", "valid", "test")}
        assert {*arrays["y_train"]} == {"a", "b", "c"}
        assert sum(len(arrays[f"x_{split}"]) for split in ("train", "valid", "test")) == 48
    done = limpid("train", "codes.npz", "--model", "linear", "--epochs", "3", "--out", "linear")
    assert done.code == 0, done.err
    for ending in ("csv", "parquet"):
        done = limpid("features", run.path, data, "--layer", "0", "--out", f"early.{ending}", "-q")
        assert (done.code, done.out) == (0, "")
        assert (tmp_path / f"early.{ending}").exists()
    done = limpid("features", run.path, data, "--out", "codes.txt")
    assert done.code == 2
    assert "ends in .npz" in done.err


def test_any_layer_can_be_asked_and_an_unknown_one_is_told(tmp_path: Path) -> None:
    data = pictures(tmp_path / "p.npz")
    source = open_source("convnet", data, config_from_dict({"model": {"pretrained": False}}))
    split = source.dataset.train
    whole = activations(source.network, "0", split, 3)
    first = source.network.body[0]
    with torch.no_grad():
        expected = first(source.network.scale(split.rows.take(torch.arange(len(split)))[0]))
    torch.testing.assert_close(whole, expected, rtol=1e-4, atol=1e-5)
    half = activations(source.network, "0", split, 3, reduce=lambda x: x.mean((2, 3)))
    torch.testing.assert_close(half, whole.mean((2, 3)))
    with pytest.raises(ModelError, match="no layer 'fc9'"):
        find_layer(source.network, "fc9", 3)


def test_data_of_another_form_are_refused(tmp_path: Path, limpid: Callable[..., Any]) -> None:
    run = train(str(pictures(tmp_path / "p.npz")), model="convnet", epochs=1, out=tmp_path / "run", device="cpu")
    done = limpid("features", run.path, pictures(tmp_path / "q.npz", side=20), "--out", "x.npz")
    assert done.code == 2
    assert "was trained on image of shape (3, 16, 16)" in done.err
