"""The data of the benchmarks as NumPy arrays, read the same way for every peer.

A data folder holds mnist/*.gz (IDX), cifar10-images.tar.gz (cifar10/{train,test}/<class>/<n>.jpg) and
tables/adult-{train,test}.csv. The JPEG archive is decoded once into a cache named by its size and modification time;
`python bench/peers/datasets.py DIR` fills it before anything is timed.

Shapes: N rows, H height, W width, C channels, F features.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

Arrays = tuple[Any, Any, Any, Any]  # x_train, y_train, x_test, y_test

ADULT_COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship",
    "race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country", "income",
)  # fmt: skip
ADULT_NUMBERS = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")


def read_idx(path: Path) -> Any:
    """The array of a gzipped IDX file of unsigned bytes."""
    raw = gzip.decompress(path.read_bytes())
    num_axes = raw[3]
    shape = np.frombuffer(raw, ">u4", num_axes, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * num_axes).reshape(shape)


def mnist_bytes(folder: Path, limit: int | None = None) -> Arrays:
    """Images uint8 (N, 28, 28) and labels int64 (N,) of both splits; `limit` keeps the first rows of training."""
    x_train = read_idx(folder / "mnist" / "train-images-idx3-ubyte.gz")[:limit]
    y_train = read_idx(folder / "mnist" / "train-labels-idx1-ubyte.gz")[:limit].astype(np.int64)
    x_test = read_idx(folder / "mnist" / "t10k-images-idx3-ubyte.gz")
    y_test = read_idx(folder / "mnist" / "t10k-labels-idx1-ubyte.gz").astype(np.int64)
    return x_train, y_train, x_test, y_test


def mnist(folder: Path, limit: int | None = None) -> Arrays:
    """MNIST as float32 (N, 28, 28), standardised with the mean and deviation of the training images."""
    x_train, y_train, x_test, y_test = mnist_bytes(folder, limit)
    mean, std = np.float32(0.1307 * 255), np.float32(0.3081 * 255)
    return (
        (x_train.astype(np.float32) - mean) / std,
        y_train,
        (x_test.astype(np.float32) - mean) / std,
        y_test,
    )


def cifar10_bytes(folder: Path, limit: int | None = None) -> Arrays:
    """Images uint8 (N, 32, 32, 3) and labels int64 (N,), from the cache of decoded images."""
    cache = cifar10_cache(folder)
    x_train, y_train, x_test, y_test = (np.load(cache / f"{name}.npy") for name in ("xa", "ya", "xb", "yb"))
    return x_train[:limit], y_train[:limit], x_test, y_test


def cifar10(folder: Path, limit: int | None = None) -> Arrays:
    """CIFAR-10 as float32 (N, 32, 32, 3), standardised per channel."""
    x_train, y_train, x_test, y_test = cifar10_bytes(folder, limit)
    mean, std = cifar10_scale()
    return (x_train.astype(np.float32) - mean) / std, y_train, (x_test.astype(np.float32) - mean) / std, y_test


def cifar10_scale() -> tuple[Any, Any]:
    """Mean and deviation of each channel of the training images, in units of a byte."""
    return (
        np.array([0.4914, 0.4822, 0.4465], np.float32) * 255,
        np.array([0.2470, 0.2435, 0.2616], np.float32) * 255,
    )


def cifar10_cache(folder: Path) -> Path:
    """The folder of decoded images, made when it is missing. Rows are shuffled once, with a fixed seed."""
    archive = folder / "cifar10-images.tar.gz"
    state = archive.stat()
    key = hashlib.sha256(f"{archive.resolve()} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:16]
    root = Path(os.environ.get("LIMPID_BENCH_CACHE", Path(__file__).parents[2] / ".bench" / "cache"))
    cache = root / f"cifar10-{key}"
    if not (cache / "done").exists():
        cache.mkdir(parents=True, exist_ok=True)
        _decode(archive, cache)
    return cache


def _decode(archive: Path, cache: Path) -> None:
    from PIL import Image

    images: dict[str, list[Any]] = {"train": [], "test": []}
    labels: dict[str, list[str]] = {"train": [], "test": []}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(".jpg"):
                split, name = member.name.split("/")[-3:-1]
                stored = tar.extractfile(member)
                assert stored is not None
                images[split].append(np.asarray(Image.open(io.BytesIO(stored.read())).convert("RGB")))
                labels[split].append(name)
    classes = sorted(set(labels["train"]))
    for split, mark in (("train", "a"), ("test", "b")):
        order = np.random.default_rng(0).permutation(len(images[split]))
        np.save(cache / f"x{mark}.npy", np.stack(images[split])[order])
        np.save(cache / f"y{mark}.npy", np.array([classes.index(name) for name in labels[split]], np.int64)[order])
    (cache / "done").touch()


def adult(folder: Path, limit: int | None = None) -> Arrays:
    """The Adult table as float32 (N, F): numbers standardised, categories one-hot; labels int64, 1 is ">50K".

    The columns are fitted on the training file only; a missing value is a category of its own.
    """
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    train, test = (
        pd.read_csv(folder / "tables" / f"adult-{split}.csv", names=list(ADULT_COLUMNS), skipinitialspace=True)
        for split in ("train", "test")
    )
    train = train[:limit]
    categories = [name for name in ADULT_COLUMNS[:-1] if name not in ADULT_NUMBERS]
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), list(ADULT_NUMBERS)),
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
        ]
    )
    x_train = columns.fit_transform(train).astype(np.float32)
    x_test = columns.transform(test).astype(np.float32)
    y_train, y_test = (
        frame["income"].str.rstrip(".").eq(">50K").to_numpy().astype(np.int64) for frame in (train, test)
    )
    return x_train, y_train, x_test, y_test


if __name__ == "__main__":
    print(cifar10_cache(Path(sys.argv[1])))
