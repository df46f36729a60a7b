"""Faults of the wiring, B01 to B20, in networks of the user's own and in settings. Those of loops: own_loops.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from clinic import faulty_modules as faulty
from clinic import own_loops
from clinic.condition import Build, Case, Condition, options_of, plain, planted, wired
from clinic.fixtures import FIXTURES, grammar, text_file


def classes_as_numbers(seed: int, folder: Path) -> Case:
    """B05: three classes predicted by squared error of 0, 1, 2."""
    x, y = FIXTURES["bars"].rows(seed)
    flat = (x.reshape(len(x), -1) / 255).astype(np.float32)
    options = options_of(FIXTURES["digits"], {"task": "regression", "epochs": 8})
    return Case(flat, y, options)


def peeking_model(seed: int, folder: Path) -> Case:
    """B13: a language model without a causal mask."""
    return language_model(seed, folder, causal=False)


def language_model(seed: int, folder: Path, *, causal: bool) -> Case:
    import limpid

    path = text_file(grammar(seed), folder)
    spec = limpid.load_data(str(path), context=32, data__valid_share=0.1).spec
    options = options_of(FIXTURES["lm"], {"model": None, "epochs": 8})
    own = {key: value for key, value in options.items() if not key.startswith("model")}
    import torch

    torch.manual_seed(seed)
    return Case(str(path), None, {**own, "model": faulty.Peeking(spec.num_outputs, causal=causal)})


def without_input(x: object) -> object:
    return x * 0  # type: ignore[operator]


def softmax(y: object) -> object:
    return y.softmax(dim=-1)  # type: ignore[attr-defined]


def log_softmax(y: object) -> object:
    return y.log_softmax(dim=-1)  # type: ignore[attr-defined]


SICK: tuple[tuple[str, str, Build, dict[str, tuple[str, ...]]], ...] = (
    ("B01-last-layer-x60", "B01", wired("digits", lambda: faulty.wide_head(60)), {"also": ("S02",)}),
    ("B03-softmax-twice", "B03", wired("digits", lambda: faulty.Changed(faulty.digits_net(), last=softmax)), {}),
    ("B03-softmax-twice-bars", "B03",
     wired("bars", lambda: faulty.Changed(faulty.mlp_of_images(), last=softmax)), {}),
    ("B05-classes-as-numbers", "B05", classes_as_numbers, {}),
    ("B07-always-training", "B07",
     wired("digits", lambda: faulty.Stuck(faulty.with_dropout(), training=True)), {}),
    ("B08-slow-statistics", "B08", wired("digits-cnn", lambda: faulty.slow_norm(1e-3), epochs=2), {"also": ("G11",)}),
    ("B09-detached", "B09", wired("digits", faulty.Detached), {"also": ("G01", "O10")}),
    ("B09-frozen-layer", "B09", wired("digits", lambda: faulty.frozen(0, 2)), {}),
    ("B09-unused-layer", "B09", wired("digits", faulty.Unused), {"also": ("B20",)}),
    ("B10-frozen-but-moving", "B10", wired("digits-cnn", faulty.frozen_but_moving), {"also": ("B09",)}),
    ("B12-softmax-over-batch", "B12", wired("digits", faulty.WrongAxis), {"also": ("B07", "B14")}),
    ("B12-view-for-transpose", "B12", wired("digits", faulty.Transposed), {"also": ("B14", "D07", "G15")}),
    ("B13-no-causal-mask", "B13", peeking_model, {"also": ("G05",)}),
    ("B14-input-times-zero", "B14",
     wired("digits", lambda: faulty.Changed(faulty.digits_net(), first=without_input)),
     {"also": ("O04", "G15", "G01", "D07")}),
    ("B16-rate-gone-early", "B16",
     plain("digits", schedule="step", optim__step_updates=10, optim__gamma=0.3), {"also": ("O02", "O05", "G01")}),
    ("B16-horizon-too-short", "B16",
     plain("tab-c", schedule="linear", optim__tau=30, optim__final_lr=0.0), {"also": ("O02", "O05", "G01")}),
    ("B17-clipped-hard", "B17", plain("digits", optimizer="sgd", clip_norm=1e-3), {"also": ("O02", "G01")}),
    ("B19-gradient-doubled", "B19", wired("digits", faulty.doubled_inside), {}),
    ("B20-no-activations", "B20", plain("moons", model__activation="identity"), {"kin": ("G01",)}),
)  # fmt: skip


def sick() -> Iterator[Condition]:
    """One condition for each fault."""
    for name, code, build, more in (*SICK, *own_loops.SICK):
        yield Condition(name, "sick", code, build, **more)


def scrambled(x: object, y: object, seed: int) -> tuple[object, object]:
    return x, y


NEAR: tuple[tuple[str, str, Build], ...] = (
    ("weighted-loss", "B01", plain("digits", class_weights="balanced")),
    ("smoothed-loss", "B01", plain("digits", label_smoothing=0.2)),
    ("he-start", "B01", wired("digits", faulty.he_start)),
    ("log-probabilities", "B03", wired("digits", lambda: faulty.Changed(faulty.digits_net(), last=log_softmax))),
    ("numbers-on-purpose", "B05", planted("diabetes", scrambled)),
    ("dropout-in-use", "B07", wired("digits", lambda: faulty.with_dropout())),
    ("normal-statistics", "B08", plain("digits-cnn", norm="batch")),
    ("layer-norm", "B08", plain("digits", norm="layer")),
    ("frozen-by-request", "B09", plain("digits", freeze="0.*", epochs=20)),
    ("frozen-without-statistics", "B10", wired("digits-cnn", faulty.still_frozen)),
    ("batch-norm-mixes", "B12", wired("digits-cnn", faulty.digits_cnn)),
    ("causal", "B13", lambda seed, folder: language_model(seed, folder, causal=True)),
    ("one-cycle", "B16", plain("digits", schedule="one_cycle")),
    ("clipped-at-times", "B17", plain("seq", clip_norm=3.0)),
    ("relu-kinks", "B19", wired("digits", faulty.digits_net)),
    ("linear-by-request", "B20", plain("digits", model="linear", hidden=None)),
)  # fmt: skip


def near() -> Iterator[Condition]:
    """What looks like one of these faults, and is none."""
    for name, code, build in (*NEAR, *own_loops.NEAR):
        yield Condition(f"near-{code}-{name}", "near", code, build)
