"""Batches of a split on the device, in an order that is a function of (seed, epoch) and can be entered anywhere.

Resident rows are moved to the device once; a batch is then one gather per tensor. Windows and sequences are cut out of
resident tensors in the same way. Rows that do not fit are read by a few threads ahead of the loop. All give the same
batches, bit for bit.

Shapes: N rows of the split, B rows of a batch, W machine words of a row.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from limpid.data.dataset import GatheredRows, ResidentRows, Rows, Split
from limpid.data.shuffle import derive_seed, epoch_order, group_by_length
from limpid.errors import DataError, LimpidError

# Augment: (inputs, target, index, epoch) -> (inputs, target), all on the device; see data/augment.py.
Augment = Callable[[tuple[Tensor, ...], Tensor, Tensor, int], tuple[tuple[Tensor, ...], Tensor]]

# Two threads hide reading behind computing; batches beyond three ahead only take memory.
READERS = 2
BATCHES_AHEAD = 3

WORDS = ((8, torch.int64), (4, torch.int32), (2, torch.int16))


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch on the device."""

    inputs: tuple[Tensor, ...]  # each (B, ...)
    target: Tensor  # (B,) int64, (B, T) float32, or (B, K) float32 after a mixing augmentation
    index: Tensor  # (B,) int64, position within the split


