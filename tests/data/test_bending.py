"""Translation, shear, stretch, blur and noise against loops over pixels (F5)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from limpid.catalogue.augmentations import AUGMENTATIONS
from limpid.config import AugmentConfig
from limpid.data.pixel_ops import add_noise, blur, warp
from limpid.data.shuffle import uniforms


def pictures(num: int = 5, channels: int = 1, size: tuple[int, int] = (9, 7)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (num, channels, *size), dtype=torch.uint8, generator=generator)


def whole(num: int) -> tuple[torch.Tensor, ...]:
    """Arguments of a warp that keeps all of the picture as it is."""
    return torch.ones(num), torch.ones(num), torch.zeros(num, 2), torch.zeros(num)


def naive(picture: np.ndarray, angle: float, move: list[float], slant: float, sides: list[float]) -> np.ndarray:
    """For every pixel of the result: where it came from, and the mean of the four pixels around that place."""
    height, width = picture.shape
    out = np.zeros((height, width))
    for h in range(height):
        for w in range(width):
            y, x = h + 0.5 - height / 2 - move[0] * height, w + 0.5 - width / 2 - move[1] * width
            y, x = y / sides[0], x / sides[1]
            x = x + slant * y
            x, y = math.cos(angle) * x - math.sin(angle) * y, math.sin(angle) * x + math.cos(angle) * y
            y, x = y + height / 2 - 0.5, x + width / 2 - 0.5
            for i in (math.floor(y), math.floor(y) + 1):
                for j in (math.floor(x), math.floor(x) + 1):
                    if 0 <= i < height and 0 <= j < width:
                        out[h, w] += picture[i, j] * (1 - abs(y - i)) * (1 - abs(x - j))
    return out


@pytest.mark.spec("F5")
def test_bending_equals_its_twin() -> None:
    x = pictures()
    generator = torch.Generator().manual_seed(1)
    angle = torch.rand(5, generator=generator) - 0.5
    move, slant = torch.rand(5, 2, generator=generator) - 0.5, torch.rand(5, generator=generator) - 0.5
    sides = 0.7 + 0.6 * torch.rand(5, 2, generator=generator)
    out = warp(x, *whole(5)[:3], angle, move, slant, sides)
    for i in range(5):
        expected = naive(
            x[i, 0].numpy().astype(float), float(angle[i]), move[i].tolist(), float(slant[i]), sides[i].tolist()
        )
        assert np.abs(out[i, 0].numpy() - expected).max() < 0.52


def test_a_shift_by_whole_pixels_is_exact() -> None:
    x = pictures(1, 1, (10, 10))
    out = warp(x, *whole(1), torch.tensor([[0.2, -0.1]]), torch.zeros(1), torch.ones(1, 2))
    assert torch.equal(out[0, 0, 2:, :9], x[0, 0, :8, 1:])
    assert (out[0, 0, :2] == 0).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_blur_equals_its_twin(channels: int) -> None:
    x = pictures(4, channels).float()
    sigma = torch.tensor([0.0, 0.4, 1.0, 1.5])
    out = blur(x, sigma, 1.5)
    assert torch.equal(out[0], x[0])
    radius = math.ceil(4.5)
    for i in range(1, 4):
        weight = np.exp(-0.5 * (np.arange(-radius, radius + 1) / float(sigma[i])) ** 2)
        weight /= weight.sum()
        padded = np.pad(x[i].numpy(), ((0, 0), (radius, radius), (radius, radius)), mode="edge")
        for h in range(9):
            for w in range(7):
                window = padded[:, h : h + 2 * radius + 1, w : w + 2 * radius + 1]
                expected = (window * weight[:, None] * weight).sum((1, 2))
                np.testing.assert_allclose(out[i, :, h, w].numpy(), expected, rtol=1e-4, atol=1e-3)


def test_noise_is_normal_with_the_deviation_asked_for() -> None:
    x = torch.full((40, 3, 20, 20), 128, dtype=torch.uint8)
    u = uniforms(3, 0, torch.arange(40), 1200)
    difference = (add_noise(x, u, 0.1).double() - 128) / 255
    assert difference.std().item() == pytest.approx(0.1, rel=0.01)
    assert abs(difference.mean().item()) < 0.002
    assert (difference.abs() < 0.1).double().mean().item() == pytest.approx(0.683, abs=0.02)
    floats = add_noise(torch.zeros(40, 3, 20, 20), u, 2.0)
    assert floats.std().item() == pytest.approx(2.0, rel=0.01)
    assert torch.isfinite(add_noise(torch.zeros(1, 1, 1, 2), torch.tensor([[0.0, 1 - 2.0**-24]]), 1.0)).all()


def test_every_change_is_listed_and_has_its_option() -> None:
    assert set(AUGMENTATIONS) == set(AugmentConfig.model_fields)
