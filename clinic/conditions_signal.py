"""Faults of numbers, first weights and signal, N01 to S09."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from clinic import faulty_modules as faulty
from clinic.condition import Build, Case, Condition, options_of, plain, planted, wired
from clinic.fixtures import FIXTURES, digits, sums

DEEP = (64,) * 20


def long_sums(model: Any, **changes: Any) -> Build:
    """seq with fifty steps, and a network of the user's own."""

    def build(seed: int, folder: Path) -> Case:
        case = wired("seq", model, **changes)(seed, folder)
        x, y = sums(seed, steps=50, first=10)
        return Case(x, y, case.options)

    return build


def large_eps(seed: int, folder: Path) -> Case:
    """N03: an eps beside which no second moment counts."""
    from limpid.config_reader import config_from_dict

    x, y = digits(seed)
    config = config_from_dict({"optim": {"name": "adamw", "eps": 0.1}})
    return Case(x, y, {**options_of(FIXTURES["digits"], {}), "config": config})


def infinite_row(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """N01: one value of the inputs is infinite."""
    x = x.copy()
    x[7, 3] = np.inf
    return x, y


def loud(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """S06: inputs twenty times too large."""
    return 20 * (x - x.mean(axis=0)) / (x.std() + 1e-6), y


def dead_border(seed: int, folder: Path) -> Case:
    """Near S05: digits in a frame of pixels that never change."""
    x, y = digits(seed)
    images = np.zeros((len(x), 1, 12, 12), dtype=np.uint8)
    images[:, 0, 2:10, 2:10] = np.round(255 * x).astype(np.uint8).reshape(-1, 8, 8)
    options = options_of(FIXTURES["digits-cnn"], {"model": "conv8-relu conv16-relu pool fc"})
    return Case(images, y, options)


SICK: tuple[tuple[str, str, Build, dict[str, tuple[str, ...]]], ...] = (
    ("N01-rate-50", "N01", plain("digits", optimizer="sgd", lr=50.0, schedule="constant"),
     {"kin": ("O01", "O03"), "also": ("S05", "S04")}),
    ("N01-log-of-zero", "N01", wired("digits", faulty.LogOfZero), {}),
    ("N01-root-of-zero", "N01", wired("digits", faulty.RootOfZero, data__scale="none"), {}),
    ("N01-infinite-row", "N01", planted("digits", infinite_row, data__scale="none"), {"kin": ("D01",)}),
    ("N03-large-eps", "N03", large_eps, {"also": ("O02",)}),
    ("S01-constant", "S01", plain("digits", model__init="constant(0.1)", model__bias_init="zeros"),
     {"also": ("O04", "S07", "G01", "G15")}),
    ("S01-zeros", "S01", plain("digits", model__init="zeros"), {"also": ("O04", "S07", "B09", "G01", "G15", "S03")}),
    ("S02-deep-small", "S02", plain("digits", hidden=DEEP, model__init="normal(0, 0.01)"),
     {"also": ("S03", "O04", "S07", "G01", "G15", "B14")}),
    ("S02-deep-large", "S02", plain("digits", hidden=DEEP, model__init="normal(0, 1)"),
     {"also": ("B01", "S04", "O01", "O03", "N01", "G01", "G15")}),
    ("S03-deep-sigmoid", "S03", plain("digits", hidden=DEEP, model__activation="sigmoid"),
     {"kin": ("S07", "S02"), "also": ("O04", "G01", "G15", "B14")}),
    ("S03-recurrent", "S03", long_sums(lambda: faulty.Recurrent(0.5)), {"also": ("O04", "G01", "G15", "B14")}),
    ("S04-recurrent-x2", "S04",
     long_sums(lambda: faulty.Recurrent(2.0), optimizer="sgd", lr=0.3, clip_norm=1e9, schedule="constant"),
     {"kin": ("S02",), "also": ("O01", "O03", "S06", "N01", "G15")}),
    ("S04-deep", "S04",
     plain("digits", hidden=DEEP, model__init="normal(0, 0.3)", optimizer="sgd", lr=1e-2, schedule="constant"),
     {"kin": ("S02",), "also": ("B01", "O01", "O03", "N01", "G15")}),
    ("S05-rate-1", "S05", plain("digits", optimizer="sgd", lr=1.0, schedule="constant"), {"kin": ("O01",)}),
    ("S05-bias-minus-10", "S05", plain("digits", model__bias_init="constant(-10)"),
     {"also": ("O04", "S07", "G01", "G15", "B14", "B09", "S03")}),
    ("S06-loud-tanh", "S06",
     planted("digits", loud, model__activation="tanh", model__init="normal(0, 1)", data__scale="none"),
     {"kin": ("D02", "S02"), "also": ("B01",)}),
    ("S07-deep-tanh", "S07",
     plain("digits", hidden=(64,) * 50, model__activation="tanh", model__init="normal(0, 0.12)", epochs=8),
     {"kin": ("S02", "S03"), "also": ("O04", "G01", "G15", "B14")}),
    ("S07-huge-decay", "S07", plain("digits", weight_decay=40.0, lr=1e-2),
     {"kin": ("G09", "S08"), "also": ("G01", "G15", "O04")}),
    ("S08-blow-up", "S08", plain("digits", optimizer="adamw", lr=0.3, schedule="constant", weight_decay=0.0),
     {"kin": ("O01",), "also": ("S05", "O03")}),
    ("S08-wipe-out", "S08", plain("digits", weight_decay=20.0, lr=1e-2, schedule="constant"),
     {"kin": ("G09",), "also": ("S07", "O04", "G01", "G15")}),
    ("S09-sharp-attention", "S09", wired("seq", lambda: faulty.Attention(gain=10.0), epochs=5, lr=1e-3),
     {"also": ("S06", "G15", "O04", "G01")}),
)  # fmt: skip


def sick() -> Iterator[Condition]:
    """One condition for each fault."""
    for name, code, build, more in SICK:
        yield Condition(name, "sick", code, build, **more)


NEAR: tuple[tuple[str, str, Build], ...] = (
    ("attention-masks", "N01", plain("lm")),
    ("zero-last-layer", "S01", wired("digits", lambda: faulty.wide_head(0.0))),
    ("layer-norm", "S02", plain("digits", hidden=(64,) * 6, norm="layer", lr=1e-3, epochs=25)),
    ("tanh-glorot", "S02", plain("digits", hidden=(64,) * 4, model__activation="tanh", model__init="xavier_uniform")),
    ("small-last-layer", "S02", wired("digits", lambda: faulty.wide_head(0.1))),
    ("converged", "S03", plain("digits", epochs=40)),
    ("frozen-front", "S03", plain("digits", freeze="0.*", epochs=20)),
    ("decayed-rate", "S03", plain("tab-c", schedule="cosine", epochs=25)),
    ("large-steady-gradients", "S04", plain("digits", loss="cross_entropy", model__init="normal(0, 0.2)")),
    ("sparse-but-alive", "S05", plain("digits", hidden=(128, 128))),
    ("over-sized", "S05", plain("tab-c", hidden=(512,), epochs=6)),
    ("dead-border", "S05", dead_border),
    ("confident-output", "S06", plain("moons", model__activation="tanh", model__init="xavier_uniform", noise=None)),
    ("late-gates", "S06", plain("seq", epochs=16)),
    ("neural-collapse", "S07", plain("bars", norm="batch", epochs=16)),
    ("scale-free", "S08", plain("digits", norm="batch", weight_decay=0.0)),
    ("copying-heads", "S09", plain("lm", epochs=14)),
)


def near() -> Iterator[Condition]:
    """What looks like one of these faults, and is none."""
    for name, code, build in NEAR:
        yield Condition(f"near-{code}-{name}", "near", code, build)
