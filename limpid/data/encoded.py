"""Rows and targets that somebody else has encoded, such as a scikit-learn pipeline, as a data set.

Shapes: N rows, F features, T targets, K classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from limpid.data.dataset import Dataset, ResidentRows, Split
from limpid.data.split import split_indices
from limpid.spec import DataSpec, Task

Array = npt.NDArray[Any]


def dataset_of_rows(X: Array, y: Array, *, task: Task, valid_share: float, seed: int) -> Dataset:
    """Rows that are numbers already, as a data set without a test split; the scaling is learned from the training rows.

    Args:
        X: float32 (N, F), finite.
        y: int64 (N,) codes 0 to K-1 for classification, float32 (N, T) for regression.
        task: "classification" or "regression".
        valid_share: of the rows, for validation.
        seed: of the split.
    """
    labels = y if task == "classification" else None
    train, valid, _ = split_indices(len(X), labels=labels, valid_share=valid_share, test_share=0.0, seed=seed)
    classes = tuple(str(k) for k in range(int(y.max()) + 1)) if task == "classification" else ()
    # float64: float32 sums of a few thousand large values lose digits that decide whether a constant column has spread
    rows = X[train].astype(np.float64)
    std = rows.std(axis=0)
    target = y[train].reshape(len(train), -1).astype(np.float64)
    spec = DataSpec(
        name="arrays",
        kind="vector",
        task=task,
        input_shape=(X.shape[1],),
        num_outputs=max(len(classes), 2) if classes else y.shape[1],
        classes=classes if len(classes) > 1 else (*classes, "1") if classes else (),
        scale_mean=tuple(rows.mean(axis=0).tolist()),
        scale_std=tuple(np.where(std > 1e-7 * np.abs(rows).max(axis=0), std, 1.0).tolist()),
        target_mean=() if classes else tuple(target.mean(axis=0).tolist()),
        target_std=() if classes else tuple(np.where(target.std(axis=0) > 0, target.std(axis=0), 1.0).tolist()),
        class_counts=tuple(np.bincount(y[train], minlength=max(len(classes), 2)).tolist()) if classes else (),
        num_train=len(train),
        num_valid=len(valid),
    )

    def split(index: Array) -> Split:
        rows = ResidentRows((torch.from_numpy(X[index]),))
        return Split(rows, torch.from_numpy(y[index]), index=torch.from_numpy(index))

    return Dataset(spec, split(train), split(valid) if len(valid) else None, lambda: None, fingerprint="")
