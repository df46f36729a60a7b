"""P11: how the validation error falls with the number of training rows, and so what more of them would bring.

The network is trained anew on 25, 50 and 100 % of the training rows, each for the same number of updates. Source: Ng,
Machine Learning Yearning, chapters 28 to 32; learning curves as power laws: Hestness et al. 2017.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from limpid.probes.retraining import affordable_steps, retrain
from limpid.probes.subject import Subject

SHARES = (0.25, 0.5, 1.0)
LEAST_ROWS = 40  # of the smallest part


def measure(subject: Subject) -> dict[str, Any] | None:
    """{score, n, steps, sizes: [{rows, score, loss}]}; None where the network cannot be built anew.

    `steps` are the updates of each part, fewer than those of the run where that would take too long; `score` is the
    headline metric, or "loss" where that has no scale.
    """
    dataset, objective = subject.dataset, subject.objective
    if dataset is None or dataset.valid is None or objective is None:
        return None
    if len(dataset.train) * SHARES[0] < LEAST_ROWS:
        return None
    steps = affordable_steps(subject)
    if steps is None:
        return None
    score = objective.score if objective.score in ("accuracy", "r2") else "loss"
    order = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(0))
    sizes = []
    for share in SHARES:
        rows = math.ceil(share * len(dataset.train))
        trained = retrain(subject, {}, steps=steps, index=order[:rows].sort().values)
        if trained is None:
            return None
        sizes.append({"rows": rows, "score": trained[1][score], "loss": trained[1]["loss"]})
    return {"score": score, "n": len(dataset.valid), "steps": steps, "sizes": sizes}
