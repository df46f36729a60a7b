"""Run folders as training leaves them, made of invented figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limpid.record.run import Run
from limpid.spec import DataSpec

CONFIG = {
    "data": {"source": "digits", "target": [], "valid_share": 0.15, "types": {}},
    "augment": {"flip": False, "crop": 2, "rotation": None},
    "model": {"name": "mlp", "hidden": [64, 32], "activation": "relu", "dropout": 0.0},
    "objective": {"loss": "cross_entropy", "label_smoothing": 0.0},
    "optim": {"name": "adamw", "lr": 0.003, "betas": [0.9, 0.999], "schedule": "one_cycle"},
    "training": {"epochs": 12, "batch_size": 64, "seed": 0, "precision": "bf16", "device": "cpu"},
    "record": {"out": None, "report": True},
}
LAYERS = [
    {"name": "scale", "kind": "Standardise", "output_shape": [64], "parameters": 0, "macs": 0},
    {"name": "body.0", "kind": "Linear", "output_shape": [64], "parameters": 4160, "macs": 4096},
    {"name": "body.1", "kind": "ReLU", "output_shape": [64], "parameters": 0, "macs": 0},
    {"name": "body.2", "kind": "Linear", "output_shape": [10], "parameters": 650, "macs": 640},
]


def header(spec: DataSpec, **changes: Any) -> dict[str, Any]:
    machine = {"platform": "Linux x86_64", "cpu": "a CPU", "threads": 2, "device": "cpu", "precision": "bf16"}
    machine |= {"torch": "2.15.0", "python": "3.12.1"}
    basic = {"id": "8f3a", "created": "2026-01-02T03:04:05+00:00", "limpid": "0.1.0", "config": CONFIG}
    basic |= {"given": {"optim": {"lr": 0.003}, "data": {"source": "digits"}}, "data": spec.model_dump(mode="json")}
    basic |= {"fingerprint": "ab" * 32, "seed": 0, "machine": machine}
    basic |= {"summary": {"source": "digits", "rows": 1797, "notes": ["decoded once"]}}
    basic |= {"model": {"name": "mlp", "parameters": 4810, "macs": 4736, "layers": LAYERS}}
    return basic | changes


def add_curves(run: Run, score: str, epochs: int = 12, steps_per_epoch: int = 20) -> None:
    """Losses that fall like exp(-epoch/3), noisy per step, and a score that rises."""
    noise = np.random.default_rng(3)
    for epoch in range(1, epochs + 1):
        for step in range((epoch - 1) * steps_per_epoch + 5, epoch * steps_per_epoch + 1, 5):
            loss = 2.3 * math.exp(-step / steps_per_epoch / 3) + 0.05 + 0.08 * float(noise.random())
            lr = 0.003 * 0.5 * (1 + math.cos(math.pi * step / (epochs * steps_per_epoch)))
            run.add("metric", split="train_step", step=step, loss=loss, lr=lr)
        fallen, step = math.exp(-epoch / 3), epoch * steps_per_epoch
        run.add("metric", split="train", step=step, epoch=epoch, loss=2.3 * fallen + 0.06, lr=lr, seconds=0.4,
                samples_per_second=103456.0)  # fmt: skip
        run.add("metric", split="valid", step=step, epoch=epoch, loss=2.2 * fallen + 0.12 + 0.004 * epoch,
                **{score: 1 - 0.9 * fallen, "other_figure": 0.5})  # fmt: skip


def finish(run: Run, score: str, value: float, low: float, high: float, n: int, **figures: float) -> None:
    run.add("result", split="test", step=200, epoch=10, n=n, loss=0.14, score=score, interval={score: [low, high]},
            **{score: value}, **figures)  # fmt: skip
    run.add("throughput", samples_per_second=103456.0, floor_samples_per_second=290000.0, share_of_floor=0.357,
            seconds_training=4.8, seconds_total=6.31)  # fmt: skip
    run.add("end", status="finished", reason="", step=240, best_step=200, digest="cd" * 32, seconds=6.31)


def image_spec(classes: tuple[str, ...] = tuple("0123456789"), **changes: Any) -> DataSpec:
    facts = {"name": "digits", "kind": "image", "task": "classification", "input_shape": (1, 8, 8)}
    facts |= {
        "num_outputs": len(classes),
        "classes": classes,
        "class_counts": tuple(120 + k for k in range(len(classes))),
    }
    return DataSpec(**(facts | {"num_train": 1257, "num_valid": 270, "num_test": 270} | changes))


def write_classification(folder: Path, *, spec: DataSpec | None = None, n: int = 270, skill: float = 0.93) -> Run:
    """A finished image run: predictions with probabilities, and pictures of the worst rows."""
    spec = spec or image_spec()
    draw, num_classes = np.random.default_rng(1), len(spec.classes)
    run = Run.create(folder, header(spec))
    add_curves(run, "accuracy")
    target = draw.integers(0, num_classes, n)
    logits = draw.normal(size=(n, num_classes))
    logits[np.arange(n), np.where(draw.random(n) < skill, target, draw.integers(0, num_classes, n))] += 6
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    losses = -np.log(probabilities[np.arange(n), target])
    prediction = probabilities.argmax(1)
    index = draw.permutation(2000)[:n]
    np.savez(folder / "predictions.npz", target=target, prediction=prediction, losses=losses, index=index,
             probabilities=probabilities.astype(np.float32))  # fmt: skip
    worst = np.argsort(-losses)[:24]
    side = np.linspace(-1, 1, 28)
    images = [255 * np.exp(-8 * (np.hypot(side[:, None] * (1 + k % 3), side) - 0.6) ** 2) for k in target[worst]]
    np.savez(folder / "samples.npz", images=np.stack(images).astype(np.uint8)[..., None], index=index[worst])
    hits = float((target == prediction).mean())
    finish(run, "accuracy", hits, hits - 0.02, hits + 0.02, n, macro_f1=hits - 0.01)
    run.add("predictions", split="test", file="predictions.npz")
    run.close()
    return Run.open(folder)


def table_spec(**changes: Any) -> DataSpec:
    facts: dict[str, Any] = {
        "name": "mpg",
        "kind": "table",
        "task": "regression",
        "input_shape": (5,),
        "num_outputs": 1,
    }
    facts |= {"target_names": ("mpg",), "feature_names": ("cylinders", "displacement", "weight", "year", "power")}
    facts |= {"target_mean": (23.0,), "target_std": (7.8,), "num_train": 280, "num_valid": 58, "num_test": 60}
    return DataSpec(**(facts | changes))


def write_regression(folder: Path, *, n: int = 60, noise: float = 2.5, seed: int = 2, score: str = "r2") -> Run:
    draw = np.random.default_rng(5)
    target = draw.normal(23, 7.8, (n, 1)).astype(np.float32)
    prediction = target + np.random.default_rng(seed).normal(0, noise, (n, 1)).astype(np.float32)
    columns = [
        {"column": "weight", "type": "number", "missing": 0},
        {"column": "origin", "type": "category", "missing": 3},
    ]
    run = Run.create(
        folder, header(table_spec(), summary={"source": "mpg.csv", "columns": columns, "notes": ["3 imputed"]})
    )
    add_curves(run, score)
    np.savez(folder / "predictions.npz", target=target, prediction=prediction, values=prediction,
             losses=((target - prediction) ** 2)[:, 0], index=np.arange(n))  # fmt: skip
    residual = (target - prediction).astype(np.float64)
    r2 = float(1 - (residual**2).sum() / ((target - target.mean()) ** 2).sum())
    rmse = float(np.sqrt((residual**2).mean()))
    value = {"r2": r2, "rmse": rmse}[score]
    finish(run, score, value, value * 0.95, value * 1.05, n)
    run.add("predictions", split="test", file="predictions.npz")
    run.close()
    return Run.open(folder)


@pytest.fixture
def classification(tmp_path: Path) -> Run:
    return write_classification(tmp_path / "image run")


@pytest.fixture
def regression(tmp_path: Path) -> Run:
    return write_regression(tmp_path / "table run")


@pytest.fixture
def make_classification(tmp_path: Path) -> Callable[..., Run]:
    return lambda name="made", **changes: write_classification(tmp_path / name, **changes)


@pytest.fixture
def make_regression(tmp_path: Path) -> Callable[..., Run]:
    return lambda name="made", **changes: write_regression(tmp_path / name, **changes)


@pytest.fixture
def make_unfinished(tmp_path: Path) -> Callable[..., Run]:
    """A run with curves and, when a status is given, an end, but no result."""

    def make(name: str = "unfinished", *, status: str | None = None, epochs: int = 4, **end: Any) -> Run:
        with Run.create(tmp_path / name, header(image_spec())) as run:
            add_curves(run, "accuracy", epochs=epochs)
            if status:
                run.add("end", **({"status": status, "step": epochs * 20, "best_step": 0, "seconds": 1.5} | end))
        return Run.open(tmp_path / name)

    return make


@pytest.fixture
def make_empty(tmp_path: Path) -> Callable[..., Run]:
    """A run of any spec with only a header; rows and files are the test's own."""

    def make(name: str = "empty", *, spec: DataSpec | None = None, **changes: Any) -> Run:
        return Run.create(tmp_path / name, header(spec or image_spec(), **changes))

    return make


@pytest.fixture
def make_spec() -> Callable[..., DataSpec]:
    return image_spec
