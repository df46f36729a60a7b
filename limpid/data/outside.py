"""Data sets that people know by name but that cannot be shipped or fetched here: a local copy is used if there is one.

Whoever names one without a copy is told why it is not there and what does its job.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from limpid.config import DataConfig
from limpid.data.dataset import Dataset
from limpid.errors import DataError


@dataclass(frozen=True)
class Outside:
    """What it is, the folders or archives of class folders that a copy may lie in, and what to use instead."""

    what: str
    places: tuple[str, ...]
    instead: str


OUTSIDE = {
    "imagenette": Outside(
        "ten easy classes of ImageNet, 13,394 photographs in synset folders",
        ("imagenette2", "imagenette2-320", "imagenette2-160", "imagenette"),
        "Fetch imagenette2-160.tgz from its project page and unpack it there, or use cifar10.",
    ),
    "imagenet": Outside(
        "ILSVRC 2012: 1.28 million photographs of 1000 classes in synset folders, not free to pass on",
        ("imagenet", "ILSVRC2012", "ILSVRC/Data/CLS-LOC"),
        "Ask for it at image-net.org and unpack train and val there, or use cifar10 or imagenette.",
    ),
    "notmnist": Outside(
        "letters A to J cut out of fonts, 28x28, without a licence to pass them on",
        ("notMNIST_large", "notMNIST_small", "notmnist"),
        "The built-in set letters draws an equivalent with the fonts of this machine.",
    ),
    "timit": Outside(
        "labelled frames of read speech, sold by the Linguistic Data Consortium",
        (),
        "No free copy exists. The built-in sets spirals and digits stand in for vectors with many classes.",
    ),
}


def load_outside(name: str, config: DataConfig, seed: int) -> Dataset:
    """The local copy below --data-dir or LIMPID_DATA. Raises DataError that says what to do when there is none."""
    chosen = OUTSIDE[name]
    base = config.data_dir or os.environ.get("LIMPID_DATA")
    for place in chosen.places if base else ():
        path = Path(str(base)).expanduser() / place
        for found in (path, *(path.with_name(path.name + ending) for ending in (".tgz", ".tar.gz", ".tar", ".zip"))):
            if found.exists():
                from limpid.data.images import load_images

                return load_images(found, config, seed, name=name)
    looked = f" (looked for {', '.join(chosen.places)} in {base or '--data-dir and LIMPID_DATA'})"
    raise DataError(f"{name} is not here{looked if chosen.places else ''}: {chosen.what}. {chosen.instead}")
