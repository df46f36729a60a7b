"""Letters and digits drawn with the machine's fonts, and bent a little.

Pillow's own font is always there; TrueType fonts of the system join it when they have the characters. Which fonts there
are depends on the machine, and so do the pictures; the fingerprint of the data says whether two runs saw the same.

Shapes: H x W pixels.
"""

from __future__ import annotations

import os
from functools import cache
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Random = np.random.Generator

FONT_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.fonts",
    "~/.local/share/fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "C:/Windows/Fonts",
)
MOST_FONTS = 40
OWN_FONT = ""  # Pillow's
PROBE_SIZE = 24
OVERSAMPLING = 2


def find_fonts(characters: str) -> list[str]:
    """Pillow's font, then up to 39 font files that draw every one of the characters differently, by name of file."""
    files = [
        path
        for folder in FONT_FOLDERS
        for path in sorted(Path(folder).expanduser().rglob("*"))
        if path.suffix.lower() in (".ttf", ".otf")
    ]
    fonts = [OWN_FONT]
    for path in sorted(files, key=lambda path: (path.name, str(path))):
        if len(fonts) < MOST_FONTS and _draws_all(str(path), characters):
            fonts.append(str(path))
    return fonts


def draw_glyph(
    character: str, font: str, size: int, shape: tuple[int, int], *, shift: tuple[int, int] = (0, 0)
) -> Pixels:
    """A character, white on black, its ink in the middle of the picture, moved by `shift` (rows, columns)."""
    from PIL import Image, ImageDraw

    height, width = shape
    picture = Image.new("L", (width, height))
    drawn = ImageDraw.Draw(picture)
    face = _face(font, size)
    left, top, right, bottom = drawn.textbbox((0, 0), character, font=face)
    place = ((width - right - left) / 2 + shift[1], (height - bottom - top) / 2 + shift[0])
    drawn.text((floor(place[0]), floor(place[1])), character, fill=255, font=face)
    return np.asarray(picture)


def bend(picture: Pixels, random: Random, *, degrees: float, shear: float, stretch: float, shift: float) -> Pixels:
    """Turn, shear, stretch and move a picture by random amounts up to the given ones, at half its resolution.

    Args:
        degrees: largest rotation.
        shear: largest sideways shift per row.
        stretch: largest change of each side's scale, as a share.
        shift: largest move, as a share of the side.
    """
    from PIL import Image

    height, width = picture.shape
    angle = np.radians(random.uniform(-degrees, degrees))
    slant = random.uniform(-shear, shear)
    scale_y, scale_x = 1 / (1 + random.uniform(-stretch, stretch, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1.0, slant], [0.0, 1.0]]) @ np.diag([scale_x, scale_y])
    middle = np.array([width, height]) / 2
    moved = random.uniform(-shift, shift, 2) * [width, height]
    offset = middle - matrix @ (middle + moved)
    coefficients = (*matrix[0], offset[0], *matrix[1], offset[1])
    bent = Image.fromarray(picture).transform(
        (width, height), Image.Transform.AFFINE, tuple(map(float, coefficients)), Image.Resampling.BILINEAR
    )
    return np.asarray(bent.resize((width // OVERSAMPLING, height // OVERSAMPLING), Image.Resampling.BOX))


@cache
def _face(font: str, size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(font, size) if font else ImageFont.load_default(size)


def _draws_all(font: str, characters: str) -> bool:
    """Whether the font file has a picture of its own for every character. Broken files and symbol fonts have not."""
    try:
        pictures = {draw_glyph(each, font, PROBE_SIZE, (48, 48)).tobytes() for each in characters}
        missing = draw_glyph("\uffff", font, PROBE_SIZE, (48, 48)).tobytes()
    except (OSError, ValueError, ZeroDivisionError):
        return False
    return len(pictures) == len(characters) and missing not in pictures and bytes(48 * 48) not in pictures


def font_names(fonts: list[str]) -> list[str]:
    """The fonts' file names, for people."""
    return [os.path.basename(font) or "Pillow's own" for font in fonts]
