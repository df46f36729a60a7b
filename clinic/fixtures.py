"""Small data sets, generated or bundled with scikit-learn, each with settings in which a network learns it well.

Shapes: N rows, F features, T steps, H height, W width. Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
DIGITS_CNN = "conv8{bn}-relu conv16{bn}-relu pool fc"
BARS_CNN = "conv8{bn}-relu-pool conv16{bn}-relu-pool fc"
SUBJECTS = ("the cat", "a dog", "one bird", "the old man", "a child")
VERBS = ("sees", "likes", "follows", "hears")
ENDS = ("in the garden", "at night", "near the house", "again and again")


@dataclass(frozen=True)
class Fixture:
    """One data set and the settings that suit it.

    Attributes:
        name: of the fixture.
        rows: (seed) -> (inputs, targets), or (table, None) where the target is a column of it.
        options: of `limpid.train`; a rate for each optimiser stands in `rates`.
        rates: optimiser -> learning rate, found by a sweep over the grid 1, 3, 10.
        norms: normalisations that its network can have: "none", "batch", "layer".
        held_back: kept out of calibration altogether.
    """

    name: str
    rows: Callable[[int], tuple[Any, Any]]
    options: Mapping[str, Any]
    rates: Mapping[str, float]
    norms: tuple[str, ...] = ("none", "batch", "layer")
    held_back: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, *, optimizer: str = "adamw", norm: str = "none", schedule: str = "one_cycle") -> dict[str, Any]:
        """Options of a healthy run with this optimiser, normalisation and schedule."""
        chosen = {**self.options, "optimizer": optimizer, "schedule": schedule, "lr": self.rates[optimizer]}
        if schedule == "constant":
            chosen["patience"] = 4  # a healthy run ends where it stops getting better
        if optimizer == "sgd":
            chosen["optim__momentum"] = 0.9
        pattern = self.facts.get("pattern")
        if pattern:
            return {**chosen, "model": pattern.format(bn="-bn" if norm == "batch" else "")}
        return {**chosen, "model__norm": norm} if len(self.norms) > 1 else chosen


def moons(seed: int, *, size: int = 1000, noise: float = 0.2) -> tuple[Array, Array]:
    """Two interleaved half circles, (N, 2)."""
    from sklearn.datasets import make_moons

    x, y = make_moons(size, noise=noise, random_state=seed)
    return x.astype(np.float32), y


def rings(seed: int, *, size: int = 1200) -> tuple[Array, Array]:
    """Three rings around one another, (N, 2)."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, size)
    radius = 1.0 + y + 0.15 * random.standard_normal(size)
    angle = random.uniform(0, 2 * np.pi, size)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32), y


def digits(seed: int) -> tuple[Array, Array]:
    """1,797 handwritten digits of 8 x 8 pixels from 0 to 1 as rows, (N, 64), in an order that follows from the seed."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    return (x[order] / 16).astype(np.float32), y[order]


def digit_images(seed: int) -> tuple[Array, Array]:
    """The same digits as images of bytes, (N, 1, 8, 8)."""
    x, y = digits(seed)
    return np.round(255 * x).astype(np.uint8).reshape(-1, 1, 8, 8), y


def table(seed: int, *, size: int = 2000, weights: tuple[float, ...] | None = None, separation: float = 1.0) -> Any:
    """tab-c: 20 numeric columns, 8 of which tell the class, and two of categories; the target is column "y"."""
    import polars as pl
    from sklearn.datasets import make_classification

    x, y = make_classification(
        size, 20, n_informative=8, n_redundant=2, weights=weights, class_sep=separation, flip_y=0.0, random_state=seed
    )
    random = np.random.default_rng(seed)
    columns: dict[str, Any] = {f"x{i}": x[:, i] for i in range(20)}
    columns["town"] = random.choice(["Aarhus", "Bern", "Cork", "Delft"], size)
    told = np.where((y == 1) ^ (random.random(size) < 0.3), "old", "new")
    columns["kind"] = np.where(random.random(size) < 0.8, told, "unknown")
    return pl.DataFrame({**columns, "y": np.where(y == 1, "yes", "no")})


def regression_table(seed: int, *, size: int = 2000) -> Any:
    """tab-r: 20 numeric columns with linear and curved effects, two of categories, and the target "y" near N(0, 1)."""
    import polars as pl
    from sklearn.datasets import make_regression

    x, y = make_regression(size, 20, n_informative=8, noise=5.0, random_state=seed)
    random = np.random.default_rng(seed)
    town = random.choice(["Aarhus", "Bern", "Cork", "Delft"], size)
    y = y / y.std() + 0.5 * np.sin(2 * x[:, 0]) + 0.3 * (town == "Bern")
    columns: dict[str, Any] = {f"x{i}": x[:, i] for i in range(20)}
    kind = random.choice(["old", "new", "unknown"], size)
    return pl.DataFrame({**columns, "town": town, "kind": kind, "y": (y - y.mean()) / y.std()})


def bars(seed: int, *, size: int = 900, noise: float = 0.15) -> tuple[Array, Array]:
    """Images with one bar that lies, stands or leans: bytes (N, 1, 16, 16), three classes."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, size)
    x = 0.2 + noise * random.standard_normal((size, 16, 16))
    for image, kind in zip(x, y, strict=True):
        place = random.integers(2, 14)
        if kind == 0:
            image[place] += 0.6
        elif kind == 1:
            image[:, place] += 0.6
        else:
            rows = np.arange(16)
            columns = rows + place - 8
            inside = (columns >= 0) & (columns < 16)
            image[rows[inside], columns[inside]] += 0.6
    return np.round(255 * x.clip(0, 1)).astype(np.uint8)[:, None], y


