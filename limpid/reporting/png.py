"""Small images as PNG data URIs, so that a page needs no other file."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPE = {1: 0, 3: 2, 4: 6}  # channels: grey, RGB, RGBA (PNG specification, table 11.1)
# Pixels. Larger pictures are thinned out: the page shows them at about 100, twice that on fine screens.
LARGEST_SIDE = 192


def encode_png(image_HWC: np.ndarray) -> bytes:
    """A uint8 image of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) as a PNG file; other channels: the first."""
    import numpy as np

    if image_HWC.ndim == 2:
        image_HWC = image_HWC[:, :, None]
    if image_HWC.shape[2] not in COLOUR_TYPE:
        image_HWC = image_HWC[:, :, :1]
    height, width, channels = image_HWC.shape
    rows = np.ascontiguousarray(image_HWC, dtype=np.uint8).reshape(height, width * channels)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)  # each row starts with its filter: none
    head = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPE[channels], 0, 0, 0)
    body = zlib.compress(filtered.tobytes(), 6)
    return SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def stretch(images_NHWC: np.ndarray) -> np.ndarray:
    """uint8 images that use less than half of the range, all brightened by the same factor; others as they are."""
    import numpy as np

    brightest = int(images_NHWC.max(initial=0))
    if not 0 < brightest < 128:
        return images_NHWC
    return (images_NHWC.astype(np.uint16) * 255 // brightest).astype(np.uint8)


def data_uri(image_HWC: np.ndarray) -> str:
    """The image as `data:image/png;base64,...`, no side longer than `LARGEST_SIDE` pixels."""
    every = -(-max(image_HWC.shape[:2]) // LARGEST_SIDE)
    return "data:image/png;base64," + base64.b64encode(encode_png(image_HWC[::every, ::every])).decode("ascii")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