class Loader:
    """Seekable batches of one split.

    Args:
        split: Rows and targets.
        batch_size: Rows per batch; the last batch of an epoch may be smaller.
        seed: With the epoch, it determines the order.
        shuffle: Visit rows in a new order each epoch; otherwise in their own order, without copying.
        device: Where the batches are wanted.
        augment: Random change of each gathered batch, on the device.
        drop_last: Leave out a smaller last batch (ignored when it is the only one).
        channels_last: Give (B, C, H, W) inputs with the channels innermost in memory.
    """

    def __init__(
        self,
        split: Split,
        *,
        batch_size: int,
        seed: int,
        shuffle: bool,
        device: torch.device,
        augment: Augment | None = None,
        drop_last: bool = False,
        channels_last: bool = False,
    ) -> None:
        self.split = split
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.device = device
        self.augment = augment
        self.channels_last = channels_last
        self.num_rows = len(split)
        full, rest = divmod(self.num_rows, batch_size)
        self.num_batches = full if rest == 0 or (drop_last and full > 0) else full + 1
        self.gathered = split.rows.to(device) if isinstance(split.rows, GatheredRows) else None
        own_targets = self.gathered is not None and self.gathered.targets(torch.zeros(1, dtype=torch.int64)) is not None
        self.target = split.target if own_targets else split.target.to(device)
        self.columns = _resident_columns(split.rows, device, channels_last)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from batch number `start` on; earlier ones cost nothing."""
        if self.columns is not None:
            batches = self._gathered(self.columns, epoch, start) if self.shuffle else self._sliced(self.columns, start)
        elif self.gathered is not None:
            batches = self._cut(self.gathered, epoch, start)
        else:
            batches = self._streamed(self.split.rows, epoch, start)
        if self.augment is None:
            return batches
        return self._augmented(self.augment, batches, epoch)

    def _gathered(self, columns: list[_Column], epoch: int, start: int) -> Iterator[Batch]:
        order = epoch_order(self.num_rows, self.seed, epoch).to(self.device)
        parts = order.split(self.batch_size)[start : self.num_batches]
        targets = self.target.index_select(0, order).split(self.batch_size)[start : self.num_batches]
        if len(columns) == 1:
            take = columns[0].take
            for index_B, target in zip(parts, targets, strict=True):
                yield Batch((take(index_B),), target, index_B)
        else:
            for index_B, target in zip(parts, targets, strict=True):
                yield Batch(tuple(column.take(index_B) for column in columns), target, index_B)

    def _sliced(self, columns: list[_Column], start: int) -> Iterator[Batch]:
        index_N = torch.arange(self.num_rows, device=self.device)
        for number in range(start, self.num_batches):
            rows = slice(number * self.batch_size, (number + 1) * self.batch_size)
            yield Batch(tuple(column.slice(rows) for column in columns), self.target[rows], index_N[rows])

    def _cut(self, rows: GatheredRows, epoch: int, start: int) -> Iterator[Batch]:
        """Batches of windows or sequences. In training, batches hold rows of like length, so that little is padding."""
        order = epoch_order(self.num_rows, self.seed, epoch) if self.shuffle else torch.arange(self.num_rows)
        lengths_N = rows.lengths()
        if self.shuffle and lengths_N is not None:
            order = group_by_length(order, lengths_N, self.batch_size, derive_seed(self.seed, "lengths", epoch))
        for number in range(start, self.num_batches):
            index_B = order[number * self.batch_size : (number + 1) * self.batch_size]
            there_B = index_B.to(self.device, non_blocking=True)
            target = rows.targets(index_B)
            target = self.target.index_select(0, there_B) if target is None else target
            yield Batch(rows.take(index_B), target, there_B)

    def _streamed(self, rows: Rows, epoch: int, start: int) -> Iterator[Batch]:
        order = epoch_order(self.num_rows, self.seed, epoch) if self.shuffle else torch.arange(self.num_rows)
        waiting = iter(order.split(self.batch_size)[start : self.num_batches])
        ahead: deque[tuple[Tensor, Future[tuple[Tensor, ...]]]] = deque()
        pool = ThreadPoolExecutor(READERS, thread_name_prefix="limpid-read")
        try:
            while True:
                while len(ahead) < BATCHES_AHEAD and (index_B := next(waiting, None)) is not None:
                    ahead.append((index_B, pool.submit(self._read, rows, index_B)))
                if not ahead:
                    return
                index_B, read = ahead.popleft()
                inputs = tuple(tensor.to(self.device, non_blocking=True) for tensor in read.result())
                index_B = index_B.to(self.device)
                yield Batch(inputs, self.target.index_select(0, index_B), index_B)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _read(self, rows: Rows, index_B: Tensor) -> tuple[Tensor, ...]:
        """In a reader thread: the inputs of a batch, laid out and pinned, ready to be sent to the device."""
        try:
            inputs = rows.take(index_B)
        except LimpidError:
            raise
        except Exception as error:
            raise DataError(self._blame(rows, index_B, error)) from error
        if self.channels_last:
            inputs = tuple(x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x for x in inputs)
        return tuple(x.pin_memory() for x in inputs) if self.device.type == "cuda" else inputs

    def _blame(self, rows: Rows, index_B: Tensor, error: Exception) -> str:
        """Read the rows of a failed batch one by one to name the one that cannot be read."""
        for i in index_B.tolist():
            try:
                rows.take(torch.tensor([i]))
            except Exception as cause:
                return f"{self.split.name_of(i)} could not be read: {cause or type(cause).__name__}."
        return f"{self.split.name_of(int(index_B[0]))} and its batch could not be read: {error}."

    def _augmented(self, augment: Augment, batches: Iterator[Batch], epoch: int) -> Iterator[Batch]:
        try:
            for batch in batches:
                inputs, target = augment(batch.inputs, batch.target, batch.index, epoch)
                yield Batch(inputs, target, batch.index)
        finally:
            batches.close()  # type: ignore[attr-defined]


class _Column:
    """One resident input tensor, kept as rows of the widest machine words that fit.

    Gathering words instead of bytes is 8 times fewer elements for uint8 images, and small gathers then stay below the
    size from which torch starts its thread team (measured: 20 us instead of milliseconds on busy cores, MNIST, B 128).
    """

    def __init__(self, tensor: Tensor, channels_last: bool) -> None:
        self.permuted = channels_last and tensor.ndim == 4
        self.whole = tensor.permute(0, 2, 3, 1).contiguous() if self.permuted else tensor.contiguous()
        self.dtype = tensor.dtype
        self.shape = self.whole.shape[1:]
        flat = self.whole.view(len(tensor), -1)
        self.words_NW = flat
        start = flat.storage_offset() * flat.element_size()
        for width, dtype in WORDS:
            if (
                flat.element_size() < width
                and (flat.shape[1] * flat.element_size()) % width == 0
                and start % width == 0
            ):
                self.words_NW = flat.view(dtype)
                break

    def take(self, index_B: Tensor) -> Tensor:
        words_BW = self.words_NW.index_select(0, index_B)
        if words_BW.dtype is not self.dtype:
            words_BW = words_BW.view(self.dtype)
        rows = words_BW.view(len(index_B), *self.shape)
        return rows.permute(0, 3, 1, 2) if self.permuted else rows

    def slice(self, rows: slice) -> Tensor:
        part = self.whole[rows]
        return part.permute(0, 3, 1, 2) if self.permuted else part


def _resident_columns(rows: Rows, device: torch.device, channels_last: bool) -> list[_Column] | None:
    if not isinstance(rows, ResidentRows):
        return None
    return [_Column(tensor, channels_last) for tensor in rows.to(device).tensors]
