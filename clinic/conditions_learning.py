"""Faults of optimisation and generalisation, O01 to G15."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from clinic import faulty_modules as faulty
from clinic.condition import Build, Case, Condition, options_of, plain, planted, wired
from clinic.conditions_data import brighter_validation, shifted_validation, shuffled, splits, telling_column
from clinic.fixtures import FIXTURES, bars, digits, table


def memorised(
    seed: int, folder: Path, *, rows: int = 120, valid: int = 30, epochs: int = 120, restore: bool = True
) -> Case:
    """G02, G06, G07: a large network on a hundred digits, much too long; without `restore` its last weights count.

    Those of the best epoch are often no surer than they are right: in six of fourteen runs chance explains the rest.
    """
    x, y = digits(seed)
    parts = {"x_train": x[:rows], "y_train": y[:rows]}
    parts |= {"x_valid": x[rows : rows + valid], "y_valid": y[rows : rows + valid]}
    parts |= {"x_test": x[-600:], "y_test": y[-600:]}
    changes = {"hidden": (512, 512), "epochs": epochs, "batch_size": 32, "schedule": "constant", "lr": 1e-3}
    changes |= {"dropout": 0.0, "patience": 0, "training__restore_best": restore}
    return Case(parts, None, options_of(FIXTURES["digits"], changes))


def wide_moons(seed: int, folder: Path) -> Case:
    """G02: a wide network on 90 noisy points of the moons."""
    from clinic.fixtures import moons

    x, y = moons(seed, size=800, noise=0.4)
    parts = {"x_train": x[:90], "y_train": y[:90], "x_valid": x[90:400], "y_valid": y[90:400]}
    parts |= {"x_test": x[400:], "y_test": y[400:]}
    changes = {"hidden": (256, 256), "epochs": 150, "schedule": "constant", "dropout": 0.0, "patience": 0}
    return Case(parts, None, options_of(FIXTURES["moons"], changes))


def easy_validation(seed: int, folder: Path) -> Case:
    """G04: validation rows are sixty of those that a linear model finds easiest; training labels are a little noisy."""
    from sklearn.linear_model import LogisticRegression

    x, y = digits(seed)
    parts = splits(x, y)
    margin = (
        LogisticRegression(max_iter=200).fit(parts["x_train"], parts["y_train"]).decision_function(parts["x_valid"])
    )
    right = margin[np.arange(len(margin)), parts["y_valid"]]
    easy = np.argsort(-right)[:60]
    parts["x_valid"], parts["y_valid"] = parts["x_valid"][easy], parts["y_valid"][easy]
    return Case(parts, None, options_of(FIXTURES["digits"], {"epochs": 4}))


def failing_category(seed: int, folder: Path) -> Case:
    """G08: in one town the labels are tossed."""
    import polars as pl

    frame = table(seed)
    random = np.random.default_rng(1000 + seed)
    tossed = random.choice(["yes", "no"], len(frame))
    labels = np.where((frame["town"] == "Bern").to_numpy(), tossed, frame["y"].to_numpy())
    return Case(frame.with_columns(pl.Series("y", labels)), None, options_of(FIXTURES["tab-c"], {}))


def faint_class(seed: int, folder: Path) -> Case:
    """G08: images of the first class show nothing, and so do three fifths of the second: its bars are too faint."""
    x, y = bars(seed)
    random = np.random.default_rng(1000 + seed)
    nothing = (y == 0) | ((y == 1) & (random.random(len(y)) < 0.6))
    empty = np.round(255 * (0.2 + 0.15 * random.standard_normal(x.shape)).clip(0, 1)).astype(np.uint8)
    return Case(np.where(nothing[:, None, None, None], empty, x), y, options_of(FIXTURES["bars"], {}))


def leaping(seed: int, folder: Path) -> Case:
    """O05: a noisy number, and a rate that never falls: 0.6 of its variance is told, and 0.68 with a fifth of the rate.

    The digits at a rate of 0.3 either learn well all the same or are thrown out, which is O01.
    """
    random = np.random.default_rng(seed)
    x = random.standard_normal((3000, 10)).astype(np.float32)
    y = (np.sin(2 * x[:, 0]) + x[:, 1] - x[:, 2] + random.standard_normal(3000)).astype(np.float32)
    options = {"model": "mlp", "hidden": (16,), "task": "regression", "batch_size": 16, "epochs": 15, "dropout": 0.0}
    return Case(x, y, {**options, **SGD, "lr": 0.05, "optim__momentum": 0.9})


def tell_tale_corner(seed: int, folder: Path) -> Case:
    """G13: a pixel in the corner shows the class."""
    x, y = bars(seed, noise=0.45)
    x = x.copy()
    x[:, 0, :2, :2] = (60 * y + 60)[:, None, None]
    return Case(x, y, options_of(FIXTURES["bars"], {}))


def tree_like(seed: int, folder: Path) -> Case:
    """G15: a target of steps and interactions that trees find at once, and few rows."""
    import polars as pl

    random = np.random.default_rng(seed)
    x = random.standard_normal((1200, 20))
    y = ((x[:, 0] > 0) ^ (x[:, 1] > 0.3)) & (x[:, 2] > -1) | (x[:, 3] > 1.5)
    frame = pl.DataFrame({**{f"x{i}": x[:, i] for i in range(20)}, "y": np.where(y, "yes", "no")})
    return Case(frame[:450], None, options_of(FIXTURES["tab-c"], {"epochs": 10, "data__valid_share": 0.3}))


def forgetting(seed: int, folder: Path) -> Case:
    """O12: a network that was trained on bars goes on with few images at a large rate."""
    import limpid
    from clinic.ward import EVERYWHERE

    x, y = bars(seed)
    options = options_of(FIXTURES["bars"], {"norm": "none", "epochs": 6})
    place = folder / f"first{len(list(folder.iterdir()))}"
    limpid.train(x, y=y, out=place, seed=seed, **{**EVERYWHERE, **options})
    few_x, few_y = bars(seed + 500, size=200)
    changes = {"start": str(place), "optimizer": "sgd", "lr": 0.5, "schedule": "constant"}
    return Case(few_x, few_y, options_of(FIXTURES["bars"], {**changes, "epochs": 8}))


SGD: dict[str, Any] = {"optimizer": "sgd", "schedule": "constant"}
SICK: tuple[tuple[str, str, Build, dict[str, tuple[str, ...]]], ...] = (
    ("O01-sgd-1", "O01", plain("digits", **SGD, lr=1.0), {"kin": ("S05",), "also": ("O03", "S08")}),
    ("O01-adamw-0.1", "O01", plain("digits", schedule="constant", lr=0.1), {"kin": ("S05",), "also": ("O03", "S08")}),
    ("O01-tab-r", "O01", plain("tab-r", schedule="constant", lr=0.3), {"also": ("O03", "S08", "S05", "G15")}),
    ("O01-rings", "O01", plain("rings", **SGD, lr=3.0), {"kin": ("S05",), "also": ("O03", "S08", "G15")}),
    ("O02-sgd-1e-5", "O02", plain("digits", **SGD, lr=1e-5), {"also": ("O04", "G01", "G15", "G06")}),
    ("O02-adamw-1e-6", "O02", plain("tab-c", schedule="constant", lr=1e-6), {"also": ("O04", "G01", "G15", "G06")}),
    ("O02-rings", "O02", plain("rings", **SGD, lr=1e-4), {"also": ("O04", "G01", "G15", "G06")}),
    ("O03-rising-rate", "O03", plain("digits", optimizer="sgd", lr=4.0, schedule="one_cycle", optim__warmup=0.6),
     {"kin": ("O01", "S05"), "also": ("S08", "S04", "N01")}),
    ("O04-zeros", "O04", plain("digits", model__init="zeros"), {"kin": ("S01",), "also": ("G01", "G15", "S07")}),
    ("O05-constant-rate", "O05", leaping, {"kin": ("O01",)}),
    ("O06-batch-of-two", "O06", plain("digits-cnn", norm="batch", batch_size=2, epochs=1, schedule="constant"),
     {"kin": ("B08", "O01")}),
    ("O07-full-batch", "O07", plain("digits", batch_size=1300, epochs=20, schedule="constant"),
     {"kin": ("O02", "G06"), "also": ("G01",)}),
    ("O08-momentum", "O08", plain("digits", **SGD, optim__momentum=0.999), {"kin": ("O01",), "also": ("O03", "S05")}),
    ("O09-post-norm", "O09",
     wired("seq", lambda: faulty.Attention(norm_first=False, layers=4), schedule="constant", lr=3e-2, epochs=5),
     {"kin": ("O01",), "also": ("O04", "G15", "S09", "G01", "S07")}),
    ("O12-forgetting", "O12", forgetting, {"kin": ("O01",), "also": ("O03", "S05")}),
    ("G01-linear-moons", "G01", plain("moons", model="linear", hidden=None, lr=0.03, noise=None), {"kin": ("B20",)}),
    ("G01-two-units", "G01", plain("digits", hidden=(2,)), {"also": ("G15",)}),
    ("G02-memorised", "G02", memorised, {"also": ("G07", "D15", "G10")}),
    ("G02-wide-moons", "G02", wide_moons, {"also": ("G07", "D15", "G10", "D06", "G15")}),
    ("G03-shifted", "G03", shifted_validation, {"kin": ("D12",), "also": ("D13",)}),
    ("G03-brighter", "G03", brighter_validation, {"kin": ("D12",), "also": ("D13",)}),
    ("G04-easy-validation", "G04", easy_validation, {"kin": ("D12", "D15"), "also": ("G06",)}),
    ("G05-column-tells", "G05", planted("tab-c", telling_column), {"kin": ("D10",)}),
    ("G06-three-epochs", "G06", plain("digits", epochs=3, lr=3e-4, schedule="constant"),
     {"kin": ("O02",), "also": ("G01",)}),
    ("G06-much-too-long", "G06", lambda seed, folder: memorised(seed, folder, valid=200, epochs=250),
     {"kin": ("G02",), "also": ("G07",)}),
    ("G07-confident", "G07", lambda seed, folder: memorised(seed, folder, rows=80, valid=600, restore=False),
     {"kin": ("G02", "G06"), "also": ("G08",)}),
    ("G08-one-town", "G08", failing_category, {"kin": ("D06",)}),
    ("G08-one-class", "G08", faint_class, {"also": ("D06",)}),
    ("G09-decay", "G09", plain("digits", weight_decay=10.0, lr=1e-2),
     {"kin": ("S08", "S07"), "also": ("G01", "O04", "G15")}),
    ("G09-dropout", "G09", plain("digits", dropout=0.9), {"also": ("G01",)}),
    ("G09-smoothing", "G09", plain("digits", label_smoothing=0.7), {"also": ("G01", "G07")}),
    ("G09-l1", "G09", plain("digits", regularize__l1=0.05), {"kin": ("S08",), "also": ("G01", "O04", "S08", "G15")}),
    ("G10-memorising", "G10", planted("digits", shuffled, hidden=(256, 256), epochs=40),
     {"kin": ("D07", "D06", "G02")}),
    ("G11-dropout-before-norm", "G11", wired("digits-cnn", faulty.dropout_before_norm, epochs=4), {"kin": ("B08",)}),
    ("G13-corner", "G13", tell_tale_corner, {"kin": ("G05",)}),
    ("G15-trees-win", "G15", tree_like, {"also": ("G02", "G01")}),
)  # fmt: skip


def sick() -> Iterator[Condition]:
    """One condition for each fault and fixture."""
    for name, code, build, more in SICK:
        held_back = any(word in name for word, fixture in FIXTURES.items() if fixture.held_back)
        yield Condition(name, "sick", code, build, held_back=held_back, **more)


def noisy_floor(seed: int, folder: Path) -> Case:
    """Near G01: moons that overlap, learned as well as they can be."""
    from clinic.fixtures import moons

    x, y = moons(seed, size=1500, noise=0.45)
    return Case(x, y, options_of(FIXTURES["moons"], {"epochs": 15}))


def large_margin(seed: int, folder: Path) -> Case:
    """Near D15, G02: two classes far apart."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, 400)
    x = (random.standard_normal((400, 10)) + 4 * y[:, None]).astype(np.float32)
    return Case(x, y, options_of(FIXTURES["moons"], {"epochs": 10}))


