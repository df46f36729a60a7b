"""Generated data: exact membership without noise, seeded, of the size asked for (F16)."""

import numpy as np
import pytest

from limpid.data.toys import TOYS, make_toy


def _radius(x):
    return np.hypot(x[:, 0], x[:, 1])


def _in_spiral(x, label):
    t = _radius(x)
    turned = np.exp(1j * (3 * np.pi * t + np.pi * label))
    return np.allclose(x[:, 0] + 1j * x[:, 1], t * turned) and t.min() >= 0.05 and t.max() <= 1


def _on_sides(distance, label):
    return ((distance > 0) == (label == 1)).all() and (np.abs(distance) >= 0.05 - 1e-12).all()


MEMBERSHIP = {
    "linear": lambda x, y: ((x.sum(1) > 0) == (y == 1)).all() and (np.abs(x.sum(1)) / np.sqrt(2) >= 0.1 - 1e-9).all(),
    "xor": lambda x, y: ((x[:, 0] * x[:, 1] < 0) == (y == 1)).all(),
    "blobs": lambda x, y: np.allclose(np.arctan2(x[:, 1], x[:, 0]) % (2 * np.pi), 2 * np.pi * y / 3),
    "moons": lambda x, y: (
        np.allclose(_radius(x[y == 0]), 1) and np.allclose(_radius(x[y == 1] - [1, 0.5]), 1)
        and (x[y == 0, 1] >= 0).all() and (x[y == 1, 1] <= 0.5).all()
    ),
    "circles": lambda x, y: np.allclose(_radius(x), np.where(y == 0, 1, 0.5)),
    "annulus": lambda x, y: (
        (_radius(x[y == 0]) < 1 / 3).all() and (_radius(x[y == 1]) > 2 / 3).all() and (_radius(x[y == 1]) < 1).all()
    ),
    "polygon": lambda x, y: ((np.abs(x[:, 0]) + np.abs(x[:, 1]) < 1) == (y == 1)).all(),
    "disc": lambda x, y: ((_radius(x) < 0.8) == (y == 1)).all() and (np.abs(x) <= 1).all(),
    "polar": lambda x, y: (
        _on_sides(_radius(x) - 0.6 - 0.1 * np.arctan2(x[:, 1], x[:, 0]), y) and (_radius(x) < 1).all()
    ),
    "curves": lambda x, y: np.allclose(x[:, 1], 0.5 * x[:, 0] ** 2 - 0.25 + np.where(y == 1, 0.4, 0)),
    "spirals": lambda x, y: _in_spiral(x[y == 0], 0) and _in_spiral(x[y == 1], 1),
    "sine": lambda x, y: np.allclose(y, np.sin(2 * np.pi * x[:, 0])),
    "abs": lambda x, y: np.allclose(y, np.abs(x[:, 0])),
    "step": lambda x, y: ((x[:, 0] > 0) == (y == 1)).all(),
}  # fmt: skip


@pytest.mark.spec("F16")
@pytest.mark.parametrize("name", TOYS)
def test_membership_is_exact_without_noise(name):
    x, y = make_toy(name, size=501, noise=0.0, seed=4)
    assert len(x) == len(y) == 501
    assert MEMBERSHIP[name](x, y)
    if not TOYS[name].regression:
        assert np.bincount(y).min() > 501 / 6


@pytest.mark.spec("F16")
@pytest.mark.parametrize("name", TOYS)
def test_the_seed_decides(name):
    first, again = (make_toy(name, size=40, noise=0.1, seed=1) for _ in range(2))
    other = make_toy(name, size=40, noise=0.1, seed=2)
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert not np.allclose(first[0], other[0])


def test_noise_has_the_spread_asked_for():
    clean, noisy = (make_toy("circles", size=4000, noise=noise, seed=0)[0] for noise in (0.0, 0.3))
    assert (noisy - clean).std() == pytest.approx(0.3, rel=0.05)
    x, y = make_toy("sine", size=4000, noise=0.3, seed=0)
    assert (y - np.sin(2 * np.pi * x[:, 0])).std() == pytest.approx(0.3, rel=0.05)
