"""Healthy runs are left alone: changes that do next to nothing are accepted no more often than the error level says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.doctor.finding import Finding
from limpid.doctor.gain import LEVEL
from limpid.doctor.treatment import Treatment
from limpid.practice.therapist import Therapist
from limpid.practice.yardstick import figure_for

QUIET: dict[str, Any] = {"record__report": False, "record__doctor": False, "training__threads": 1}
MLP: dict[str, Any] = {"model": "mlp", "hidden": [32], "model__dropout": 0.0, "batch_size": 32, **QUIET}
FORCED = Finding(level="warning", symptom="s", value=1.0, threshold=0.0, code="X00")


def digits() -> Any:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x.astype(np.float32), y


def moons() -> Any:
    from sklearn.datasets import make_moons

    x, y = make_moons(1000, noise=0.2, random_state=0)
    return x.astype(np.float32), y


def table() -> Any:
    from sklearn.datasets import make_classification

    x, y = make_classification(1500, 20, n_informative=8, n_redundant=2, flip_y=0.02, random_state=0)
    return x.astype(np.float32), y


def numbers() -> Any:
    from sklearn.datasets import make_regression

    x, y = make_regression(1000, 10, n_informative=6, noise=10, random_state=0)
    return x.astype(np.float32), y.astype(np.float32)


RUNS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "digits, adamw": (digits, {"epochs": 12, "optimizer": "adamw", "lr": 3e-3}),
    "digits, sgd": (digits, {"epochs": 12, "optimizer": "sgd", "lr": 0.05}),
    "moons": (moons, {"epochs": 10, "optimizer": "adamw", "lr": 1e-2}),
    "table": (table, {"epochs": 8, "optimizer": "adamw", "lr": 3e-3}),
    "numbers": (numbers, {"epochs": 8, "optimizer": "adamw", "lr": 3e-3}),
}


def changes(lr: float, classes: bool) -> dict[str, dict[str, Any]]:
    """Changes that are next to none; each leads to other trainings all the same."""
    smoothing = {"less sure": {"objective.label_smoothing": 0.001}} if classes else {}
    return smoothing | {
        "batches of 33": {"training.batch_size": 33},
        "3 % faster": {"optim.lr": 1.03 * lr},
        "10 % more decay": {"optim.weight_decay": 0.022},
        "hardly leaky": {"model.activation": "leaky_relu(0.001)"},
        "other first biases": {"model.bias_init": "uniform(-0.003, 0.003)"},
        "hardly dropout": {"model.dropout": 0.005},
        "a clip that hardly acts": {"optim.clip_norm": 20.0},
        "shorter warm-up": {"optim.warmup": 0.24},
        "one unit more": {"model.hidden": (33,)},
    }


@pytest.mark.slow
def test_what_does_nothing_is_accepted_no_more_often_than_stated(tmp_path: Path) -> None:
    told, accepted = [], 0
    for name, (data, options) in RUNS.items():
        source = data()
        run = limpid.train(source, out=tmp_path / name, **{**MLP, **options})
        therapist = Therapist(run, source=source)
        spec = therapist.nursery.ground.dataset(therapist.config).spec
        for change, patch in changes(options["lr"], spec.task != "regression").items():
            treatment = Treatment(name=change, what="w", why="w.", source="s")
            trial = therapist.trials.run(
                therapist.config,
                treatment,
                FORCED,
                therapist.evidence,
                figure=figure_for(therapist.config, spec),
                patch=patch,
            )
            accepted += trial.accepted
            told.append((name, change, trial.accepted, trial.reason))
    print(f"{accepted} of {len(told)} accepted")
    assert len(told) >= 40
    assert accepted / len(told) <= LEVEL, [one for one in told if one[2]]
