"""Loss and figures of the trained network on training rows in evaluation mode: what it has learned of what it saw."""

from __future__ import annotations

from typing import Any

from limpid.data.bootstrap import resample
from limpid.data.loader import Loader
from limpid.probes.flat_rows import choose_rows
from limpid.probes.subject import Subject
from limpid.training.step import collect_outputs

ROWS, BATCH = 2000, 500


def measure(subject: Subject) -> dict[str, Any] | None:
    """{n, loss, and every metric of the objective} of at most 2,000 training rows, without augmentation."""
    dataset, objective = subject.dataset, subject.objective
    if dataset is None or objective is None:
        return None
    rows = resample(dataset.train, choose_rows(dataset.train, ROWS))
    batches = Loader(rows, batch_size=BATCH, seed=0, shuffle=False, device=subject.target.device)
    kept, target = collect_outputs(subject.network, batches.epoch(0), context=subject.context, keep=objective.keep)
    return {"n": len(target), "loss": objective.kept_loss(kept, target).item(), **objective.metrics(kept, target)}
