"""Tiny generated data of every kind and task, and one short run on them: what tests of the whole catalogue train on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from limpid.record.run import Run
from limpid.workbench import train

SMALL = {"units": 12, "width": 16, "heads": 2, "layers": 1, "channels": 8}  # where an architecture has the option
SENTENCES = ("a red circle", "two blue squares", "one green line", "no shape at all")


@dataclass(frozen=True)
class Small:
    """Data for `limpid.train`, the options that they need, and two raw samples (or what is written for)."""

    source: Any
    samples: Any
    y: Any = None
    options: dict[str, Any] = field(default_factory=dict)


def targets(task: str, size: int, random: np.random.Generator) -> Any:
    """Labels that no input explains: a part that learns from mistakes makes some."""
    if task == "classification":
        return np.array(["ape", "bee", "cat"])[random.permutation(np.arange(size) % 3)]
    if task == "binary":
        return np.array(["no", "yes"])[random.permutation(np.arange(size) % 2)]
    if task == "multilabel":
        return random.permutation(np.array([[1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0]] * math.ceil(size / 4))[:size])
    return random.standard_normal((size, 4)).astype(np.float32)


def make_small(kind: str, task: str, *, side: int = 12, channels: int = 3, size: int = 40) -> Small:
    """So many samples of a kind, for a task. Images are square."""
    random = np.random.default_rng(0)
    options = {"data__task": "auto" if task == "tokens" else task}
    y = targets(task, size, random)
    if kind in ("pairs", "captions"):
        source = "reversed" if kind == "pairs" else "scenes"
        samples = ["abc", "fedcb"] if kind == "pairs" else None
        return Small(source, samples, options={"data__size": size})
    if kind == "image":
        x = random.integers(0, 256, (size, channels, side, side), dtype=np.uint8)
        classes = (x.mean(axis=1) > 128).astype(np.int64)  # of every pixel
        return Small(x, x[:2], classes if task == "tokens" else y, options)
    if kind in ("vector", "array"):
        x = random.standard_normal((size, 6) if kind == "vector" else (size, 6, 2, 2)).astype(np.float32)
        return Small(x, x[:2], y, options)
    if kind == "table":
        names = [f"y{i}" for i in range(y.shape[1])] if y.ndim == 2 else ["y"]
        inputs = {"size": random.standard_normal(size), "colour": random.choice(["red", "blue", "green"], size)}
        outputs = {name: y[:, i] if y.ndim == 2 else y for i, name in enumerate(names)}
        frame = pl.DataFrame({**inputs, **outputs})
        return Small(frame, frame.select(*inputs)[:2], options={**options, "target": tuple(names)})
    if kind == "series" and task == "tokens":
        return Small("notes", "", options={"data__size": size})
    if kind == "series":
        steps = [random.standard_normal((4 + i % 5, 2)).astype(np.float32) for i in range(size)]
        return Small(steps, steps[:2], y, {**options, "data__form": "sequences"})
    assert kind == "text", f"no data of kind {kind!r} here: add some"
    if task == "tokens":
        return Small("notes", "", options={"data__size": size})
    texts = [f"{SENTENCES[i % 4]} and {SENTENCES[(i + i // 4) % 4]}" for i in range(size)]
    return Small(texts, texts[:2], y, {**options, "data__form": "texts"})


def train_small(small: Small, out: Path, *, steps: int = 1, **options: Any) -> Run:
    """A run of so many updates, without a report."""
    given: dict[str, Any] = {
        "training__steps": steps, "batch_size": 8, "record__report": False, "device": "cpu", "out": str(out),
        **small.options, **options,
    }  # fmt: skip
    return train(small.source, y=small.y, **given)


def assert_finite(run: Run) -> None:
    """The run ended by itself, and every figure that it wrote is a number."""
    assert run.events("end")[-1]["status"] == "finished"
    rows = run.events("metric") + run.events("result")
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses
    assert all(math.isfinite(loss) for loss in losses), losses


def finite(weights: dict[str, Tensor]) -> bool:
    """Whether no weight is NaN or infinite."""
    return all(bool(torch.isfinite(value).all()) for value in weights.values() if value.is_floating_point())
