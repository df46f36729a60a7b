"""Bootstrap resamples of a split: as many rows, drawn with replacement.

Of N rows a resample holds 1 - (1 - 1/N)^N of the distinct ones, 63.2 % for large N (Efron 1979; Breiman 1996).

Shapes: N rows of the split, B rows of a batch.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from limpid.data.dataset import GatheredRows, ResidentRows, Rows, Split


def bootstrap_index(num_rows: int, seed: int) -> Tensor:
    """int64 (N,): which row of the split each row of the resample is, in rising order."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(num_rows, (num_rows,), generator=generator).sort().values


def resample(split: Split, index_N: Tensor) -> Split:
    """The rows `index_N` of a split as a split of their own; resident rows are copied, others looked up when asked."""
    rows: Rows
    if isinstance(split.rows, ResidentRows):
        rows = ResidentRows(split.rows.take(index_N))
    elif isinstance(split.rows, GatheredRows):
        rows = ResampledWindows(split.rows, index_N)
    else:
        rows = ResampledRows(split.rows, index_N)
    origin = None if split.origin is None else [split.origin[i] for i in index_N.tolist()]
    index = index_N if split.index is None else split.index[index_N]
    return replace(split, rows=rows, target=split.target[index_N], origin=origin, index=index)


class ResampledRows:
    """Rows by another numbering."""

    def __init__(self, rows: Rows, index_N: Tensor) -> None:
        self.rows = rows
        self.index_N = index_N

    def __len__(self) -> int:
        return len(self.index_N)

    def take(self, index_B: Tensor) -> tuple[Tensor, ...]:
        return self.rows.take(self.index_N[index_B])


class ResampledWindows(GatheredRows):
    """Gathered rows by another numbering."""

    def __init__(self, rows: GatheredRows, index_N: Tensor) -> None:
        self.rows = rows
        self.index_N = index_N

    def __len__(self) -> int:
        return len(self.index_N)

    def take(self, index_B: Tensor) -> tuple[Tensor, ...]:
        return self.rows.take(self.index_N[index_B])

    def to(self, device: torch.device) -> ResampledWindows:
        return ResampledWindows(self.rows.to(device), self.index_N)

    def targets(self, index_B: Tensor) -> Tensor | None:
        return self.rows.targets(self.index_N[index_B])

    def lengths(self) -> Tensor | None:
        lengths_N = self.rows.lengths()
        return None if lengths_N is None else lengths_N[self.index_N]
