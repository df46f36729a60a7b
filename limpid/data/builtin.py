"""Data sets that are there without a download: scikit-learn's small classics, and the generators of toys.py,
picture_sets.py and sequence_toys.py.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limpid.config import DataConfig
from limpid.data.array_dataset import Arrays, build_dataset
from limpid.data.dataset import Dataset
from limpid.data.picture_sets import PICTURE_SETS, make_pictures
from limpid.data.sequence_toys import SEQUENCE_TOYS, load_sequence_toy
from limpid.data.toys import TOYS, make_toy

CLASSICS = {
    "digits": "1,797 handwritten digits of 8x8 pixels, 10 classes",
    "iris": "150 flowers, 4 measures, 3 species",
    "wine": "178 wines, 13 measures, 3 cultivars",
    "breast-cancer": "569 tumours, 30 measures, malignant or benign",
    "diabetes": "442 patients, 10 measures, disease progression after a year (regression)",
}


def builtin_names() -> dict[str, str]:
    """Every built-in data set with a line that describes it."""
    generators = TOYS | PICTURE_SETS | SEQUENCE_TOYS
    return CLASSICS | {name: generator.description for name, generator in generators.items()}


def load_builtin(name: str, config: DataConfig, *, seed: int) -> Dataset:
    """A built-in data set by name; `config.size` and `config.noise` set the size and noise of a generated one."""
    if name in SEQUENCE_TOYS:
        return load_sequence_toy(name, config, seed=seed)
    if name in TOYS:
        x_NF, y_N = make_toy(name, size=config.size, noise=config.noise, seed=seed)
        arrays = Arrays(x_NF, y_N, feature_names=tuple(f"x{i}" for i in range(x_NF.shape[1])), target_name="y")
    elif name in PICTURE_SETS:
        pictures, names = make_pictures(name, size=config.size, noise=config.noise, seed=seed)
        arrays = Arrays(pictures, names, target_name="class")
    elif name == "digits":
        arrays = _digits()
    else:
        arrays = _classic(name)
    if config.task == "auto":
        regression = name == "diabetes" or (name in TOYS and TOYS[name].regression)
        config = config.model_copy(update={"task": "regression" if regression else "auto"})
    return build_dataset(arrays, config, seed=seed, name=name)


def _digits() -> Arrays:
    """Images (N, 1, 8, 8) uint8 with values 0 to 16.

    Read from the file that scikit-learn brings along, because importing scikit-learn takes longer than training.
    """
    found = importlib.util.find_spec("sklearn")
    file = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz" if found and found.origin else None
    cells: NDArray[np.generic]
    if file is not None and file.exists():
        cells = np.loadtxt(file, delimiter=",", dtype=np.uint8)
        images, labels = cells[:, :-1], cells[:, -1]
    else:
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
    return Arrays(images.astype(np.uint8).reshape(-1, 1, 8, 8), labels.astype(np.int64), target_name="digit")


def _classic(name: str) -> Arrays:
    from sklearn import datasets

    if name == "diabetes":
        bunch: Any = datasets.load_diabetes(scaled=False)
        return Arrays(bunch.data, bunch.target, tuple(bunch.feature_names), target_name="progression")
    loaders = {"iris": datasets.load_iris, "wine": datasets.load_wine, "breast-cancer": datasets.load_breast_cancer}
    bunch = loaders[name]()
    labels = np.asarray(bunch.target_names)[bunch.target]
    return Arrays(bunch.data, labels, tuple(map(str, bunch.feature_names)), target_name="class")
