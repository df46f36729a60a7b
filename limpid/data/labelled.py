"""Samples of any form with targets: which of them train, validate and test, and the form of the target.

Shapes: N samples, T target columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.config import DataConfig
from limpid.data.dataset import Dataset, Rows, Split
from limpid.data.folds import refuse_folds, subset_of
from limpid.data.split import split_indices, split_shares
from limpid.data.target import TargetCoder, TargetColumn, fit_target, infer_task
from limpid.errors import ConfigError, DataError
from limpid.spec import DataSpec, Task

Index = NDArray[np.int64]
PARTS = ("train", "valid", "test")


def part_rows(
    num_rows: int,
    given: Sequence[str] | None,
    config: DataConfig,
    seed: int,
    *,
    labels: Index | None = None,
    groups: NDArray[np.generic] | None = None,
) -> dict[str, Index]:
    """Samples of each part. Those that `given` counts as training are divided, unless the other parts are given.

    Raises ConfigError for a split by columns, which such data do not have.
    """
    if config.split != "random":
        raise ConfigError(f"data.split = {config.split}: these data have no column to split by. Leave it at random.")
    given_N = np.array(["train"] * num_rows if given is None else list(given))
    has_valid, has_test = bool((given_N == "valid").any()), bool((given_N == "test").any())
    valid_share, test_share = split_shares(config, has_test=has_test)
    if has_valid:
        refuse_folds(config, "the source says which samples validate, and folds divide all anew. Leave folds out.")
    open_N = np.flatnonzero(given_N == "train")
    parts = split_indices(
        len(open_N),
        labels=None if labels is None else labels[open_N],
        groups=None if groups is None else groups[open_N],
        valid_share=0.0 if has_valid else valid_share,
        test_share=test_share,
        seed=seed,
        subset=subset_of(config),
    )
    rows = {part: open_N[numbers] for part, numbers in zip(PARTS, parts, strict=True)}
    for part in ("valid", "test"):
        if (given_N == part).any():
            rows[part] = np.flatnonzero(given_N == part).astype(np.int64)
    return {part: numbers for part, numbers in rows.items() if len(numbers)}


@dataclass(frozen=True)
class Labelled:
    """Samples with their targets, split, the target learned from the training samples."""

    columns: list[TargetColumn]
    parts: dict[str, Index]
    coder: TargetCoder
    reason: str
    stratified: bool

    @property
    def task(self) -> Task:
        return self.coder.task

    def targets(self, part: str, index: Index, origin: str) -> Tensor:
        """Targets of a part as `DataSpec` describes them; `index` numbers the samples in their source."""
        rows = self.parts[part]
        return self.coder.encode([column.take(rows) for column in self.columns], index[rows], origin)

    def spec_fields(self) -> dict[str, Any]:
        """What the spec says of target and sizes."""
        return {
            "task": self.coder.task,
            "num_outputs": self.coder.num_outputs,
            "classes": self.coder.classes,
            "target_names": self.coder.names,
            "target_mean": self.coder.mean,
            "target_std": self.coder.std,
            "class_counts": self.coder.class_counts,
            **{f"num_{part}": len(self.parts.get(part, ())) for part in PARTS},
        }

    def summary_fields(self) -> dict[str, Any]:
        """What the summary says of target and sizes."""
        counts = {part: len(self.parts.get(part, ())) for part in PARTS}
        return {
            "rows": sum(counts.values()),
            "split": counts | {"how": "random, stratified by class" if self.stratified else "random"},
            "task": self.coder.task,
            "task_reason": self.reason,
            "target": list(self.coder.names),
        }


def label_samples(columns: list[TargetColumn], given: Sequence[str] | None, config: DataConfig, seed: int) -> Labelled:
    """Task, parts and target of samples; `given` is the part that a sample's place says, if it says any.

    Raises DataError for a target that cannot be learned, ConfigError for a split by columns.
    """
    task, reason = infer_task(columns, config.task)
    stratified = task in ("classification", "binary")
    labels = columns[0].codes if stratified else None
    parts = part_rows(len(columns[0].codes), given, config, seed, labels=labels)
    return Labelled(columns, parts, fit_target(columns, task, parts["train"]), reason, stratified)


def assemble(
    spec: DataSpec,
    rows_of: Callable[[Index], Rows],
    labelled: Labelled,
    *,
    index: Index,
    names: Sequence[str] | None,
    origin: str,
    fingerprint: str,
    summary: dict[str, Any],
) -> Dataset:
    """The data set of these parts: `rows_of` gives the inputs of samples by number."""

    def split(part: str) -> Split | None:
        numbers = labelled.parts.get(part)
        if numbers is None:
            return None
        files = None if names is None else [names[i] for i in numbers.tolist()]
        target = labelled.targets(part, index, origin)
        return Split(rows_of(numbers), target, files, torch.from_numpy(index[numbers]))

    train, test = split("train"), split("test")
    if train is None:
        raise DataError(f"{origin}: no sample is left to train on.")
    return Dataset(spec, train, split("valid"), lambda: test, fingerprint, labelled.summary_fields() | summary)
