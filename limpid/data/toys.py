"""Generated data in a plane or on a line, small enough to see what a network does with them.

Shapes: N rows. Without noise every point lies exactly in its class's set; noise is added to the features afterwards
(for curves of regression: to the target), normal, with the given standard deviation in units of the features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Random = np.random.Generator

DEFAULT_SIZE = 1000


@dataclass(frozen=True)
class Toy:
    """A generator: `make(size, random)` gives features (N, 2) or (N, 1), and labels (N,) or values (N,)."""

    make: Callable[[int, Random], tuple[Floats, NDArray[np.generic]]]
    description: str
    noise: float = 0.0
    regression: bool = False


def make_toy(name: str, *, size: int | None, noise: float | None, seed: int) -> tuple[Floats, NDArray[np.generic]]:
    """Features and targets of a generated data set; the same arguments give the same numbers."""
    toy = TOYS[name]
    random = np.random.default_rng([seed, sum(name.encode())])
    x_NF, y_N = toy.make(size or DEFAULT_SIZE, random)
    spread = toy.noise if noise is None else noise
    if toy.regression:
        return x_NF, y_N.astype(np.float64) + spread * random.standard_normal(len(y_N))
    return x_NF + spread * random.standard_normal(x_NF.shape), y_N


def _halves(size: int) -> Labels:
    """Labels 0 and 1 in equal numbers (one more 0 if odd)."""
    return np.arange(size, dtype=np.int64) % 2


def _xor(size: int, random: Random) -> tuple[Floats, Labels]:
    x_N2 = random.uniform(-1, 1, (size, 2))
    return x_N2, ((x_N2[:, 0] > 0) != (x_N2[:, 1] > 0)).astype(np.int64)


def _blobs(size: int, random: Random) -> tuple[Floats, Labels]:
    label_N = np.arange(size, dtype=np.int64) % 3
    angle_N = 2 * np.pi * label_N / 3
    return 3 * np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1), label_N


def _moons(size: int, random: Random) -> tuple[Floats, Labels]:
    label_N, angle_N = _halves(size), random.uniform(0, np.pi, size)
    upper = np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1)
    lower = np.stack([1 - np.cos(angle_N), 0.5 - np.sin(angle_N)], axis=1)
    return np.where(label_N[:, None] == 0, upper, lower), label_N


def _circles(size: int, random: Random) -> tuple[Floats, Labels]:
    label_N = _halves(size)
    return _polar(np.where(label_N == 0, 1.0, 0.5), random.uniform(0, 2 * np.pi, size)), label_N


def _annulus(size: int, random: Random) -> tuple[Floats, Labels]:
    """Class 0: the disc r < 1/3. Class 1: the ring 2/3 < r < 1. Uniform over each area."""
    label_N, u_N = _halves(size), random.uniform(0, 1, size)
    disc_N = np.sqrt(u_N) / 3
    ring_N = np.sqrt(4 / 9 + u_N * (1 - 4 / 9))
    # Strictly inside: the square root may round onto the edge.
    radius_N = np.where(label_N == 0, np.minimum(disc_N, 0.3333), np.clip(ring_N, 0.6667, 0.9999))
    return _polar(radius_N, random.uniform(0, 2 * np.pi, size)), label_N


def _spirals(size: int, random: Random) -> tuple[Floats, Labels]:
    """r = t, angle = 3 pi t + pi * label, with t in [0.05, 1]: one and a half turns."""
    label_N, t_N = _halves(size), random.uniform(0.05, 1, size)
    return _polar(t_N, 3 * np.pi * t_N + np.pi * label_N), label_N


def _linear(size: int, random: Random) -> tuple[Floats, Labels]:
    """Above or below the line x0 + x1 = 0, at least 0.1 away from it."""
    label_N = _halves(size)
    along_N, away_N = random.uniform(-1, 1, size), random.uniform(0.1, 1, size)
    side_N = np.where(label_N == 1, away_N, -away_N)
    return np.stack([along_N + side_N, side_N - along_N], axis=1) / np.sqrt(2), label_N


def _polygon(size: int, random: Random) -> tuple[Floats, Labels]:
    """Class 1: inside the square |x0| + |x1| < 1 that stands on its corner."""
    x_N2 = random.uniform(-1.4, 1.4, (size, 2))
    return x_N2, (np.abs(x_N2).sum(axis=1) < 1).astype(np.int64)


def _sector(size: int, random: Random) -> tuple[Floats, Labels]:
    """Below or above the line r = 0.6 + 0.1 phi of polar coordinates, at least 0.05 away; |phi| < pi, r < 1."""
    label_N, angle_N, u_N = _halves(size), random.uniform(-np.pi, np.pi, size), random.uniform(0, 1, size)
    line_N = 0.6 + 0.1 * angle_N
    inner_N, outer_N = u_N * (line_N - 0.05), line_N + 0.05 + u_N * (0.95 - line_N)
    return _polar(np.where(label_N == 0, inner_N, outer_N), angle_N), label_N


def _disc(size: int, random: Random) -> tuple[Floats, Labels]:
    """Class 1: inside the circle of radius 0.8."""
    x_N2 = random.uniform(-1, 1, (size, 2))
    return x_N2, (np.hypot(x_N2[:, 0], x_N2[:, 1]) < 0.8).astype(np.int64)


def _curves(size: int, random: Random) -> tuple[Floats, Labels]:
    """Two entwined curves: x1 = x0^2 / 2 - 1/4 and, 0.4 above it, the same."""
    label_N, along_N = _halves(size), random.uniform(-1, 1, size)
    return np.stack([along_N, along_N**2 / 2 - 0.25 + 0.4 * label_N], axis=1), label_N


def _polar(radius_N: Floats, angle_N: Floats) -> Floats:
    return radius_N[:, None] * np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1)


def _curve(function: Callable[[Floats], Floats]) -> Callable[[int, Random], tuple[Floats, Floats]]:
    def make(size: int, random: Random) -> tuple[Floats, Floats]:
        x_N1 = random.uniform(-1, 1, (size, 1))
        return x_N1, function(x_N1[:, 0])

    return make


TOYS: dict[str, Toy] = {
    "linear": Toy(_linear, "two half planes with a gap between them"),
    "xor": Toy(_xor, "quadrants of a square: positive where the signs of the two features differ"),
    "blobs": Toy(_blobs, "three normal clouds on a circle of radius 3", noise=1.0),
    "moons": Toy(_moons, "two half circles that reach into one another", noise=0.1),
    "circles": Toy(_circles, "circles of radius 1 and 1/2", noise=0.05),
    "annulus": Toy(_annulus, "disc r < 1/3 inside the ring 2/3 < r < 1"),
    "polygon": Toy(_polygon, "inside and outside of a square on its corner"),
    "disc": Toy(_disc, "inside and outside of a circle in a square"),
    "polar": Toy(_sector, "two sides of a line of polar coordinates, which is a spiral in the plane"),
    "curves": Toy(_curves, "two parabolas, one above the other", noise=0.02),
    "spirals": Toy(_spirals, "two spirals of one and a half turns", noise=0.02),
    "sine": Toy(_curve(lambda x: np.sin(2 * np.pi * x)), "sin(2 pi x) on [-1, 1]", noise=0.1, regression=True),
    "abs": Toy(_curve(np.abs), "|x| on [-1, 1]", noise=0.05, regression=True),
    "step": Toy(_curve(lambda x: (x > 0).astype(float)), "0 left of 0, 1 right of it", noise=0.05, regression=True),
}
