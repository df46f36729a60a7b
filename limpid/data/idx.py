"""IDX files: the format of MNIST and its relatives, plain or gzipped.

    bytes 0-1  zero     byte 2  type of the values     byte 3  number of dimensions D
    then D big-endian 32-bit sizes, then the values row by row

Source: the description beside the original MNIST files (LeCun, Cortes, Burges).
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limpid.config import DataConfig
from limpid.data.cache import digest, load_array, save_array
from limpid.data.dataset import Dataset
from limpid.data.pixels import Images, Source, image_dataset
from limpid.errors import ConfigError, DataError

VALUE_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
# Deflate cannot shrink data more than this (1032 : 1), so a header that promises more than that is wrong.
MOST_DEFLATE = 1100
# Reading a small file is faster than asking the cache for it.
CACHED_BYTES = 1 << 20

FILE_NAME = re.compile(
    r"^(?:.*[-_.])?(train|t10k|test)[-_.](images|labels)[-_.]idx[13][-_.]ubyte(\.gz)?$", re.IGNORECASE
)


@dataclass(frozen=True)
class IdxPair:
    """The two files of one part of the data."""

    images: Path
    labels: Path


def load_idx(
    path: Path | str,
    config: DataConfig,
    seed: int,
    *,
    name: str | None = None,
    class_names: tuple[str, ...] | None = None,
) -> Dataset:
    """Images and labels of a folder with train-images, train-labels and usually t10k-images, t10k-labels.

    Args:
        path: The folder, or one of its files.
        name: Of the data set; the folder's by default.
        class_names: Names of labels 0, 1, ...; the numbers themselves by default.
    Raises:
        DataError: a file is missing, truncated, damaged, or not IDX; numbers of images and labels differ.
    """
    folder = Path(path)
    folder = folder if folder.is_dir() else folder.parent
    pairs = idx_pairs(folder)
    if "train" not in pairs:
        raise DataError(
            f"{folder}: no train-images-idx3-ubyte and train-labels-idx1-ubyte (or the same with .gz) in this folder."
        )
    _refuse_resizing(config)
    rgb = config.colour == "rgb"
    train, code_of = _read_pair(pairs["train"], None, rgb)
    values = sorted(code_of)
    classes = tuple(class_names[v] if class_names and v < len(class_names) else str(v) for v in values)
    files = [file for pair in pairs.values() for file in (pair.images, pair.labels)]
    test = pairs.get("test")
    height, width = train.pixels.shape[2:]
    source = Source(
        name=name or folder.name,
        train=train,
        classes=classes,
        preparation={"kind": "image", "size": [height, width], "colour": "rgb" if rgb else "grey", "fit": config.fit},
        fingerprint=digest("".join(digest(_bytes(file)) for file in files).encode()),
        test_size=idx_shape(test.images)[0] if test else 0,
        read_test=(lambda: _read_pair(test, code_of, rgb)[0]) if test else None,
    )
    return image_dataset(source, config, seed)


def idx_pairs(folder: Path) -> dict[str, IdxPair]:
    """The parts ("train", "test") whose image and label files both lie in the folder; a plain file wins over .gz."""
    found: dict[tuple[str, str], Path] = {}
    for file in sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []:
        match = FILE_NAME.match(file.name)
        if match and file.is_file():
            part = "train" if match[1].lower() == "train" else "test"
            found[part, match[2].lower()] = file
    return {
        part: IdxPair(found[part, "images"], found[part, "labels"])
        for part in ("train", "test")
        if (part, "images") in found and (part, "labels") in found
    }


def idx_shape(path: Path) -> tuple[int, ...]:
    """The sizes that the header states; reads only the head of the file."""
    with path.open("rb") as file:
        head = file.read(4096)
    return _header(_inflate(head, 4 + 4 * 255, path, partial=True) if _gzipped(head) else head, path)[1]


def read_idx(path: Path) -> NDArray[np.generic]:
    """The array in an IDX file, in the machine's byte order; large gzipped ones are kept decoded in the cache.

    Raises DataError naming the file when it is truncated, longer than its header says, damaged, or not IDX.
    """
    data = _bytes(path)
    zipped = _gzipped(data)
    key = digest(data) if zipped and len(data) > CACHED_BYTES else None
    if key is not None and (cached := load_array("idx", key)) is not None:
        return cached
    head = _inflate(data, 4 + 4 * 255, path, partial=True) if zipped else data
    dtype, shape, start = _header(head, path)
    expected = start + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if zipped:
        if expected > MOST_DEFLATE * len(data):
            raise DataError(f"{path} is truncated: its header promises {expected} bytes, which it cannot hold.")
        data = _inflate(data, expected + 1, path)
    if len(data) != expected:
        word = "truncated" if len(data) < expected else "too long"
        raise DataError(f"{path} is {word}: its header promises {expected} bytes, but it holds {len(data)}.")
    array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    array = array if dtype.itemsize == 1 else array.astype(dtype.newbyteorder("="))
    if key is not None:
        save_array("idx", key, array)
    return array


def _read_pair(pair: IdxPair, code_of: dict[int, int] | None, rgb: bool) -> tuple[Images, dict[int, int]]:
    """Images with their labels as codes 0..K-1; the codes are learned here when none are given."""
    images, labels = read_idx(pair.images), read_idx(pair.labels)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DataError(f"{pair.images}: expected bytes in 3 dimensions, found {images.dtype} in {images.ndim}.")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(f"{pair.labels}: expected whole numbers in 1 dimension, found {labels.dtype} in {labels.ndim}.")
    if len(images) != len(labels):
        raise DataError(f"{pair.images} holds {len(images)} images, but {pair.labels} {len(labels)} labels.")
    if images.size == 0:
        raise DataError(f"{pair.images} holds no pixels (shape {' x '.join(map(str, images.shape))}).")
    values = np.unique(labels)
    if code_of is None:
        code_of = {int(value): code for code, value in enumerate(values)}
    unseen = [int(value) for value in values if int(value) not in code_of]
    if unseen:
        raise DataError(f"{pair.labels} has labels that the training labels do not have: {unseen[:10]}.")
    codes = np.searchsorted(np.array(sorted(code_of)), labels).astype(np.int64)
    pixels = images[:, None].view(np.uint8)
    return Images(np.repeat(pixels, 3, axis=1) if rgb else pixels, codes), code_of


def _header(data: bytes, path: Path) -> tuple[np.dtype[np.generic], tuple[int, ...], int]:
    if not data:
        raise DataError(f"{path} is empty.")
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in VALUE_TYPES or data[3] < 1:
        raise DataError(f"{path} is not an IDX file: it starts with {data[:4].hex(' ')} instead of 00 00 08 ...")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise DataError(f"{path} is truncated: it ends within its header.")
    return np.dtype(VALUE_TYPES[data[2]]), struct.unpack(f">{data[3]}I", data[4:start]), start


def _gzipped(data: bytes) -> bool:
    return data[:2] == b"\x1f\x8b"


def _inflate(data: bytes, most: int, path: Path, *, partial: bool = False) -> bytes:
    """At most `most` bytes of a gzipped file; unless `partial`, all of it must be there and its checksum right."""
    stream = zlib.decompressobj(31)
    try:
        result = stream.decompress(data, most)
        if not partial and not stream.eof:
            result += stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error as error:
        raise DataError(f"{path} is damaged: {error}.") from None
    if not partial and not stream.eof and len(result) < most:
        raise DataError(f"{path} is truncated: the gzip stream ends after {len(result)} bytes of content.")
    return result


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} could not be read: {error.strerror}.") from None


def _refuse_resizing(config: DataConfig) -> None:
    if config.image_size is not None:
        raise ConfigError("data.image_size changes the size of image files; IDX images keep their own.")
