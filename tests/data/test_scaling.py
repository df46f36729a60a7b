"""Scaling against NumPy and scikit-learn; nothing is learned from the test split; there and back (F1 to F4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from limpid.config import DataConfig
from limpid.data import scaling
from limpid.data.dataset import Dataset
from limpid.data.scaling import CIFAR10_STD, CIFAR10_STD_WITHIN_IMAGES, EPS, fit_scale, turn
from limpid.data.sources import load_data
from limpid.errors import ConfigError, DataError
from limpid.models.network import InputScale
from limpid.spec import DataSpec

HOWS = ("standardise", "minmax", "symmetric", "decorrelate", "whiten", "zca")


def config(**options: Any) -> DataConfig:
    return DataConfig.model_validate(options)


def vectors(num: int = 200, seed: int = 0) -> np.ndarray[Any, Any]:
    """Correlated columns of very different units, the last one constant."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(num, 4)) @ random.normal(size=(4, 4)) * [1, 100, 0.01, 5] + [0, 1000, 3, -2]
    return np.concatenate([x, np.full((num, 1), 7.0)], axis=1).astype(np.float32)


def pictures(num: int = 60, channels: int = 1, side: int = 5) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(1)
    smooth = random.uniform(0, 1, (num, channels, 1, 1)) * random.uniform(0, 1, (num, channels, side, side))
    smooth[:, :, 0, 0] = 0.0  # a corner that is always black
    return (255 * smooth).astype(np.uint8)


def load(x: np.ndarray[Any, Any], **options: Any) -> Dataset:
    return load_data((x, np.arange(len(x)) % 2), config(**options), seed=0)


def scaled(dataset: Dataset) -> tuple[torch.Tensor, torch.Tensor, InputScale]:
    """Raw training rows as numbers (bytes as 0 to 1), what the network sees of them, and the layer."""
    layer = InputScale(dataset.spec)
    x = dataset.train.rows.take(torch.arange(len(dataset.train)))[0]
    return (x.double() / 255 if x.dtype == torch.uint8 else x.double()), layer(x).double(), layer


@pytest.mark.spec("F2", "X41")
@pytest.mark.parametrize(("how", "low", "high"), [("minmax", 0.0, 1.0), ("symmetric", -1.0, 1.0)])
def test_extremes_of_the_training_rows_go_to_the_ends(how: str, low: float, high: float) -> None:
    from sklearn.preprocessing import MinMaxScaler

    x, z, _ = scaled(load(vectors(), scale=how))
    torch.testing.assert_close(z[:, :4].amin(0), torch.full((4,), low).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(z[:, :4].amax(0), torch.full((4,), high).double(), atol=1e-4, rtol=0)
    assert (z[:, 4] == 0).all(), "a constant column"
    oracle = MinMaxScaler((low, high)).fit_transform(x[:, :4].numpy())
    np.testing.assert_allclose(z[:, :4].numpy(), oracle, atol=1e-4)


@pytest.mark.spec("F3")
@pytest.mark.parametrize("per", ["channel", "pixel"])
def test_pictures_by_channel_and_by_pixel(per: str) -> None:
    from sklearn.preprocessing import StandardScaler

    x, z, layer = scaled(load(pictures(channels=3), scale_per=per))
    if per == "pixel":
        expected = StandardScaler().fit_transform(x.flatten(1).numpy()).reshape(x.shape)
        assert layer.mean.shape == (3, 5, 5)
    else:
        flat = x.movedim(1, -1).reshape(-1, 3)
        expected = np.moveaxis(StandardScaler().fit_transform(flat.numpy()).reshape(len(x), 5, 5, 3), -1, 1)
        assert layer.mean.shape == (3, 1, 1)
    np.testing.assert_allclose(z.numpy(), expected, atol=1e-4)


@pytest.mark.spec("F4", "X25", "K54")
def test_decorrelate_and_whiten_by_the_repaired_formulas() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(500, 6)) @ random.normal(size=(6, 6)) + 3
    X -= np.mean(X, axis=0)
    cov = X.T @ X / X.shape[0]
    U, S, _ = np.linalg.svd(cov)
    Xrot = X @ U
    Xwhite = Xrot / np.sqrt(S + 1e-5)

    rotated = X @ turn(torch.from_numpy(cov), "decorrelate", None).numpy()
    white = X @ turn(torch.from_numpy(cov), "whiten", None).numpy()
    np.testing.assert_allclose(np.abs(rotated), np.abs(Xrot), atol=1e-9)
    np.testing.assert_allclose(np.abs(white), np.abs(Xwhite), atol=1e-9)

    turned = rotated.T @ rotated / 500
    assert np.abs(turned - np.diag(np.diag(turned))).max() <= 1e-10
    np.testing.assert_allclose(white.T @ white / 500, np.diag(S / (S + EPS)), atol=1e-10)
    # Divided by the eigenvalue itself, as the text has it, the variances would be 1 / S.
    assert np.abs(np.diag(white.T @ white / 500) - 1 / S).max() > 0.1

    zca = X @ turn(torch.from_numpy(cov), "zca", None).numpy()
    np.testing.assert_allclose(zca, Xwhite @ U.T, atol=1e-9)
    cut = X @ turn(torch.from_numpy(cov), "decorrelate", 2).numpy()
    np.testing.assert_allclose(cut, rotated[:, :2], atol=1e-12)


