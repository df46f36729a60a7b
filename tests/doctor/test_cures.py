"""The bar of treatments: sick runs that are treated unasked end within the interval of the healthy run's score.

Each sick run is a healthy one with one thing changed. It is diagnosed and treated as `limpid diagnose RUN --treat` does
it; nobody tells which finding to treat, or how.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid as package
from limpid.errors import NonFiniteLoss
from limpid.practice.therapist import Therapist
from limpid.record.run import Run
from limpid.workbench import treat

Data = Callable[[], Any]
ADAMW: dict[str, Any] = {"model": "mlp", "hidden": [32], "model__dropout": 0.0, "epochs": 12, "batch_size": 32}
ADAMW |= {"optimizer": "adamw", "lr": 3e-3}
SGD: dict[str, Any] = {**ADAMW, "optimizer": "sgd", "lr": 0.05}
QUIET: dict[str, Any] = {"record__report": False, "training__threads": 1}


def digits(rows: int | None = None) -> Any:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(x))[:rows]
    return x[chosen].astype(np.float32), y[chosen]


def table(rows: int = 1500, **options: Any) -> Any:
    """Two classes, 20 numbers, from make_classification."""
    from sklearn.datasets import make_classification

    x, y = make_classification(
        rows, 20, n_informative=8, n_redundant=2, **{"flip_y": 0.02, "random_state": 0, **options}
    )
    return x.astype(np.float32), y


def unscaled() -> Any:
    x, y = table()
    return x * np.logspace(-3, 4, x.shape[1], dtype=np.float32), y


def far_target() -> Any:
    from sklearn.datasets import make_regression

    x, y = make_regression(1000, 10, n_informative=6, noise=10, random_state=0)
    return x.astype(np.float32), (1000 + 50 * (y - y.mean()) / y.std()).astype(np.float32)


def leaking() -> Any:
    """A column that was filled in when the answer was known."""
    import polars as pl

    x, y = table()
    columns = {f"x{i}": x[:, i] for i in range(x.shape[1])}
    return pl.DataFrame({**columns, "outcome": np.where(y == 1, "yes", "no"), "y": y})


@dataclass(frozen=True)
class Case:
    data: Data
    healthy: Mapping[str, Any]
    sick: Mapping[str, Any]


CASES = {
    "rate x100": Case(digits, SGD, {"lr": 5.0}),
    "rate / 1000": Case(digits, ADAMW, {"lr": 3e-6}),
    "dead units": Case(digits, {**ADAMW, "hidden": [32, 32]}, {"model__bias_init": "constant(-10)"}),
    "first weights too large": Case(digits, {**ADAMW, "hidden": [32] * 3}, {"model__init": "normal(0, 3)"}),
    "first weights too small": Case(digits, {**ADAMW, "hidden": [32] * 4}, {"model__init": "normal(0, 0.001)"}),
    "first weights zero": Case(digits, {**ADAMW, "hidden": [32, 32]}, {"model__init": "zeros"}),
    "decay": Case(digits, ADAMW, {"weight_decay": 30.0}),
    "l1": Case(digits, ADAMW, {"regularize__l1": 0.1}),
    "dropout": Case(digits, ADAMW, {"model__dropout": 0.9}),
    "inputs unscaled": Case(unscaled, SGD, {"data__scale": "none"}),
    "target unscaled": Case(far_target, ADAMW, {"objective__standardise": False}),
    "leak": Case(leaking, {**ADAMW, "target": "y", "data__drop": ["outcome"]}, {"data__drop": []}),
    "imbalance": Case(
        lambda: table(3000, weights=[0.98], flip_y=0.0), {**ADAMW, "class_weights": "balanced"}, {"class_weights": None}
    ),
    "momentum": Case(digits, SGD, {"optim__momentum": 0.999}),
    "batch too large": Case(digits, SGD, {"batch_size": 1257}),
    "too few epochs": Case(digits, SGD, {"epochs": 1}),
    "deep sigmoid": Case(digits, {**ADAMW, "hidden": [32] * 6}, {"model__activation": "sigmoid"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_sick_run_is_cured(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    data = case.data()
    reference = package.train(data, out=tmp_path / "healthy", record__doctor=False, **{**case.healthy, **QUIET})
    with contextlib.suppress(NonFiniteLoss):  # that is what it is sick with
        package.train(data, out=tmp_path / "sick", **{**case.healthy, **case.sick, **QUIET})
    therapy = treat(Run.open(tmp_path / "sick"), source=data, budget="10m", out=tmp_path / "cured")
    healthy = Therapist(reference, source=data)
    judged = healthy.judge(healthy.run, healthy.config, therapy.figure)
    assert judged is not None
    assert therapy.before is not None
    low, high = judged.interval
    sick, cured = therapy.before.score, therapy.before.score if therapy.after is None else therapy.after.score
    if therapy.figure == "balanced_error":
        half = 1.96 * float(judged.losses_N.std(ddof=1)) / len(judged.losses_N) ** 0.5
        low, high, sick = 1 - judged.loss - half, 1 - judged.loss + half, 1 - therapy.before.loss
        cured = 1 - (therapy.before if therapy.after is None else therapy.after).loss
    story = [(trial.treatment, trial.finding, dict(trial.patch), trial.accepted) for trial in therapy.trials]
    print(f"{name}: {sick:.3f} -> {cured:.3f}, healthy {low:.3f} to {high:.3f}; {story}")
    assert not low <= sick <= high, "the sick run is not sick"
    assert low <= cured, story
    if name == "leak":
        assert cured <= high, story


@pytest.mark.slow
def test_at_the_terminal(limpid: Callable[..., Any], tmp_path: Path) -> None:
    options = ("--lr", "1e-6", "--epochs", "10", "--out", tmp_path / "sick")
    assert limpid("train", "moons", "--quiet", *options, "--set", "training.threads=1").code == 0
    done = limpid("diagnose", tmp_path / "sick", "--treat", "--budget", "3m", "--out", tmp_path / "cured")
    assert done.code == 0, done.err
    assert "O02 rate-too-low" in done.out
    assert "accepted   raise-rate for O02: optim.lr = " in done.out
    assert "Treated: validation accuracy " in done.out
    assert f"Run folder: {tmp_path / 'cured'}" in done.out
    again = limpid("diagnose", tmp_path / "cured")
    assert "O02" not in again.out.partition("checks found nothing")[0]
    assert limpid("diagnose", tmp_path / "sick", "--treat", "--fail-on", "warning").code == 2
    told = limpid("diagnose", tmp_path / "sick", "--treat", "--budget", "3 weeks")
    assert told.code == 2
    assert "expected a time such as 90s" in told.err
