"""Runs in which nothing is wrong: the grid of fixtures and settings, and variants that merely look odd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from clinic import own_loops
from clinic.condition import Case, Condition, options_of, plain, planted
from clinic.fixtures import FIXTURES, table

SCHEDULES = ("constant", "cosine", "one_cycle")


def grid() -> Iterator[Condition]:
    """Every fixture with every optimiser, normalisation and schedule that it can have."""
    for fixture in FIXTURES.values():
        for optimizer in fixture.rates:
            for norm in fixture.norms:
                for schedule in SCHEDULES:
                    name = f"healthy-{fixture.name}-{optimizer}-{norm}-{schedule}"
                    build = plain(fixture.name, optimizer=optimizer, norm=norm, schedule=schedule)
                    yield Condition(name, "healthy", "", build, held_back=fixture.held_back)


def imbalanced(seed: int, folder: Path, **changes: Any) -> Case:
    """tab-c with five of one class to one of the other."""
    return Case(table(seed, weights=(5 / 6,)), None, options_of(FIXTURES["tab-c"], changes))


def two_targets(seed: int, folder: Path) -> Case:
    """Two numbers to predict from 12 columns."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((1200, 12)).astype(np.float32)
    y = np.stack([x[:, :4].sum(axis=1), x[:, 4] * 2 - x[:, 5]], axis=1) + 0.1 * random.standard_normal((1200, 2))
    options = {"model": "mlp", "hidden": (64, 64), "epochs": 20, "batch_size": 64, "lr": 3e-3, "optimizer": "adamw"}
    return Case(x, y.astype(np.float32), {**options, "task": "regression", "dropout": 0.0})


def frozen_by_request(seed: int, folder: Path) -> Case:
    """digits, with the first layer kept at its random start because the user said so."""
    x, y = FIXTURES["digits"].rows(seed)
    return Case(x, y, options_of(FIXTURES["digits"], {"freeze": "0.*", "epochs": 20}))


def weak_signal(seed: int, folder: Path) -> Case:
    """A class that the inputs tell a little: an area under the curve of about 0.65, on many rows."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((4000, 10)).astype(np.float32)
    y = (0.55 * x[:, 0] + random.standard_normal(4000) > 0).astype(np.int64)
    options = {"model": "mlp", "hidden": (16,), "epochs": 5, "batch_size": 64, "lr": 3e-3, "optimizer": "adamw"}
    return Case(x, y, {**options, "dropout": 0.2})


def halves(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """Only the first two classes."""
    keep = y < 2
    return x[keep], y[keep]


VARIANTS = {
    "weighted-loss": lambda seed, folder: imbalanced(seed, folder, class_weights="balanced"),
    "imbalance-1-to-5": imbalanced,
    "label-smoothing": plain("digits", label_smoothing=0.1),
    "dropout": plain("digits", dropout=0.3),
    "mixup": plain("bars", augment__mixup=0.2, epochs=12),
    "cutmix": plain("bars", norm="batch", augment__cutmix=0.3, epochs=12),
    "shifts": plain("digits-cnn", norm="batch", augment__crop=1, epochs=12),
    "pixel-noise": plain("bars", augment__noise=0.05, epochs=10),
    "frozen-by-request": frozen_by_request,
    "accumulation": plain("digits", batch_size=16, accumulate=4),
    "two-targets": two_targets,
    "weak-signal": weak_signal,
    "two-classes": planted("digits", halves, epochs=10),
    "small-batch": plain("digits", batch_size=16, lr=1e-3, epochs=8),
    "full-batch": plain("moons", batch_size=720, epochs=300, optimizer="sgd", lr=0.5),
    "averaged-weights": plain("digits", ema=0.98),
    "early-stopping": plain("digits", epochs=40, patience=5),
    "clipped-rarely": plain("seq", clip_norm=5.0),
    "tanh": plain("digits", model__activation="tanh", model__init="xavier_uniform"),
    "sigmoid": plain("moons", model__activation="sigmoid", model__init="xavier_uniform", epochs=80, lr=5e-2),
    "gelu": plain("tab-c", model__activation="gelu"),
    "decay": plain("digits", weight_decay=0.05),
    "huber": plain("tab-r", loss="huber"),
    "restarts": plain("digits", schedule="cosine_restarts"),
    "warm-up": plain("tab-c", schedule="constant", optim__warmup=0.1),
    "sharpness-aware": plain("digits", optim__sam_rho=0.05, optimizer="sgd"),
    "wide": plain("tab-c", hidden=(256,), dropout=0.3, epochs=8),
    "deep": plain("digits", hidden=(64,) * 5, norm="layer"),
    "gru": plain("seq", model="gru"),
    "own-scale": plain("moons", data__scale="none"),
}


def healthy() -> Iterator[Condition]:
    """The grid, the variants, and loops of the user's own."""
    yield from grid()
    for name, build in VARIANTS.items():
        yield Condition(f"healthy-variant-{name}", "healthy", "", build)
    for name, build in own_loops.HEALTHY.items():
        yield Condition(f"healthy-loop-{name}", "healthy", "", build)
