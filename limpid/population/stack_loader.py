"""Batches of many members at once: each in its own order, cut out of the data that they share.

The inputs are standardised once, before training, where a single network does it batch by batch; the numbers are the
same.

Shapes: N rows of a split, M members, B rows of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from limpid.data.loader import Batch


class Columns:
    """The inputs and targets of a split on the device, standardised."""

    def __init__(self, inputs: tuple[Tensor, ...], target: Tensor) -> None:
        self.inputs, self.target = inputs, target

    def __len__(self) -> int:
        return len(self.target)


class StackedBatches:
    """Training batches: inputs (M, B, ...), target (M B, ...), index (M, B).

    Args:
        columns: the training split.
        batch_size: rows of each member.
        num_batches: of an epoch.
        orders: gives the rows of the next epoch of every member, each int64 (N,).
    """

    def __init__(
        self, columns: Columns, *, batch_size: int, num_batches: int, orders: Callable[[], Sequence[Tensor]]
    ) -> None:
        self.columns, self.batch_size, self.num_batches, self.orders = columns, batch_size, num_batches, orders

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of a round: one epoch of every member, its own next one."""
        order_MN = torch.stack(list(self.orders())).to(self.columns.target.device)
        for index_MB in order_MN.split(self.batch_size, dim=1)[start : self.num_batches]:
            flat = index_MB.flatten()
            inputs = tuple(x.index_select(0, flat).unflatten(0, index_MB.shape) for x in self.columns.inputs)
            yield Batch(inputs, self.columns.target.index_select(0, flat), index_MB)


class SharedBatches:
    """Batches of evaluation, the same rows for every member: inputs (M, B, ...) that take the memory of (B, ...).

    Args:
        columns: the validation split.
        batch_size: rows of a batch.
        num_members: how many there are now.
    """

    def __init__(self, columns: Columns, *, batch_size: int, num_members: Callable[[], int]) -> None:
        self.columns, self.batch_size, self.num_members = columns, batch_size, num_members
        self.num_batches = -(-len(columns) // batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches in their own order."""
        index_N = torch.arange(len(self.columns))
        for rows in index_N.split(self.batch_size)[start:]:
            cut = slice(int(rows[0]), int(rows[-1]) + 1)
            inputs = tuple(x[cut].unsqueeze(0).expand(self.num_members(), *x[cut].shape) for x in self.columns.inputs)
            yield Batch(inputs, self.columns.target[cut], rows)