NEAR: tuple[tuple[str, str, Build], ...] = (
    ("full-batch", "O01", plain("moons", batch_size=720, epochs=300, optimizer="sgd", lr=0.5, schedule="constant")),
    ("one-cycle-peak", "O01", plain("digits", optimizer="sgd", schedule="one_cycle", lr=0.2)),
    ("end-of-cosine", "O02", plain("digits", schedule="cosine")),
    ("restarts", "O03", plain("digits", schedule="cosine_restarts")),
    ("mixup", "O03", plain("bars", augment__mixup=0.4, epochs=12)),
    ("warm-up", "O04", plain("digits", schedule="constant", optim__warmup=0.3)),
    ("label-noise-floor", "O05", noisy_floor),
    ("batch-of-16", "O06", plain("digits", batch_size=16, lr=1e-3, epochs=8)),
    ("full-batch", "O07", plain("moons", batch_size=720, epochs=400, lr=1e-2)),
    ("nesterov", "O08", plain("digits", optimizer="sgd", optim__nesterov=True)),
    ("pre-norm", "O09", wired("seq", lambda: faulty.Attention(), schedule="one_cycle", lr=2e-3, epochs=6)),
    ("own-rates", "O10", plain("digits", optim__layer_decay=0.7)),
    ("noise-floor", "G01", noisy_floor),
    ("dropout", "G01", plain("digits", dropout=0.5, hidden=(128, 128))),
    ("augmented", "G01", plain("bars", augment__noise=0.1, augment__crop=1, epochs=12)),
    ("benign-gap", "G02", plain("digits", epochs=6)),
    ("large-margin", "G02", large_margin),
    ("dropout", "G04", plain("digits", dropout=0.4, hidden=(128, 128))),
    ("truly-easy", "G05", plain("bars", norm="batch")),
    ("small-validation", "G07", plain("digits", data__valid_share=0.1)),
    ("random-slices", "G08", plain("tab-c")),
    ("some-decay", "G09", plain("digits", weight_decay=0.05)),
    ("centred", "G13", plain("bars")),
    ("linear-is-best", "G15", plain("cancer")),
)


def near() -> Iterator[Condition]:
    """What looks like one of these faults, and is none."""
    for name, code, build in NEAR:
        held_back = name == "linear-is-best"
        yield Condition(f"near-{code}-{name}", "near", code, build, held_back=held_back)
