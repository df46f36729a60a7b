"""Frozen parts that begin to learn as training goes on: one block more, from the head down, every so many epochs.

Howard & Ruder 2018 (arXiv 1801.06146) call it gradual unfreezing: the new head settles before what it stands on moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from limpid.training.loop import Loader


class ThawingLoader:
    """A loader whose epochs begin by thawing what is due.

    What is thawed is a function of the epoch alone, so that a resumed run finds the same blocks learning.

    Args:
        loader: of the training split.
        every: epochs between two blocks.
        thaw: told how many blocks learn from now on.
    """

    def __init__(self, loader: Loader, every: int, thaw: Callable[[int], None]) -> None:
        self.loader = loader
        self.every = every
        self.thaw = thaw
        self.num_batches = loader.num_batches

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of an epoch; at its beginning epoch // every blocks are thawed."""
        self.thaw(epoch // self.every)
        return self.loader.epoch(epoch, start)
