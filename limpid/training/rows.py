"""What an epoch writes into the record."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from limpid.training.position import Position


class Recorder(Protocol):
    """Where rows go: a run folder, or a list."""

    def add(self, kind: str, **fields: Any) -> None: ...


def train_row(position: Position, lr: float) -> dict[str, Any]:
    """The epoch in numbers. Its loss is the sample-weighted mean over the batches."""
    num_samples = sum(position.sizes)
    total = math.fsum(loss * size for loss, size in zip(position.losses, position.sizes, strict=True))
    return {
        "split": "train",
        "step": position.step,
        "epoch": position.epoch,
        "loss": total / num_samples,
        "lr": lr,
        "samples_per_second": num_samples / max(position.epoch_seconds, 1e-9),
        "seconds": position.epoch_seconds,
    }


def write_rows(
    recorder: Recorder,
    position: Position,
    row: dict[str, Any],
    valid_row: dict[str, Any] | None,
    *,
    accumulate: int,
    log_every: int,
    lr_at: Callable[[int], float],
) -> None:
    """One row for every `log_every`-th batch of the epoch, one for the epoch, one for its evaluation."""
    updates = -(-len(position.losses) // accumulate)
    for number in range(0, len(position.losses), log_every):
        step = position.step - updates + number // accumulate
        recorder.add("metric", split="train_step", step=step + 1, loss=position.losses[number], lr=lr_at(step))
    recorder.add("metric", **row)
    if valid_row is not None:
        recorder.add("metric", **valid_row)
