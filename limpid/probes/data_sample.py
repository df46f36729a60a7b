"""A few rows of a split, drawn evenly and always the same: what the probes of data look at.

Shapes: N rows of the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from limpid.data.dataset import ResidentRows, Rows, Split
from limpid.models.network import Network
from limpid.probes.subject import Subject

MOST_ROWS = 1000
MOST_BYTES = 24_000_000  # of one input; gathering them takes about 10 ms


@dataclass(frozen=True)
class DataSample:
    """Rows as the data set gives them, on the CPU."""

    inputs: tuple[Tensor, ...]  # each (N, ...), not scaled
    target: Tensor  # (N, ...)
    position: Tensor  # int64 (N,), place of each row in its split


def sample_split(split: Split, most: int = MOST_ROWS, *, side: int | None = None) -> DataSample:
    """At most so many rows of a split, fewer where rows are large; the same ones each time.

    Args:
        side: of images, leave out rows and columns of pixels until at most so many are left.
    """
    first = split.rows.take(torch.zeros(1, dtype=torch.int64))[0]
    step = 1 if side is None or first.ndim != 4 else -(-max(first.shape[-2:]) // side)
    rows: Rows = split.rows
    if step > 1 and isinstance(rows, ResidentRows):
        rows = ResidentRows((rows.tensors[0][..., ::step, ::step], *rows.tensors[1:]))
        first, step = first[..., ::step, ::step], 1
    row_bytes = max(1, first.numel() * first.element_size())
    num = min(len(split), most, max(16, MOST_BYTES // row_bytes))
    drawn = np.random.default_rng(0).choice(len(split), num, replace=False, shuffle=False)
    position_N = torch.from_numpy(np.sort(drawn))
    inputs = tuple(tensor.cpu() for tensor in rows.take(position_N))
    if step > 1:
        inputs = (inputs[0][..., ::step, ::step], *inputs[1:])
    return DataSample(inputs, split.target[position_N.to(split.target.device)].cpu(), position_N)


def sample_training(subject: Subject, most: int = MOST_ROWS, *, side: int | None = None) -> DataSample:
    """Training rows of a subject: of its data set, or the rows that it brings along."""
    if subject.dataset is not None:
        return sample_split(subject.dataset.train, most, side=side)
    inputs = tuple(tensor.detach().cpu() for tensor in subject.inputs)
    return DataSample(inputs, subject.target.detach().cpu(), torch.arange(len(subject.target)))


def name_rows(subject: Subject, position: Tensor, most: int = 5) -> list[str]:
    """Where training rows came from, for people."""
    split = None if subject.dataset is None else subject.dataset.train
    return [f"row {i}" if split is None else split.name_of(i) for i in position[:most].tolist()]


@torch.no_grad()
def behind_scale(subject: Subject, first: Tensor) -> Tensor:
    """The first input as the network's body sees it: scaled by the network's first stage, where it has one."""
    network = subject.network
    if not isinstance(network, Network):
        return first
    return network.scale(first.to(network.scale.mean.device)).cpu()


def finite_statistic(value: float | Tensor) -> float | None:
    """A number for the record; None where it is not finite."""
    number = float(value)
    return number if np.isfinite(number) else None