@pytest.mark.spec("F4")
@pytest.mark.parametrize("data", ["vectors", "pictures"])
@pytest.mark.parametrize("how", ["decorrelate", "whiten", "zca"])
def test_the_network_sees_turned_rows(data: str, how: str) -> None:
    dataset = load(vectors() if data == "vectors" else pictures(), scale=how)
    x, z, _ = scaled(dataset)
    assert z.shape == (x.shape if how == "zca" else x.flatten(1).shape)
    z = z.flatten(1)
    covariance = z.t() @ z / len(z)
    if how == "decorrelate":
        off = covariance - torch.diag(covariance.diagonal())
        assert off.abs().max() < 1e-4 * covariance.diagonal().max()
        assert (covariance.diagonal().diff() <= 1e-4).all(), "by falling variance"
    else:
        centred = x.flatten(1) - x.flatten(1).mean(0)
        if data == "vectors":
            centred = centred / torch.where(centred.std(0, correction=0) > 1e-6, centred.std(0, correction=0), 1.0)
        value = torch.linalg.eigvalsh(centred.t() @ centred / len(x)).clamp(min=0)
        torch.testing.assert_close(torch.linalg.eigvalsh(covariance), value / (value + EPS), atol=2e-3, rtol=0)


@pytest.mark.spec("F3", "F4")
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("data", ["vectors", "pictures"])
def test_there_and_back(how: str, data: str) -> None:
    x, z, layer = scaled(load(vectors() if data == "vectors" else pictures(), scale=how))
    spread = x.flatten(1).std(0).clamp(min=1e-3)
    back = layer.inverse(z).double()
    assert back.shape == x.shape
    assert (((back - x).flatten(1)) / spread).abs().max() < 0.02


@pytest.mark.spec("F1")
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("data", ["vectors", "pictures", "table"])
def test_other_test_rows_do_not_change_what_was_learned(how: str, data: str, tmp_path: Path) -> None:
    def prepare(factor: float) -> DataSpec:
        x = vectors() if data != "pictures" else pictures()
        split = load(x, scale="none")
        test, valid = split.test(), split.valid
        assert test is not None
        assert valid is not None
        for part in (test, valid):
            assert part.index is not None
            x[part.index.numpy()] = (x[part.index.numpy()] * factor).astype(x.dtype)
        if data != "table":
            return load(x, scale=how).spec
        path = tmp_path / "rows.csv"
        lines = [",".join([*map(repr, map(float, row)), "ab"[i % 2]]) for i, row in enumerate(x)]
        path.write_text("\n".join(["p,q,r,s,t,class", *lines]))
        return load_data(path, config(scale=how, target=("class",)), seed=0).spec

    first, other = prepare(1.0), prepare(0.5)
    assert first.scale_mean
    assert first.scale_mean == other.scale_mean
    assert first.scale_std == other.scale_std
    assert first.scale_rotation == other.scale_rotation
    assert bool(first.scale_rotation) == (how in scaling.TURNED)


def test_fewer_directions_make_a_shorter_vector() -> None:
    dataset = load(pictures(), scale="whiten", components=7)
    _, z, layer = scaled(dataset)
    assert z.shape == (len(dataset.train), 7)
    seen = dataset.spec.behind_scale()
    assert (seen.kind, seen.input_shape) == ("vector", (7,))
    assert dataset.spec.input_shape == (1, 5, 5)
    # The way back leads to the nearest picture with these directions: what is lost is the variance of the others.
    x, back = dataset.train.rows.take(torch.arange(len(z)))[0].double() / 255, layer.inverse(z)
    value = torch.linalg.eigvalsh(torch.cov(x.flatten(1).t(), correction=0))
    assert (back - x).square().sum().item() / len(x) == pytest.approx(value[:-7].sum().item(), rel=1e-3)


def test_none_leaves_numbers_alone_and_bytes_from_0_to_1() -> None:
    x, z, _ = scaled(load(vectors(), scale="none"))
    assert torch.equal(x, z)
    x, z, _ = scaled(load(pictures(), scale="none"))
    torch.testing.assert_close(x, z, atol=1e-6, rtol=0)


def test_pieces_of_any_size_give_the_same() -> None:
    x = torch.from_numpy(vectors())
    whole = fit_scale(lambda: iter([x]), config(scale="whiten"), image=False)
    parts = fit_scale(lambda: iter(x.split(17)), config(scale="whiten"), image=False)
    np.testing.assert_allclose(whole.mean, parts.mean, rtol=1e-12)
    np.testing.assert_allclose(whole.rotation, parts.rotation, rtol=1e-3, atol=1e-3)


def test_what_means_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data.components = 3.*data.scale=decorrelate"):
        load(vectors(), components=3)
    with pytest.raises(ConfigError, match=r"3,072 x 3,072.*data.components=341 or fewer"):
        load(np.zeros((8, 3, 32, 32), np.uint8), scale="whiten")
    with pytest.raises(DataError, match=r"data.scale = minmax is for vectors"):
        load(np.zeros((8, 3, 4), np.float32), scale="minmax")


@pytest.mark.spec("F6", "X26", "K54")
def test_both_deviations_of_cifar10_are_there() -> None:
    """The pooled deviation holds the spread between images too, so it is the larger one in every channel."""
    assert CIFAR10_STD_WITHIN_IMAGES == (0.2023, 0.1994, 0.2010)
    np.testing.assert_allclose(CIFAR10_STD, (0.247, 0.243, 0.262), atol=6e-4)
    x = torch.rand(50, 3, 8, 8) * torch.rand(50, 3, 1, 1)
    pooled, within = x.std((0, 2, 3), correction=0), x.std((2, 3), correction=0).mean(0)
    assert (pooled > within).all()
    assert all(p > w for p, w in zip(CIFAR10_STD, CIFAR10_STD_WITHIN_IMAGES, strict=True))
