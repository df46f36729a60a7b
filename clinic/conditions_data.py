"""Faults planted in the data, D01 to D19."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from clinic.condition import Case, Condition, options_of, plain, planted
from clinic.fixtures import FIXTURES, bars, digits, regression_table, table

COPIED_SHARE = 0.2


def constant_and_missing(frame: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """D01: one column is 7 throughout, 3 % of another are missing."""
    import polars as pl

    values = frame["x1"].to_numpy().copy()
    values[np.random.default_rng(seed).random(len(values)) < 0.03] = np.nan
    return frame.with_columns(pl.lit(7.0).alias("x0"), pl.Series("x1", values).fill_nan(None)), y


def one_huge_column(frame: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """D02: a column in other units."""
    import polars as pl

    return frame.with_columns(pl.col("x3") * 1e4), y


def scaled(factor: float) -> Any:
    """Inputs times a factor."""
    return lambda x, y, seed: ((x * factor).astype(np.float32), y)


def reshaped_channels(seed: int, folder: Path) -> Case:
    """D04: colour images stored with channels last, reshaped instead of permuted."""
    x, y = bars(seed)
    tint = np.random.default_rng(seed).uniform(0.3, 1.0, (len(x), 1, 1, 3))
    last = np.round(x[:, 0, :, :, None] * tint).astype(np.uint8)
    return Case(last.reshape(-1, 3, 16, 16), y, options_of(FIXTURES["bars"], {"norm": "batch"}))


def rare_class(seed: int, folder: Path, separation: float = 0.5, epochs: int = 8) -> Case:
    """D05: one row in a hundred is of the second class, and hard to tell."""
    frame = table(seed, size=3000, weights=(0.99,), separation=separation)
    return Case(frame, None, options_of(FIXTURES["tab-c"], {"epochs": epochs}))


def flipped(share: float, *, pairs: bool = False) -> Any:
    """D06: labels changed to any other class, or always to the next one."""

    def fault(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
        random = np.random.default_rng(1000 + seed)
        num_classes = int(y.max()) + 1
        wrong = random.random(len(y)) < share
        by = 1 if pairs else random.integers(1, num_classes, len(y))
        return x, np.where(wrong, (y + by) % num_classes, y)

    return fault


def shuffled(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """D07: the labels in another order than the rows."""
    return x, np.random.default_rng(1000 + seed).permutation(y)


def shuffled_table(frame: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """D07 in a table: the target column in another order than the rest."""
    return frame.with_columns(frame["y"].shuffle(seed=1000 + seed)), y


def copied_rows(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """D08: 15 % of the rows are there twice, a third of the copies with another label."""
    random = np.random.default_rng(1000 + seed)
    copies = random.choice(len(x), int(0.15 * len(x)), replace=False)
    labels = y[copies].copy()
    other = random.random(len(copies)) < 1 / 3
    labels[other] = (labels[other] + 1) % (int(y.max()) + 1)
    return np.concatenate([x, x[copies]]), np.concatenate([y, labels])


def splits(x: Any, y: Any, valid: Any = None) -> dict[str, Any]:
    """Arrays by split: 60 % train, 20 % validate, 20 % test."""
    a, b = int(0.6 * len(x)), int(0.8 * len(x))
    parts = {"x_train": x[:a], "y_train": y[:a], "x_valid": x[a:b], "y_valid": y[a:b], "x_test": x[b:], "y_test": y[b:]}
    return {**parts, **(valid or {})}


def leaking_rows(seed: int, folder: Path, noise: float = 0.0) -> Case:
    """D09: a fifth of the validation rows are in the training split too."""
    x, y = digits(seed)
    parts = splits(x, y)
    random = np.random.default_rng(1000 + seed)
    copies = random.choice(len(parts["x_valid"]), int(COPIED_SHARE * len(parts["x_valid"])), replace=False)
    also = parts["x_valid"][copies] + noise * random.standard_normal((len(copies), 64)).astype(np.float32)
    parts["x_train"] = np.concatenate([parts["x_train"], also])
    parts["y_train"] = np.concatenate([parts["y_train"], parts["y_valid"][copies]])
    return Case(parts, None, options_of(FIXTURES["digits"], {}))


def telling_column(frame: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """D10: a column that is the target with 5 % noise."""
    import polars as pl

    random = np.random.default_rng(1000 + seed)
    answer = (frame["y"] == "yes").to_numpy() ^ (random.random(len(frame)) < 0.05)
    return frame.with_columns(pl.Series("paid", np.where(answer, "late", "never"))), y


def telling_number(frame: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """D10: a number that is the target with 5 % noise."""
    import polars as pl

    noise = 0.05 * np.random.default_rng(1000 + seed).standard_normal(len(frame))
    return frame.with_columns(pl.Series("total", frame["y"].to_numpy() * 3 + 10 + noise)), y


def sorted_with_number(frame: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """D11: rows sorted by class, and a running number kept as a column."""
    import polars as pl

    ordered = frame.sort("y")
    return ordered.with_columns(pl.Series("number", np.arange(len(ordered)))), y


def shifted_validation(seed: int, folder: Path) -> Case:
    """D12: validation rows lie 0.8 deviations higher in every feature."""
    x, y = digits(seed)
    parts = splits(x, y)
    parts["x_valid"] = parts["x_valid"] + 0.8 * x.std(axis=0, keepdims=True)
    return Case(parts, None, options_of(FIXTURES["digits"], {}))


def brighter_validation(seed: int, folder: Path) -> Case:
    """D12: validation images are brighter."""
    x, y = bars(seed)
    parts = splits(x, y)
    parts["x_valid"] = np.clip(parts["x_valid"].astype(int) + 70, 0, 255).astype(np.uint8)
    return Case(parts, None, options_of(FIXTURES["bars"], {}))


def unscaled_validation(seed: int, folder: Path) -> Case:
    """D13: training rows were standardised by hand, validation rows were not."""
    x, y = digits(seed)
    parts = splits(x, y)
    mean, std = parts["x_train"].mean(axis=0), parts["x_train"].std(axis=0) + 1e-3
    parts["x_train"] = ((parts["x_train"] - mean) / std).astype(np.float32)
    return Case(parts, None, options_of(FIXTURES["digits"], {"data__scale": "none"}))


def few_rows(seed: int, folder: Path) -> Case:
    """D15: a hundred digits, twenty of them to validate on."""
    x, y = digits(seed)
    return Case(x[:100], y[:100], options_of(FIXTURES["digits"], {"data__valid_share": 0.2, "data__test_share": 0.1}))


def heavy_tail(seed: int, folder: Path) -> Case:
    """D19: one target in two hundred is a hundred times too large."""
    import polars as pl

    frame = regression_table(seed)
    y = frame["y"].to_numpy().copy()
    y[np.random.default_rng(1000 + seed).random(len(y)) < 0.005] *= 100
    return Case(frame.with_columns(pl.Series("y", y)), None, options_of(FIXTURES["tab-r"], {}))


def cut_texts(seed: int, folder: Path, *, context: int = 12, vocabulary: int = 12) -> Case:
    """D17: texts cut to fewer tokens than they have, with words that the vocabulary lacks."""
    random = np.random.default_rng(seed)
    words = ["good", "bad", *(f"word{i}" for i in range(40))]
    y = random.integers(0, 2, 600)
    texts = [" ".join([words[kind], *random.choice(words[2:], 29)]) for kind in y]
    options = {"model": "gru", "model__units": 16, "data__form": "texts", "epochs": 3, "batch_size": 32, "lr": 5e-3}
    limits = {"tokens": "word", "context": context, "data__vocabulary": vocabulary}
    return Case(texts, y, {**options, **limits})


def odd_images(seed: int, folder: Path) -> Case:
    """D18: a folder of images in which one is cut off, others are coloured, see-through or turned by their header."""
    from PIL import Image

    x, y = bars(seed, size=120)
    for i, (pixels, kind) in enumerate(zip(x[:, 0], y, strict=True)):
        place = folder / "images" / f"class{kind}"
        place.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels)
        if i % 10 == 0:
            image.convert("RGBA").save(place / f"{i}.png")
        elif i % 10 == 1:
            exif = image.getexif()
            exif[0x0112] = 6  # turn by 90 degrees
            image.save(place / f"{i}.jpg", exif=exif)
        else:
            image.save(place / f"{i}.png")
        if i == 7:
            file = place / f"{i}.png"
            file.write_bytes(file.read_bytes()[:60])
    return Case(str(folder / "images"), None, options_of(FIXTURES["bars"], {"epochs": 3, "skip_bad": True}))


SICK = (
    ("D01-constant-and-missing", "D01", planted("tab-c", constant_and_missing), {}),
    ("D02-column-x10000", "D02", planted("tab-c", one_huge_column, data__scale="none"), {"also": ("S05", "B01")}),
    ("D02-digits-x255", "D02", planted("digits", scaled(255), data__scale="none"), {"also": ("B01", "S02")}),
    ("D03-divided-twice", "D03", planted("digits", scaled(1 / 255), data__scale="none"), {"kin": ("D02",)}),
    ("D04-reshaped", "D04", reshaped_channels, {}),
    ("D05-one-in-a-hundred", "D05", rare_class, {"also": ("G08",)}),
    ("D06-digits-20", "D06", planted("digits", flipped(0.2)), {"also": ("G02", "G10")}),
    ("D06-digits-pairs-20", "D06", planted("digits", flipped(0.2, pairs=True)), {"also": ("G02", "G10")}),
    ("D06-bars-20", "D06", planted("bars", flipped(0.2)), {"also": ("G02", "G10")}),
    ("D06-rings-20", "D06", planted("rings", flipped(0.2)), {"also": ("G02", "G10")}),
    ("D07-digits", "D07", planted("digits", shuffled), {"also": ("D06", "G02", "G10", "G15")}),
    ("D07-table", "D07", planted("tab-c", shuffled_table), {"also": ("D06", "G02", "G10", "G15")}),
    ("D08-copies", "D08", planted("digits", copied_rows), {"also": ("D09", "D06")}),
    ("D09-copies-in-validation", "D09", leaking_rows, {"also": ("D08",)}),
    ("D09-near-copies", "D09", lambda seed, folder: leaking_rows(seed, folder, 1e-3), {"also": ("D08",)}),
    ("D10-column-tells", "D10", planted("tab-c", telling_column), {"also": ("G05",)}),
    ("D10-number-tells", "D10", planted("tab-r", telling_number), {"also": ("G05",)}),
    ("D11-sorted-number", "D11", planted("tab-c", sorted_with_number), {"also": ("D10", "G05")}),
    ("D12-shifted", "D12", shifted_validation, {"kin": ("G03",), "also": ("D13",)}),
    ("D12-brighter", "D12", brighter_validation, {"kin": ("G03",), "also": ("D13",)}),
    ("D13-unscaled-validation", "D13", unscaled_validation, {"kin": ("D12", "G03")}),
    ("D14-turned-digits", "D14", plain("digits-cnn", norm="batch", augment__rotation=180.0, augment__flip=True), {}),
    ("D15-hundred-rows", "D15", few_rows, {"also": ("G02", "G07")}),
    ("D17-cut-texts", "D17", cut_texts, {}),
    ("D18-odd-images", "D18", odd_images, {}),
    ("D19-heavy-tail", "D19", heavy_tail, {"also": ("D16", "S04", "G15")}),
)  # fmt: skip


def sick() -> Iterator[Condition]:
    """One condition for each fault and fixture."""
    for name, code, build, more in SICK:
        held_back = any(word in name for word, fixture in FIXTURES.items() if fixture.held_back)
        yield Condition(name, "sick", code, build, held_back=held_back, **more)
