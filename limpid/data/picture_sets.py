"""Generated pictures: letters, digits, left and right squares, shapes. All (N, C, H, W) bytes, seeded.

    letters           A to J in many fonts, 28 x 28: like notMNIST, which is not shipped
    rendered-digits   0 to 9 in many fonts, 28 x 28: a synthetic stand-in for MNIST
    retina-letters    A to Z on the 20 x 20 retina of the Mark I, black and white, moved by up to one pixel
    squares           squares on the left or right half of a 20 x 20 card, the demonstration of 1958
    shapes            one coloured disc, square, triangle or cross on a coloured ground, 32 x 32

`noise` adds normal noise of that deviation to values from 0 to 1.

Shapes: N pictures, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limpid.data.glyphs import OVERSAMPLING, OWN_FONT, bend, draw_glyph, find_fonts

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]
Random = np.random.Generator

RETINA = 20
SQUARE = 4
SQUARES_PER_CARD, PIXELS_PER_CARD = 3, 20
SIDE = 28
SHAPES_SIDE, SHAPES_FINER = 32, 3
LEAST_CONTRAST = 80  # of 255, in at least one channel


@dataclass(frozen=True)
class PictureSet:
    """A generator: `make(size, random)` gives pictures and labels; `classes` names the labels."""

    make: Callable[[int, Random], tuple[Pixels, Labels]]
    classes: tuple[str, ...]
    size: int  # by default
    description: str


def make_pictures(name: str, *, size: int | None, noise: float | None, seed: int) -> tuple[Pixels, NDArray[np.str_]]:
    """Pictures and the names of their classes; on one machine, the same arguments give the same bytes."""
    chosen = PICTURE_SETS[name]
    random = np.random.default_rng([seed, sum(name.encode())])
    pictures, label_N = chosen.make(size or chosen.size, random)
    if noise:
        spread = 255 * noise * random.standard_normal(pictures.shape, dtype=np.float32)
        pictures = np.clip(np.rint(pictures + spread), 0, 255).astype(np.uint8)
    return pictures, np.asarray(chosen.classes)[label_N]


def write_class_folders(pictures: Pixels, names: NDArray[np.str_], folder: Path) -> None:
    """Store pictures as PNG files in one folder per class, as image data sets are commonly stored."""
    from PIL import Image

    for number, (picture, name) in enumerate(zip(pictures, names, strict=True)):
        (folder / str(name)).mkdir(parents=True, exist_ok=True)
        shown = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
        Image.fromarray(shown).save(folder / str(name) / f"{number:06}.png")


def make_squares(size: int, random: Random, *, squares: bool = True) -> tuple[Pixels, Labels]:
    """Cards with marks on the left (0) or right (1) half: three 4 x 4 squares, or 20 single pixels."""
    side_N = random.integers(0, 2, size)
    cards = np.zeros((size, 1, RETINA, RETINA), np.uint8)
    half = RETINA // 2
    for card, side in zip(cards[:, 0], side_N, strict=True):
        if squares:
            for _ in range(SQUARES_PER_CARD):
                row, column = random.integers(0, (RETINA - SQUARE + 1, half - SQUARE + 1)) + (0, side * half)
                card[row : row + SQUARE, column : column + SQUARE] = 255
        else:
            place = random.choice(RETINA * half, PIXELS_PER_CARD, replace=False)
            card[place // half, side * half + place % half] = 255
    return cards, side_N.astype(np.int64)


def make_retina_letters(size: int, random: Random) -> tuple[Pixels, Labels]:
    """A to Z, every one moved by -1, 0 and 1 pixel in both directions: 234 pictures, then the same in other fonts."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    per_font = len(alphabet) * 9
    fonts = find_fonts(alphabet) if size > per_font else [OWN_FONT]
    pictures = np.zeros((size, 1, RETINA, RETINA), np.uint8)
    for i in range(size):
        move, font = divmod(i // len(alphabet) % 9, 3), fonts[i // per_font % len(fonts)]
        glyph = draw_glyph(alphabet[i % 26], font, 17, (RETINA, RETINA), shift=(move[0] - 1, move[1] - 1))
        pictures[i, 0] = np.where(glyph > 127, 255, 0)
    return pictures, np.arange(size) % len(alphabet)


def _rendered(characters: str) -> Callable[[int, Random], tuple[Pixels, Labels]]:
    def make(size: int, random: Random) -> tuple[Pixels, Labels]:
        fonts = find_fonts(characters)
        label_N = np.arange(size, dtype=np.int64) % len(characters)
        wide = SIDE * OVERSAMPLING
        pictures = np.empty((size, 1, SIDE, SIDE), np.uint8)
        for i, label in enumerate(label_N):
            points = int(random.integers(18, 27)) * OVERSAMPLING
            glyph = draw_glyph(characters[label], fonts[random.integers(len(fonts))], points, (wide, wide))
            pictures[i, 0] = bend(glyph, random, degrees=12, shear=0.2, stretch=0.15, shift=0.06)
        return pictures, label_N

    return make


def _shapes(size: int, random: Random) -> tuple[Pixels, Labels]:
    """Disc, square, triangle, cross: radius 6 to 12 pixels, wholly inside the picture, any two colours that differ."""
    label_N = np.arange(size, dtype=np.int64) % 4
    pictures = np.empty((size, 3, SHAPES_SIDE, SHAPES_SIDE), np.uint8)
    fine = SHAPES_SIDE * SHAPES_FINER
    at = (np.arange(fine) + 0.5) / SHAPES_FINER
    for picture, label in zip(pictures, label_N, strict=True):
        radius = random.uniform(6, 12)
        y, x = (at - random.uniform(radius, SHAPES_SIDE - radius) for _ in range(2))
        inside = is_inside(int(label), y[:, None] / radius, x[None, :] / radius)
        share = inside.reshape(SHAPES_SIDE, SHAPES_FINER, SHAPES_SIDE, SHAPES_FINER).mean((1, 3))
        ground, ink = random.integers(0, 256, (2, 3))
        while np.abs(ground - ink).max() < LEAST_CONTRAST:
            ground, ink = random.integers(0, 256, (2, 3))
        picture[:] = np.rint(ground[:, None, None] + share * (ink - ground)[:, None, None])
    return pictures, label_N


def is_inside(shape: int, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether points lie in the disc (0), square (1), triangle (2) or cross (3) within the circle of radius 1."""
    if shape == 0:
        return y**2 + x**2 < 1
    if shape == 1:
        return np.maximum(np.abs(y), np.abs(x)) < np.sqrt(0.5)
    if shape == 2:  # corners at angles of 90, 210 and 330 degrees, the first on top
        return (y < 0.5) & (np.sqrt(3) * np.abs(x) < 1 + y)
    return (np.minimum(np.abs(y), np.abs(x)) < 0.3) & (np.maximum(np.abs(y), np.abs(x)) < 0.9)


PICTURE_SETS: dict[str, PictureSet] = {
    "letters": PictureSet(_rendered("ABCDEFGHIJ"), tuple("ABCDEFGHIJ"), 5000, "letters A to J in many fonts, 28x28"),
    "rendered-digits": PictureSet(_rendered("0123456789"), tuple("0123456789"), 5000, "digits in many fonts, 28x28"),
    "retina-letters": PictureSet(
        make_retina_letters, tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 234, "letters on the Mark I's retina, 20x20"
    ),
    "squares": PictureSet(make_squares, ("left", "right"), 1000, "squares on the left or right of a 20x20 card"),
    "shapes": PictureSet(
        _shapes, ("disc", "square", "triangle", "cross"), 2000, "coloured discs, squares, triangles, crosses, 32x32"
    ),
}
