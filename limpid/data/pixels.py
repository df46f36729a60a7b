"""uint8 images in memory or on disk, their statistics, and the data set made of them.

Shapes: N images, C channels (1 grey, 3 RGB), H x W pixels, K classes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.config import DataConfig
from limpid.data.cache import digest, load_array, save_array
from limpid.data.dataset import Dataset, ResidentRows, Rows, Split
from limpid.data.folds import refuse_folds, subset_of
from limpid.data.scaling import Scale, fit_scale, is_default
from limpid.data.split import split_indices, split_shares
from limpid.errors import ConfigError, DataError
from limpid.spec import DataSpec

Pixels = NDArray[np.uint8]

# Sums of up to 256 squares of bytes stay below 2^24, where float32 is exact: 256 * 255^2 = 16 646 400.
EXACT_ROWS = 256

PICTURE_SIDE = 224  # pixels; larger pictures are thinned out to at most this

# From about this size on, measuring takes longer than looking the result up.
CACHED_BYTES = 1 << 22


def as_pictures(images_NCHW: Tensor) -> Pixels:
    """Images to look at: uint8 (N, H, W, C), thinned out to sides of PICTURE_SIDE pixels at most.

    Numbers other than uint8 are spread over 0..255 together, their least to their largest.
    """
    stride = -(-max(images_NCHW.shape[-2:]) // PICTURE_SIDE)
    images = images_NCHW[..., ::stride, ::stride]
    if images.dtype != torch.uint8:
        low, high = images.amin(), images.amax()
        images = ((images - low) / (high - low).clamp_min(1e-12) * 255).to(torch.uint8)
    return images.permute(0, 2, 3, 1).contiguous().numpy()


@dataclass(frozen=True)
class Images:
    """Decoded images of one source with their labels."""

    pixels: Pixels  # (N, C, H, W), may be mapped from disk
    labels: NDArray[np.int64]  # (N,) codes 0..K-1
    names: list[str] | None = None  # file of each image


@dataclass(frozen=True)
class Source:
    """What a reader of images hands over to `image_dataset`."""

    name: str
    train: Images
    classes: tuple[str, ...]
    preparation: dict[str, Any]
    fingerprint: str
    valid: Images | None = None  # a validation set of its own
    test_size: int = 0  # images of a test set of its own, and how to read it
    read_test: Callable[[], Images] | None = None
    notes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MappedRows:
    """Images that stay on disk: rows are read from the mapped array when asked for."""

    pixels: Pixels  # (M, C, H, W), mapped from disk
    numbers: NDArray[np.int64]  # (N,) which of them

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, index_B: Tensor) -> tuple[Tensor, ...]:
        return (torch.from_numpy(self.pixels[self.numbers[index_B.cpu().numpy()]]),)


def image_dataset(source: Source, config: DataConfig, seed: int) -> Dataset:
    """Split the images, measure the training split and describe it.

    Raises:
        DataError: one class only, or a task that images of one class each cannot have.
        ConfigError: an option that needs the columns of a table.
    """
    refuse_table_options(config)
    task = _task(config, source.classes)
    has_test = source.read_test is not None
    valid_share, test_share = split_shares(config, has_test=has_test)
    if source.valid is not None:
        refuse_folds(config, "the images hold a validation set, and folds divide all anew. Leave folds out.")
        valid_share = 0.0
    label_N = source.train.labels
    train_rows, valid_rows, test_rows = split_indices(
        len(label_N),
        labels=label_N,
        valid_share=valid_share,
        test_share=test_share,
        seed=seed,
        subset=subset_of(config),
    )
    resident = fits_in_memory(source.train.pixels.nbytes, config.memory_share)
    train = _split(source.train, train_rows, task, resident)
    if source.valid is not None:
        valid: Split | None = _split(source.valid, np.arange(len(source.valid.labels)), task, resident)
    else:
        valid = _split(source.train, valid_rows, task, resident) if len(valid_rows) else None

    def make_test() -> Split | None:
        if source.read_test is not None:
            test = source.read_test()
            return _split(test, np.arange(len(test.labels)), task, resident)
        return _split(source.train, test_rows, task, resident) if len(test_rows) else None

    scale = _scale(source, train.rows, train_rows, config)
    channels, height, width = source.train.pixels.shape[1:]
    counts = np.bincount(label_N[train_rows], minlength=len(source.classes))
    spec = DataSpec(
        name=source.name,
        kind="image",
        task=task,
        input_shape=(channels, height, width),
        num_outputs=1 if task == "binary" else len(source.classes),
        classes=source.classes,
        target_names=("class",),
        scale_mean=scale.mean,
        scale_std=scale.std,
        scale_rotation=scale.rotation,
        scaled_shape=scale.shape,
        class_counts=tuple(int(count) for count in counts),
        num_train=len(train),
        num_valid=0 if valid is None else len(valid),
        num_test=source.test_size if has_test else len(test_rows),
        preparation=source.preparation,
    )
    return Dataset(spec, train, valid, make_test, source.fingerprint, _summary(source, spec, resident))


def channel_statistics(rows: Rows) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation of every channel over all pixels, of values scaled to 0..1.

        mean = sum x / (255 n),   std^2 = sum x^2 / (255^2 n) - mean^2,   n = N H W

    The sums are exact integers, so neither the number of threads nor where the rows live changes a bit. A channel
    without any contrast gets std 1.
    """
    total: Tensor | None = None
    squares: Tensor | None = None
    num_pixels = 0
    for index_B in torch.arange(len(rows)).split(EXACT_ROWS):
        (pixels,) = rows.take(index_B) if not isinstance(rows, ResidentRows) else (_slice(rows, index_B),)
        values = pixels.float()
        num_pixels += values.numel() // values.shape[1]
        part, part_squares = values.sum(0).double().sum((1, 2)), values.square_().sum(0).double().sum((1, 2))
        total = part if total is None else total + part
        squares = part_squares if squares is None else squares + part_squares
    assert total is not None
    assert squares is not None
    mean = total / (255.0 * num_pixels)
    variance = (squares / (255.0**2 * num_pixels) - mean.square()).clamp(min=0.0)
    std = variance.sqrt()
    std[std < 1e-6] = 1.0
    return tuple(mean.tolist()), tuple(std.tolist())


