"""A network trained on rows in memory, without a run folder; what the estimators stand on."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from torch import nn

from limpid.config import Config
from limpid.data.encoded import dataset_of_rows
from limpid.device import as_found
from limpid.spec import DataSpec, Task
from limpid.training.history import History, Silence
from limpid.training.loop import fit
from limpid.training.randomness import own_randomness
from limpid.wiring import wire

# Dropout draws from the generators that a whole process shares, so that fits in threads take turns.
_turn = threading.Lock()


@dataclass(frozen=True)
class Fitted:
    """A network trained without a run folder."""

    network: nn.Module
    spec: DataSpec
    objective: Any
    history: list[dict[str, Any]]


def fit_arrays(X: Any, y: Any, *, task: Task, config: Config) -> Fitted:
    """Train on finite float32 (N, F) and encoded targets, quietly and without a run folder; for estimators.

    What the process shares (random generators, number of threads, rounding of tiny numbers) is left as it was found.

    Args:
        X: float32 (N, F).
        y: int64 codes 0 to K-1 of (N,) for classification, or float32 (N, T) for regression.
        task: "classification" or "regression".
        config: data.valid_share rows are kept for validation; the rest of section data is not used.
    """
    dataset = dataset_of_rows(X, y, task=task, valid_share=config.data.valid_share or 0.0, seed=config.training.seed)
    history = History()
    with _turn, as_found():
        wiring = wire(config, dataset)
        with own_randomness(config.training.seed), wiring.fast_roads():
            fit(wiring.parts, wiring.plan, history, Silence())
    return Fitted(wiring.network.eval(), wiring.dataset.spec, wiring.objective, history.epochs)