def sums(seed: int, *, size: int = 1000, steps: int = 30, first: int = 30) -> tuple[Array, Array]:
    """seq: the sign of the sum of the first numbers of T, (N, T, 1)."""
    x = np.random.default_rng(seed).standard_normal((size, steps, 1)).astype(np.float32)
    return x, (x[:, :first, 0].sum(axis=1) > 0).astype(np.int64)


def grammar(seed: int, *, characters: int = 20_000) -> str:
    """lm: sentences of a small grammar, so many characters."""
    random = np.random.default_rng(seed)
    sentences, length = [], 0
    while length < characters:
        words = [random.choice(part) for part in (SUBJECTS, VERBS, SUBJECTS, ENDS)]
        sentences.append(" ".join(words) + ".\n")
        length += len(sentences[-1])
    return "".join(sentences)


def bundled(name: str) -> Callable[[int], tuple[Array, Array]]:
    """One of scikit-learn's bundled tables as (N, F) and targets, its rows in an order that follows from the seed."""

    def rows(seed: int) -> tuple[Array, Array]:
        import sklearn.datasets

        x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
        order = np.random.default_rng(seed).permutation(len(y))
        return x[order].astype(np.float32), y[order]

    return rows


def text_file(text: str, folder: Path) -> Path:
    """The text as a file, which is how running text is read."""
    path = folder / "grammar.txt"
    path.write_text(text, encoding="utf-8")
    return path


FIXTURES = {
    fixture.name: fixture
    for fixture in (
        Fixture(
            "moons", moons, {"model": "mlp", "hidden": (32, 32), "epochs": 30, "batch_size": 32, "dropout": 0.0},
            {"sgd": 0.1, "adamw": 1e-2},
        ),
        Fixture(
            "digits", digits,
            {"model": "mlp", "hidden": (64, 64), "epochs": 15, "batch_size": 64, "dropout": 0.0},
            {"sgd": 0.03, "adamw": 3e-3},
        ),
        Fixture(
            "digits-cnn", digit_images, {"epochs": 8, "batch_size": 64, "label_smoothing": 0.0},
            {"sgd": 0.05, "adamw": 1e-2}, ("none", "batch"), facts={"pattern": DIGITS_CNN},
        ),
        Fixture(
            "tab-c", lambda seed: (table(seed), None),
            {"target": "y", "model": "mlp", "hidden": (64, 64), "model__numbers": "plain", "epochs": 15,
             "batch_size": 64, "dropout": 0.1},
            {"sgd": 0.03, "adamw": 3e-3},
        ),
        Fixture(
            "tab-r", lambda seed: (regression_table(seed), None),
            {"target": "y", "model": "mlp", "hidden": (64, 64), "model__numbers": "plain", "epochs": 15,
             "batch_size": 64, "dropout": 0.0},
            {"sgd": 0.03, "adamw": 3e-3},
        ),
        Fixture(
            "bars", bars, {"epochs": 8, "batch_size": 32, "label_smoothing": 0.0},
            {"sgd": 0.03, "adamw": 3e-3}, ("none", "batch"), facts={"pattern": BARS_CNN},
        ),
        Fixture(
            "seq", sums,
            {"model": "lstm", "model__units": 32, "model__pool": "mean", "data__form": "sequences",
             "epochs": 18, "batch_size": 32},
            {"sgd": 0.3, "adamw": 1e-2}, ("none",),
        ),
        Fixture(
            "lm", lambda seed: (grammar(seed), None),
            {"model": "gpt", "model__width": 32, "model__heads": 2, "model__layers": 2, "context": 32, "epochs": 10,
             "batch_size": 32, "data__valid_share": 0.1},
            {"adamw": 1e-2}, ("none",),
        ),
        Fixture(
            "rings", rings, {"model": "mlp", "hidden": (32, 32), "epochs": 25, "batch_size": 32, "dropout": 0.0},
            {"sgd": 0.1, "adamw": 1e-2}, held_back=True,
        ),
        Fixture(
            "cancer", bundled("breast_cancer"),
            {"model": "mlp", "hidden": (32,), "epochs": 15, "batch_size": 32, "dropout": 0.2},
            {"sgd": 0.03, "adamw": 3e-3}, held_back=True,
        ),
        Fixture(
            "diabetes", bundled("diabetes"),
            {"model": "mlp", "hidden": (32,), "epochs": 15, "batch_size": 32, "dropout": 0.2, "task": "regression"},
            {"sgd": 0.01, "adamw": 3e-3}, held_back=True,
        ),
    )
}  # fmt: skip
