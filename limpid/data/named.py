"""The published image sets by name: mnist, fashion-mnist, cifar10, cifar100.

Local copies come first (--data-dir, then the folder in LIMPID_DATA, then earlier downloads); without one, torchvision
downloads into the cache and checks the published MD5 sums.

    F10 (shared files of MNIST): 60 000 + 10 000 grey images of 28 x 28, 10 classes, mean 0.1307, std 0.3081
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from limpid.config import DataConfig
from limpid.data.cache import cache_folder, digest
from limpid.data.dataset import Dataset
from limpid.data.idx import idx_pairs, load_idx
from limpid.data.pixels import Images, Source, image_dataset
from limpid.errors import DataError


@dataclass(frozen=True)
class Named:
    """Where a published set may lie, and who can fetch it."""

    torchvision: str  # class in torchvision.datasets
    folders: tuple[str, ...]  # below a data folder: IDX files, or class folders
    batches: str | None = None  # folder of Python batches, read by torchvision after it has checked their MD5
    classes: tuple[str, ...] | None = None


NAMED = {
    "mnist": Named("MNIST", ("mnist", "MNIST/raw", "MNIST", "")),
    "fashion-mnist": Named(
        "FashionMNIST",
        ("fashion-mnist", "fashion_mnist", "FashionMNIST/raw", "FashionMNIST", ""),
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
    "cifar10": Named("CIFAR10", ("cifar10", "cifar-10", "cifar10-images"), "cifar-10-batches-py"),
    "cifar100": Named("CIFAR100", ("cifar100", "cifar-100", "cifar100-images"), "cifar-100-python"),
}

ARCHIVES = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".zip")


def load_named(name: str, config: DataConfig, seed: int) -> Dataset:
    """One of `NAMED`, from a local copy or a download.

    Raises DataError when there is neither, naming --data-dir and LIMPID_DATA.
    """
    named = NAMED[name]
    downloads = cache_folder() / "downloads"
    given = config.data_dir or os.environ.get("LIMPID_DATA")
    if config.data_dir and not Path(config.data_dir).expanduser().is_dir():
        raise DataError(f"--data-dir {config.data_dir}: no such folder.")
    for base in [Path(given).expanduser()] if given else []:
        found = _local(name, named, base, config, seed)
        if found is not None:
            return found
    found = _local(name, named, downloads, config, seed)
    if found is not None:
        return found
    _download(name, named, downloads, given)
    found = _local(name, named, downloads, config, seed)
    if found is None:
        raise DataError(f"{name} was downloaded to {downloads}, but its files are not there.")
    return found


def _local(name: str, named: Named, base: Path, config: DataConfig, seed: int) -> Dataset | None:
    if named.batches is None:
        for folder in named.folders:
            if "train" in idx_pairs(base / folder):
                return load_idx(base / folder, config, seed, name=name, class_names=named.classes)
        return None
    for path in _image_copies(named, base):
        from limpid.data.images import load_images

        return load_images(path, config, seed, name=name)
    if (base / named.batches).is_dir():
        return _load_batches(name, named, base, config, seed)
    return None


def _image_copies(named: Named, base: Path) -> Iterator[Path]:
    for folder in named.folders:
        if (base / folder).is_dir() and not (base / folder / str(named.batches)).exists():
            yield base / folder
        for ending in ARCHIVES:
            if (base / f"{folder}{ending}").is_file():
                yield base / f"{folder}{ending}"


def _load_batches(name: str, named: Named, base: Path, config: DataConfig, seed: int) -> Dataset:
    """CIFAR's Python batches are pickles, so only torchvision opens them, and only files with the published MD5."""
    if config.image_size is not None or config.colour == "grey":
        raise DataError(f"{name}: data.image_size and data.colour = grey need image files, not {named.batches}.")

    def read(train: bool) -> tuple[Images, Any]:
        try:
            part = _torchvision(named)(str(base), train=train, download=False)
        except RuntimeError:
            raise DataError(
                f"{base / str(named.batches)}: the files are not the published ones (MD5 differs), and since they are "
                "pickles they are not opened. Fetch them again."
            ) from None
        pixels = np.ascontiguousarray(np.asarray(part.data).transpose(0, 3, 1, 2))
        return Images(pixels, np.asarray(part.targets, dtype=np.int64)), part.classes

    train, classes = read(True)
    source = Source(
        name=name,
        train=train,
        classes=tuple(classes),
        preparation={"kind": "image", "size": [32, 32], "colour": "rgb", "fit": config.fit},
        fingerprint=digest(train.pixels.data),
        test_size=10_000,
        read_test=lambda: read(False)[0],
    )
    return image_dataset(source, config, seed)


def _download(name: str, named: Named, folder: Path, given: str | None) -> None:
    """Fetch with torchvision, which checks the MD5 sums; whatever goes wrong becomes one message."""
    looked = f" {given} holds no copy of it, and" if given else ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stdout(sys.stderr):
            _torchvision(named)(str(folder), train=True, download=True)
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{name}:{looked} it could not be downloaded ({reason.rstrip('.')}). Give a folder with a local copy by "
            "--data-dir FOLDER or the environment variable LIMPID_DATA "
            f"(looked for: {', '.join(_places(named))})."
        ) from None


def _places(named: Named) -> list[str]:
    if named.batches is None:
        return [f"{folder}/train-images-idx3-ubyte[.gz]" for folder in named.folders if folder]
    return [f"{named.folders[0]}/<class folders>", f"{named.folders[-1]}.tar.gz", named.batches]


def _torchvision(named: Named) -> Any:
    from torchvision import datasets

    return getattr(datasets, named.torchvision)
