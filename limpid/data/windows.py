"""Windows of a long sequence, cut out when a batch asks for them: the sequence is stored once, however they overlap.

Shapes: S steps of the sequence, N windows, B windows of a batch, T steps of a window, F features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from limpid.data.dataset import GatheredRows
from limpid.errors import DataError


def num_windows(num_steps: int, window: int, stride: int = 1) -> int:
    """How many windows of so many steps fit: floor((S - T) / stride) + 1, or none."""
    return max(0, (num_steps - window) // stride + 1)


class TokenWindows(GatheredRows):
    """Windows of a stream of tokens for predicting each next one.

        input n = stream[n stride : n stride + T],   target n = stream[n stride + 1 : n stride + T + 1]

    The stream is int64, as embeddings and losses take it: no batch has to be converted, and targets are a view.
    """

    def __init__(self, stream_S: Tensor, *, context: int, stride: int) -> None:
        self.stream_S, self.context, self.stride = stream_S, context, stride
        num = num_windows(len(stream_S) - 1, context, stride)
        if num < 1:
            raise DataError(f"{len(stream_S)} tokens are too few for a context of {context}, which needs one more.")
        self.inputs_NT = stream_S[:-1].unfold(0, context, stride)
        self.targets_NT = stream_S[1:].unfold(0, context, stride)
        self.length_1 = torch.full((1,), context, dtype=torch.int64, device=stream_S.device)

    def __len__(self) -> int:
        return len(self.inputs_NT)

    def take(self, index_B: Tensor) -> tuple[Tensor, ...]:
        tokens_BT = self.inputs_NT.index_select(0, index_B.to(self.stream_S.device, non_blocking=True))
        return tokens_BT, self.length_1.expand(len(index_B))

    def targets(self, index_B: Tensor) -> Tensor:
        return self.targets_NT.index_select(0, index_B.to(self.stream_S.device, non_blocking=True))

    def to(self, device: torch.device) -> TokenWindows:
        return TokenWindows(self.stream_S.to(device), context=self.context, stride=self.stride)


class SeriesWindows(GatheredRows):
    """Windows of a series (S, F) that end at given steps: row n is series[ends[n] - T + 1 : ends[n] + 1]."""

    def __init__(self, series_SF: Tensor, ends_N: Tensor, *, window: int) -> None:
        self.series_SF, self.ends_N, self.window = series_SF, ends_N, window
        self.windows_KTF = series_SF.unfold(0, window, 1).transpose(1, 2)
        self.length_1 = torch.full((1,), window, dtype=torch.int64, device=series_SF.device)

    def __len__(self) -> int:
        return len(self.ends_N)

    def take(self, index_B: Tensor) -> tuple[Tensor, ...]:
        first_B = (self.ends_N[index_B] - (self.window - 1)).to(self.series_SF.device, non_blocking=True)
        return self.windows_KTF.index_select(0, first_B).contiguous(), self.length_1.expand(len(index_B))

    def to(self, device: torch.device) -> SeriesWindows:
        return SeriesWindows(self.series_SF.to(device), self.ends_N, window=self.window)


class PaddedRows(GatheredRows):
    """Sequences of unequal length, stored end to end; a batch is filled with zeros up to its longest sequence.

    Args:
        flat: (sum of lengths, ...) all sequences one after the other; zero is also PADDING.
        lengths_N: int64, on the CPU.
        numbers_N: which of the sequences are rows, in order; None: all.
        longest: fill every batch up to this length instead.
    """

    def __init__(
        self, flat: Tensor, lengths_N: Tensor, *, numbers_N: Tensor | None = None, longest: int | None = None
    ) -> None:
        self.flat, self.all_lengths, self.longest = flat, lengths_N, longest
        self.numbers_N = torch.arange(len(lengths_N)) if numbers_N is None else numbers_N
        self.lengths_N = lengths_N[self.numbers_N]
        self.starts_N = (lengths_N.cumsum(0) - lengths_N)[self.numbers_N]

    def __len__(self) -> int:
        return len(self.numbers_N)

    def take(self, index_B: Tensor) -> tuple[Tensor, ...]:
        device = self.flat.device
        lengths_B = self.lengths_N[index_B]
        longest = int(lengths_B.max()) if self.longest is None else self.longest
        step_T = torch.arange(longest)
        inside_BT = step_T < lengths_B.unsqueeze(1)
        place_BT = ((self.starts_N[index_B].unsqueeze(1) + step_T) * inside_BT).to(device, non_blocking=True)
        filled = self.flat.index_select(0, place_BT.view(-1)).view(*place_BT.shape, *self.flat.shape[1:])
        outside_BT = ~inside_BT.to(device, non_blocking=True)
        filled = filled.masked_fill_(outside_BT.view(*place_BT.shape, *(1 for _ in self.flat.shape[1:])), 0)
        filled = filled.long() if not filled.is_floating_point() else filled
        return filled, lengths_B.to(device, non_blocking=True)

    def lengths(self) -> Tensor | None:
        return self.lengths_N if self.longest is None else None

    def to(self, device: torch.device) -> PaddedRows:
        return PaddedRows(self.flat.to(device), self.all_lengths, numbers_N=self.numbers_N, longest=self.longest)


def end_to_end(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The sequences one after the other, and their lengths (N,)."""
    return torch.cat(list(sequences)), torch.tensor([len(sequence) for sequence in sequences])
