"""Data that look faulty and are not: near misses of D01 to D19."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from clinic.condition import Build, Case, Condition, options_of, plain, planted
from clinic.conditions_data import rare_class, splits
from clinic.fixtures import FIXTURES, bars, digits, table
from clinic.healthy import imbalanced, weak_signal


def rare_flag(frame: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """A column that is 1 in one row of a hundred."""
    import polars as pl

    flags = (np.random.default_rng(1000 + seed).random(len(frame)) < 0.01).astype(int)
    return frame.with_columns(pl.Series("vip", flags)), y


def mostly_black(seed: int, folder: Path) -> Case:
    """Bars on black, thin and dim, with most pixels zero."""
    x, y = bars(seed, noise=0.05)
    return Case(np.where(x > 120, x, 0).astype(np.uint8), y, options_of(FIXTURES["bars"], {}))


def tiny_images(seed: int, folder: Path) -> Case:
    """Colour images of 3 x 3 pixels: no side tells which one holds the channels."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, 600)
    x = random.integers(0, 120, (600, 3, 3, 3))
    x[np.arange(600), y] += 60
    options = options_of(FIXTURES["digits"], {"epochs": 8})
    return Case(x.astype(np.uint8), y, options)


def spectrograms(seed: int, folder: Path) -> Case:
    """Wide images with one channel."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, 400)
    x = random.integers(0, 80, (400, 1, 12, 40))
    x[np.arange(400), 0, 3 * y + 1] += 120
    options = options_of(FIXTURES["bars"], {"model": "conv8-relu-pool conv16-relu-pool fc", "epochs": 5})
    return Case(x.astype(np.uint8), y, options)


def three_eight_nine(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """The digits that are mistaken for one another."""
    keep = np.isin(y, (3, 8, 9))
    return x[keep], np.searchsorted((3, 8, 9), y[keep])


def few_values(seed: int, folder: Path) -> Case:
    """A table of four columns with three values each: equal rows are natural."""
    import polars as pl

    random = np.random.default_rng(seed)
    columns = {f"c{i}": random.integers(0, 3, 1000) for i in range(6)}
    total = sum(columns.values()) + random.normal(0, 0.3, 1000)
    frame = pl.DataFrame({**columns, "y": np.where(total > 6, "yes", "no")})
    return Case(frame, None, options_of(FIXTURES["tab-c"], {"hidden": (16,), "epochs": 8}))


def blank_class(seed: int, folder: Path) -> Case:
    """A class whose images are all the same: nothing on them."""
    x, y = bars(seed)
    x = x.copy()
    x[y == 2] = 40
    return Case(x, y, options_of(FIXTURES["bars"], {}))


def dominant_variable(frame: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """A column that truly explains three quarters of the target."""
    import polars as pl

    noise = np.random.default_rng(1000 + seed).standard_normal(len(frame))
    return frame.with_columns(pl.Series("length", frame["y"].to_numpy() + 0.6 * noise)), y


def small_validation(seed: int, folder: Path) -> Case:
    """Sixty validation rows, drawn as all others."""
    x, y = digits(seed)
    parts = splits(x, y)
    parts["x_valid"], parts["y_valid"] = parts["x_valid"][:60], parts["y_valid"][:60]
    return Case(parts, None, options_of(FIXTURES["digits"], {}))


def wide_margin(seed: int, folder: Path) -> Case:
    """A hundred rows of two classes that lie far apart."""
    random = np.random.default_rng(seed)
    y = np.arange(100) % 2
    x = (random.standard_normal((100, 5)) + 8 * y[:, None]).astype(np.float32)
    return Case(x, y, options_of(FIXTURES["moons"], {"epochs": 10}))


def short_sentences(seed: int, folder: Path) -> Case:
    """Texts of unequal length, padded and masked."""
    random = np.random.default_rng(seed)
    words = ["good", "bad", *(f"word{i}" for i in range(10))]
    y = random.integers(0, 2, 500)
    texts = [" ".join([words[kind], *random.choice(words[2:], random.integers(2, 9))]) for kind in y]
    options = {"model": "gru", "model__units": 16, "data__form": "texts", "tokens": "word", "lr": 5e-3}
    return Case(texts, y, {**options, "epochs": 4, "batch_size": 32})


def one_hot(seed: int, folder: Path) -> Case:
    """Sparse columns of zeros and ones, not scaled."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 20, (1200, 2))
    x = np.concatenate([np.eye(20)[codes[:, 0]], np.eye(20)[codes[:, 1]]], axis=1).astype(np.float32)
    y = ((codes[:, 0] % 3) == (codes[:, 1] % 3)).astype(np.int64)
    return Case(x, y, options_of(FIXTURES["moons"], {"data__scale": "none", "epochs": 15}))


NEAR: tuple[tuple[str, str, Build], ...] = (
    ("rare-flag", "D01", planted("tab-c", rare_flag)),
    ("pixels-0-to-1", "D02", plain("digits", data__scale="none")),
    ("one-hot", "D02", one_hot),
    ("mostly-black", "D03", mostly_black),
    ("three-by-three", "D04", tiny_images),
    ("spectrograms", "D04", spectrograms),
    ("separable-1-to-99", "D05", lambda seed, folder: rare_class(seed, folder, 4.0, 25)),
    ("one-to-five", "D05", imbalanced),
    ("hard-classes", "D06", planted("digits", three_eight_nine)),
    ("heavy-augmentation", "D06", plain("bars", augment__noise=0.1, augment__crop=1, epochs=10)),
    ("weak-signal", "D07", weak_signal),
    ("few-values", "D08", few_values),
    ("blank-class", "D09", blank_class),
    ("dominant-variable", "D10", planted("tab-r", dominant_variable)),
    ("random-order", "D11", plain("tab-c")),
    ("small-validation", "D12", small_validation),
    ("random-split", "D12", plain("digits")),
    ("random-split-cancer", "D12", plain("cancer")),
    ("mixup", "D14", plain("bars", augment__mixup=0.4, epochs=10)),
    ("shifts", "D14", plain("bars", augment__crop=1, epochs=10)),
    ("wide-margin", "D15", wide_margin),
    ("standard-target", "D16", plain("tab-r")),
    ("short-sentences", "D17", short_sentences),
    ("rare-class", "D19",
     lambda seed, folder: Case(table(seed, weights=(0.9,)), None, options_of(FIXTURES["tab-c"], {}))),
)  # fmt: skip


def near() -> Iterator[Condition]:
    """What looks like one of these faults, and is none."""
    for name, code, build in NEAR:
        held_back = any(word in name for word, fixture in FIXTURES.items() if fixture.held_back)
        yield Condition(f"near-{code}-{name}", "near", code, build, held_back=held_back)
