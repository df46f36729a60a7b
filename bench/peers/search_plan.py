"""What the programs of w7 share: the plan that all of them carry out, the digits, and the JSON line at the end.

The plan names the rows of the hold-out and the configurations, so that everyone tries the same ones on the same rows.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

STARTED = float(os.environ.get("LIMPID_BENCH_STARTED", time.time()))
HIDDEN = (64, 32)


@dataclass(frozen=True)
class Plan:
    """Rows of training and validation in scikit-learn's digits, and what to try: lr, weight_decay, batch_size."""

    epochs: int
    train: list[int]
    valid: list[int]
    configs: list[dict[str, Any]]


def read_plan() -> Plan:
    """The plan that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("plan", type=Path)
    return Plan(**json.loads(parser.parse_args().plan.read_text(encoding="utf-8")))


def read_digits(plan: Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x_train, y_train, x_valid, y_valid: standardised with one mean and deviation, as float32 (N, 64)."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x_train, x_valid = x[plan.train], x[plan.valid]
    mean, std = x_train.mean(), x_train.std()
    x_train, x_valid = (((part - mean) / std).astype(np.float32) for part in (x_train, x_valid))
    return x_train, y[plan.train], x_valid, y[plan.valid]


def show(plan: Plan, accuracies: list[float], *, search_seconds: float, training_seconds: float) -> None:
    """Print the result as one JSON object.

    Args:
        accuracies: of the hold-out, in the order of the plan's configurations.
        search_seconds: from handing over the first trial to having the last.
        training_seconds: that trials took by themselves, divided by the number of workers.
    """
    best = int(np.argmax(accuracies))
    values = {
        "trials": len(accuracies),
        "best_accuracy": float(accuracies[best]),
        "mean_accuracy": float(np.mean(accuracies)),
        "best": plan.configs[best],
        "search_seconds": search_seconds,
        "training_seconds": training_seconds,
        "seconds_in_process": time.time() - STARTED,
    }
    print(json.dumps(values), flush=True)
