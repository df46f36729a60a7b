"""Validation errors of two trainings that differ in some options and in nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from limpid.probes.flat_rows import choose_rows
from limpid.probes.retraining import retrain
from limpid.probes.slices import row_errors
from limpid.probes.subject import Subject

VALID_ROWS = 5000


def twin_errors(subject: Subject, options: Mapping[str, Any], steps: int) -> dict[str, Any] | None:
    """{options, n, steps, error, free_error, gain, se}: mean error of a row without these options and with them (see
    `slices`), and the mean and standard error of their difference on the same rows; None where a training diverged.
    """
    assert subject.dataset is not None and subject.dataset.valid is not None
    twin, free = retrain(subject, {}, steps=steps), retrain(subject, options, steps=steps)
    if twin is None or free is None:
        return None
    index_M = choose_rows(subject.dataset.valid, VALID_ROWS)
    errors_M, free_M = row_errors(twin[0], index_M), row_errors(free[0], index_M)
    difference_M = errors_M - free_M
    spread = difference_M.std(correction=1).item() if len(index_M) > 1 else math.inf
    return {
        "options": sorted(name.replace("__", ".") for name in options),
        "n": len(index_M),
        "steps": steps,
        "error": errors_M.mean().item(),
        "free_error": free_M.mean().item(),
        "gain": difference_M.mean().item(),
        "se": spread / math.sqrt(len(index_M)),
    }
