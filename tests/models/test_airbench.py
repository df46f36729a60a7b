"""The speed recipe's network: its size, its computed first layer, and the settings that come with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import limpid
from limpid.config import Config, ModelConfig
from limpid.config_reader import with_options
from limpid.defaults import resolve
from limpid.errors import ModelError
from limpid.models import build_model
from limpid.spec import DataSpec


def image_spec(side: int = 32) -> DataSpec:
    return DataSpec(name="x", kind="image", task="classification", input_shape=(3, side, side), num_outputs=10)


def test_count_of_the_published_network() -> None:
    network = build_model(ModelConfig(name="airbench"), image_spec(), seed=0)
    # 24 filters of 12 values; two convolutions in each of three groups; a shift per channel; 256 to 10 without bias
    groups = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256)
    trainable = groups + 2 * (64 + 256 + 256) + 256 * 10 + 24
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == trainable
    assert round(trainable / 1e6, 2) == 1.97  # as the source counts


def test_first_layer_whitens_patches() -> None:
    torch.manual_seed(0)
    mixing = torch.randn(3, 3)
    x_BCHW = torch.einsum("dc,bchw->bdhw", mixing, F.avg_pool2d(torch.randn(64, 3, 33, 33), 2, 1))
    body = build_model(ModelConfig(name="airbench"), image_spec(), seed=0).body
    body.learn_inputs(x_BCHW)
    with torch.no_grad():
        y_PD = body.whiten(x_BCHW).transpose(0, 1).flatten(1).T[:, :12]
    covariance = y_PD.T @ y_PD / len(y_PD)
    off = covariance - torch.diag(covariance.diagonal())
    assert off.abs().max() < 1e-3
    assert covariance.diagonal().max() < 1.001
    assert covariance.diagonal().max() > 0.9
    torch.testing.assert_close(body.whiten.weight[12:], -body.whiten.weight[:12])
    naive = np.cov(F.unfold(x_BCHW, 2).transpose(1, 2).flatten(0, 1).T.numpy(), bias=True)
    w = body.whiten.weight[:12].flatten(1).numpy()
    assert np.abs(w @ naive @ w.T - np.eye(12))[0, 0] < 0.1


def test_its_settings_are_the_defaults_unless_another_optimizer_is_chosen() -> None:
    spec = image_spec().model_copy(update={"num_train": 45_000, "num_valid": 5000})
    config, reasons = resolve(Config(), spec)
    assert config.model.name == "airbench"
    assert (config.optim.name, config.optim.lr, config.training.batch_size) == ("sgd", 0.75, 512)
    assert (config.optim.options["momentum"], config.optim.options["anneal"]) == (0.85, "linear")
    assert reasons["optim.lr"] == "airbench"
    other, _ = resolve(with_options(Config(), {"optimizer": "adam"}), spec)
    assert other.optim.lr is not None
    assert other.optim.lr < 0.1
    assert "momentum" not in other.optim.options
    given, _ = resolve(with_options(Config(), {"lr": 0.3, "optim__momentum": 0.5}), spec)
    assert (given.optim.lr, given.optim.options["momentum"]) == (0.3, 0.5)


@pytest.mark.slow
def test_trains_and_answers_again_after_loading(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(240) % 3
    x = rng.integers(0, 60, (240, 3, 32, 32), dtype=np.uint8)
    x[np.arange(240), y, 8:24, 8:24] += 150
    run = limpid.train((x, y), model="airbench", epochs=3, batch_size=32, out=tmp_path / "run", lr=0.05)
    assert run.events("result")[-1]["accuracy"] > 0.9
    predictions = limpid.predict(run, x[:30])
    assert (np.asarray(predictions.to_frame()["prediction"]).astype(int) == y[:30]).mean() > 0.9


def test_refuses_small_images() -> None:
    with pytest.raises(ModelError, match=r"at least 26 x 26 pixels; these have 20 x 20"):
        build_model(ModelConfig(name="airbench"), image_spec(20), seed=0)
