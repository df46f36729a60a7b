"""Training rows that are left out by name, because somebody looked at them: wrong labels, faults, duplicates.

What was learned from all training rows before (fills, scales, the target's mean) stays as it is; class counts follow.

Shapes: N rows of the training split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from limpid.data.bootstrap import resample
from limpid.data.dataset import Dataset
from limpid.errors import DataError, nearest


def without_rows(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """The data set with these rows out of its training split; rows of the other splits stay where they are.

    Raises DataError when no training row has any of the names, and when too little is left to train on.
    """
    train = dataset.train
    place = {train.name_of(i): i for i in range(len(train))}
    if not any(name in place for name in names):
        hint = nearest(names[0], place)
        raise DataError(
            f"data.leave_out: no training row is called {names[0]!r}" + (f"; nearest is {hint!r}." if hint else ".")
        )
    keep_N = torch.ones(len(train), dtype=torch.bool)
    keep_N[[place[name] for name in names if name in place]] = False
    if not keep_N.any():
        raise DataError("data.leave_out: no training row is left.")
    kept = resample(train, keep_N.nonzero().flatten())
    spec = dataset.spec
    changed: dict[str, Any] = {"num_train": len(kept)}
    if spec.class_counts and spec.task in ("classification", "binary"):
        count_K = torch.bincount(kept.target.flatten().long(), minlength=len(spec.class_counts))
        if (count_K > 0).sum() < 2:
            raise DataError("data.leave_out: the rows that are left are of one class only.")
        changed["class_counts"] = tuple(count_K.tolist())
    return replace(dataset, train=kept, spec=spec.model_copy(update=changed))
