"""One image file, in any common format, as bytes of one size and colour.

Shapes: C channels (1 grey, 3 RGB), H x W pixels.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from limpid.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm"))
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # an MPO file opens as JPEG

# 64 megapixels: above any camera phone's binned picture, 192 MB decoded.
MOST_PIXELS = 64_000_000

ORIENTATION = 0x0112  # EXIF tag; values 5 to 8 swap height and width
GREY_MODES = frozenset(("1", "L", "LA", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"))

Fit = Literal["crop", "pad", "stretch"]


@dataclass(frozen=True)
class Header:
    """What a file says of itself before it is decoded, upright."""

    height: int
    width: int
    grey: bool


def is_image(name: str) -> bool:
    """Whether a file name ends like an image's."""
    return Path(name).suffix.lower() in SUFFIXES


def read_header(data: bytes, *, whole: bool = False) -> Header:
    """Size and colour, without decoding unless the `whole` file is to be tried.

    Raises DataError, without a file name, when it is no usable image.
    """
    with _opened(data) as image:
        if whole:
            image.load()
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        return Header(height, width, image.mode in GREY_MODES)


def decode(data: bytes, size: tuple[int, int], colour: str, fit: str) -> NDArray[np.uint8]:
    """Decode upright, at the given (H, W), as grey or RGB bytes of shape (C, H, W).

    fit "crop": the largest centred part with the wanted proportions, scaled; "pad": the whole image, centred on
    black; "stretch": the whole image, proportions changed. An image that has the size already is left untouched.
    Transparent parts show white; 16-bit values keep their upper byte. Of an animation, the first frame counts.

    Raises DataError, without a file name, when it cannot be decoded.
    """
    mode = "L" if colour == "grey" else "RGB"
    with _opened(data) as image:
        turn = _orientation(image)
        height, width = size
        if image.format == "JPEG" and image.size != (width, height):
            _draft(image, (height, width) if turn >= 5 else (width, height), mode, fit)
        if turn > 1:
            from PIL import ImageOps

            upright = ImageOps.exif_transpose(image)
        else:
            upright = image
        upright = _plain(upright, mode)
        if upright.size != (width, height):
            upright = _fitted(upright, width, height, fit)
        pixels = np.asarray(upright, dtype=np.uint8)
    return pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)


def read_image(source: str | Path | bytes, preparation: dict[str, Any]) -> NDArray[np.uint8]:
    """A new image prepared like those the model was trained on: uint8 (C, H, W).

    Args:
        source: A file, or the bytes of one.
        preparation: `DataSpec.preparation` of kind "image": size [H, W], colour, fit.
    Raises:
        DataError: the file is missing, too large, or not an image; the message names it.
    """
    name = "the image" if isinstance(source, bytes) else str(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        height, width = preparation["size"]
        with bombs_refused():
            pixels = decode(data, (height, width), preparation["colour"], preparation["fit"])
        return np.ascontiguousarray(pixels)
    except OSError as error:
        raise DataError(f"{name} could not be read: {error.strerror or error}.") from None
    except DataError as error:
        raise DataError(f"{name} cannot be used: {error}") from None


def image_files(path: str | Path) -> list[Path]:
    """A file itself, or every image below a folder in the order of their names; hidden ones are left out."""
    path = Path(path)
    if not path.is_dir():
        return [path]
    files = (file for file in path.rglob("*") if is_image(file.name) and file.is_file())
    visible = (f for f in files if not any(part.startswith((".", "__MACOSX")) for part in f.relative_to(path).parts))
    return sorted(visible)


@contextmanager
def bombs_refused() -> Iterator[None]:
    """Within it, Pillow's warning about huge images is an error. Entered by the thread that starts the others."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@contextmanager
def _opened(data: bytes) -> Iterator[Image]:
    """An image whose header has been read and found harmless; every way to fail becomes a DataError."""
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise DataError("it is empty.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise DataError(f"{width} x {height} pixels are more than the limit of {MOST_PIXELS // 10**6} million.")
            yield image
    except UnidentifiedImageError:
        raise DataError("it is not an image in a known format.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"it has more than the limit of {MOST_PIXELS // 10**6} million pixels.") from None
    except (OSError, ValueError, SyntaxError, IndexError, KeyError, TypeError, EOFError, OverflowError) as error:
        # Pillow's plugins raise any of these for damaged files.
        raise DataError(f"it is damaged ({str(error).strip().rstrip('.') or type(error).__name__}).") from None


def _orientation(image: Image) -> int:
    if image.format == "PNG" and not image.info.keys() & {"exif", "Raw profile type exif"}:
        return 1  # asking Pillow would decode the whole image to look behind it
    turn = image.getexif().get(ORIENTATION, 1)
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _draft(image: Image, target: tuple[int, int], mode: str, fit: str) -> None:
    """Let the JPEG decoder shrink by 2, 4 or 8 while it decodes, never below what the fit needs."""
    scale_w, scale_h = target[0] / image.width, target[1] / image.height
    scale = {"crop": max(scale_w, scale_h), "pad": min(scale_w, scale_h), "stretch": max(scale_w, scale_h)}[fit]
    if scale <= 0.5:
        image.draft(mode, (max(1, round(image.width * scale)), max(1, round(image.height * scale))))


def _plain(image: Image, mode: str) -> Image:
    """8-bit grey or RGB without transparency."""
    from PIL import Image as Images

    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float64)
        values = np.nan_to_num(values)
        if image.mode == "F":
            values = values * 255.0 if values.max(initial=0.0) <= 1.0 else values
        elif image.mode.startswith("I;16") or values.max(initial=0.0) > 255:
            values = np.floor(values / 256.0)
        image = Images.fromarray(values.clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        white = Images.new("RGBA", coloured.size, "white")
        image = Images.alpha_composite(white, coloured)
    if image.mode != mode:
        # By way of RGB, because CMYK and palettes turn grey differently otherwise.
        image = image.convert("RGB") if image.mode not in ("1", "L", "RGB") else image
        image = image.convert(mode)
    return image


def _fitted(image: Image, width: int, height: int, fit: str) -> Image:
    from PIL import Image as Images

    if fit == "stretch":
        return image.resize((width, height), Images.Resampling.BILINEAR)
    if fit == "crop":
        scale = max(width / image.width, height / image.height)
        part_w, part_h = min(width / scale, image.width), min(height / scale, image.height)
        left, top = (image.width - part_w) / 2, (image.height - part_h) / 2
        box = (left, top, left + part_w, top + part_h)
        return image.resize((width, height), Images.Resampling.BILINEAR, box=box)
    scale = min(width / image.width, height / image.height)
    inner = (max(1, min(width, round(image.width * scale))), max(1, min(height, round(image.height * scale))))
    canvas = Images.new(image.mode, (width, height))
    resized = image.resize(inner, Images.Resampling.BILINEAR)
    canvas.paste(resized, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return canvas