def _scale(source: Source, rows: Rows, row_N: NDArray[np.int64], config: DataConfig) -> Scale:
    if is_default(config):
        return Scale(*_known_statistics(source, rows, row_N))
    parts = torch.arange(len(rows)).split(EXACT_ROWS)
    return fit_scale(lambda: (rows.take(index_B)[0] for index_B in parts), config, image=True)


def _known_statistics(
    source: Source, rows: Rows, row_N: NDArray[np.int64]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """`channel_statistics` of the training rows, kept in the cache where measuring takes a noticeable time."""
    if source.train.pixels.nbytes < CACHED_BYTES:
        return channel_statistics(rows)
    known = [source.fingerprint, source.preparation, digest(source.train.labels.data), digest(row_N.data)]
    key = digest(json.dumps(known).encode())
    cached = load_array("statistics", key)
    if cached is not None and cached.shape == (2, source.train.pixels.shape[1]):
        mean, std = cached.tolist()
        return tuple(mean), tuple(std)
    found = channel_statistics(rows)
    save_array("statistics", key, np.array(found, np.float64))
    return found


def fits_in_memory(num_bytes: int, share: float) -> bool:
    """Whether an array takes at most this share of the memory that is free now."""
    return num_bytes <= share * free_memory()


def free_memory() -> int:
    """Bytes that can be taken without swapping; 4 GB where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (ValueError, OSError, AttributeError):
        return 4 << 30


def refuse_table_options(config: DataConfig) -> None:
    """Raise ConfigError for options that mean nothing to images."""
    if config.split != "random":
        raise ConfigError(
            f"data.split = {config.split}: images have no columns to split by. Leave it at random, or put the images "
            "into train, val and test folders."
        )
    if config.target or config.drop or config.types:
        given = ", ".join(f"data.{key}" for key in ("target", "drop", "types") if getattr(config, key))
        raise ConfigError(f"{given}: images have no columns; the class of an image is the name of its folder.")
    if config.test is not None:
        raise ConfigError("data.test names a test table. Put test images into a folder called test beside train.")


def _task(config: DataConfig, classes: tuple[str, ...]) -> Any:
    if len(classes) < 2:
        only = f" ({classes[0]!r})" if classes else ""
        raise DataError(f"There is only one class{only}; a classifier needs images of at least two.")
    if config.task == "binary" and len(classes) != 2:
        raise DataError(f"data.task = binary needs two classes, but the images have {len(classes)}.")
    if config.task in ("regression", "multilabel"):
        raise DataError(f"data.task = {config.task} is not possible here: every image has exactly one class.")
    return "binary" if config.task == "binary" else "classification"


def _split(images: Images, row_N: NDArray[np.int64], task: str, resident: bool) -> Split:
    label_N = torch.from_numpy(images.labels[row_N])
    names = None if images.names is None else [images.names[i] for i in row_N.tolist()]
    rows: Rows = MappedRows(images.pixels, row_N)
    if resident:
        everything = len(row_N) == len(images.labels)
        pixels = np.array(images.pixels) if everything else images.pixels[row_N]
        rows = ResidentRows((torch.from_numpy(pixels),))
    target = label_N.float().unsqueeze(1) if task == "binary" else label_N
    return Split(rows, target, names, torch.from_numpy(row_N))


def _slice(rows: ResidentRows, index_B: Tensor) -> Tensor:
    return rows.tensors[0][int(index_B[0]) : int(index_B[-1]) + 1]


def _summary(source: Source, spec: DataSpec, resident: bool) -> dict[str, Any]:
    channels, height, width = spec.input_shape
    notes = list(source.notes)
    if not resident:
        notes.append("The images do not fit the stated share of memory; they are read from disk during training.")
    return {
        "rows": spec.num_train + spec.num_valid + spec.num_test,
        "classes": dict(zip(spec.classes, spec.class_counts, strict=True)),
        "size": f"{height} x {width} {'grey' if channels == 1 else 'RGB'}",
        "split": {"train": spec.num_train, "valid": spec.num_valid, "test": spec.num_test},
        "resident": resident,
        "notes": notes,
        "ignored": list(source.ignored),
        **source.facts,
    }
