"""A data set in memory or on disk, split and ready for batches.

Shapes: N rows of a split, B rows of a batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from limpid.spec import DataSpec


class Rows(Protocol):
    """Inputs of one split: resident tensors, or rows read from disk when asked for."""

    def __len__(self) -> int: ...

    def take(self, index_B: Tensor) -> tuple[Tensor, ...]:
        """The inputs of these rows, each of shape (B, ...), in the order asked for."""
        ...


@dataclass(frozen=True)
class ResidentRows:
    """Inputs that fit in memory, as tensors of the smallest exact dtype on any device."""

    tensors: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.tensors[0])

    def take(self, index_B: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.index_select(0, index_B) for tensor in self.tensors)

    def to(self, device: torch.device) -> ResidentRows:
        return ResidentRows(tuple(tensor.to(device) for tensor in self.tensors))


class GatheredRows(ABC):
    """Rows whose batches are cut out of resident tensors that are smaller than all batches together: windows of a
    series, sequences without their padding. The loader takes them directly, without reader threads."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, index_B: Tensor) -> tuple[Tensor, ...]:
        """The inputs of these rows on the device of the tensors; `index_B` lies on the CPU."""

    @abstractmethod
    def to(self, device: torch.device) -> GatheredRows:
        """The same rows with the tensors on a device."""

    def targets(self, index_B: Tensor) -> Tensor | None:
        """Targets that are cut out of the same tensors; None: they are the split's."""
        return None

    def lengths(self) -> Tensor | None:
        """int64 (N,) on the CPU, if rows differ in length and a batch is only as long as its longest row."""
        return None


@dataclass(frozen=True)
class Split:
    """One part of the data: inputs, targets, and where each row came from."""

    rows: Rows
    target: Tensor  # (N,) int64, or (N, T) float32; see DataSpec
    origin: Sequence[str] | None = None  # file name, or None: then `index` names the row
    index: Tensor | None = None  # (N,) int64, row of the source

    def __len__(self) -> int:
        return len(self.target)

    def name_of(self, i: int) -> str:
        """Where row i came from, for people: a file name or "row 17"."""
        if self.origin is not None:
            return str(self.origin[i])
        return f"row {int(self.index[i]) if self.index is not None else i}"


@dataclass(frozen=True)
class Dataset:
    """Three splits and the spec that was learned from the first. The test split is made when first asked for."""

    spec: DataSpec
    train: Split
    valid: Split | None
    make_test: Callable[[], Split | None]
    fingerprint: str  # SHA-256 of the content, independent of path and time
    summary: dict[str, Any] = field(default_factory=dict)  # what was read and decided, for the terminal and the report

    def test(self) -> Split | None:
        """The test split; reading it is the last thing that a run does."""
        return self.make_test()
