"""Rows of a split as plain numbers, for simple rivals of the network: pixels, standardised columns, one-hot codes,
summaries of sequences, frequencies of tokens.

Shapes: N rows, F numbers of a row, T steps, C categories of a column, V tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.data.dataset import Split
from limpid.spec import PADDING, DataSpec

SIDE = 16  # pixels; larger pictures are averaged down to at most this
MOST_NUMBERS = 2048  # of a row; longer ones have no cheap rival
MOST_CATEGORIES = 64  # of a column; rarer codes share none
MOST_TOKENS = 1000  # of the vocabulary; rarer ones are left out


def choose_rows(split: Split, most: int) -> Tensor:
    """int64 (N,): at most so many rows of a split, drawn evenly and always the same ones, in rising order."""
    if len(split) <= most:
        return torch.arange(len(split))
    return torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:most].sort().values


def flat_rows(split: Split, spec: DataSpec, index_N: Tensor) -> Tensor | None:
    """float32 (N, F) on the CPU; None for data that have no cheap plain form."""
    inputs = tuple(tensor.cpu() for tensor in split.rows.take(index_N))
    if spec.task == "tokens":
        return None
    if spec.kind == "image":
        pixels = inputs[0].float()
        stride = -(-max(pixels.shape[-2:]) // SIDE)
        if stride > 1:
            pixels = F.avg_pool2d(pixels, stride, ceil_mode=True)
        flat = pixels.flatten(1)
    elif spec.kind in ("vector", "table"):
        flat = torch.cat([inputs[0].float(), *_one_hot(inputs[1:], spec)], dim=1)
    elif spec.kind == "series":
        window = inputs[0].float()
        whole = spec.preparation.get("kind") == "forecast" and window[0].numel() <= MOST_NUMBERS // 4
        flat = window.flatten(1) if whole else _summaries(window, inputs[1] if len(inputs) > 1 else None)
    elif spec.kind == "text":
        flat = _frequencies(inputs[0], min(spec.vocabulary, MOST_TOKENS))
    elif spec.kind == "array":
        flat = inputs[0].float().flatten(1)
    else:
        return None
    return flat.nan_to_num(0.0, 0.0, 0.0) if flat.shape[1] <= MOST_NUMBERS else None


def _one_hot(codes: tuple[Tensor, ...], spec: DataSpec) -> list[Tensor]:
    if not codes:
        return []
    columns = []
    for j, count in enumerate(spec.cardinalities):
        kept = min(count, MOST_CATEGORIES)
        columns.append(F.one_hot(codes[0][:, j].clamp(max=kept), kept + 1)[:, :kept].float())
    return columns


def _summaries(values_NTF: Tensor, lengths_N: Tensor | None) -> Tensor:
    """Mean, deviation, first and last step of each feature, and the length: what does not depend on where in a sequence
    something happens. Only in windows of one series is each step a column of its own."""
    size, num_steps, _ = values_NTF.shape
    lengths_N = torch.full((size,), num_steps) if lengths_N is None else lengths_N.clamp(min=1)
    seen_NT1 = (torch.arange(num_steps) < lengths_N[:, None])[..., None].float()
    mean_NF = (values_NTF * seen_NT1).sum(1) / lengths_N[:, None]
    spread_NF = (((values_NTF - mean_NF[:, None]) ** 2 * seen_NT1).sum(1) / lengths_N[:, None]).sqrt()
    last_NF = values_NTF[torch.arange(size), lengths_N - 1]
    return torch.cat((mean_NF, spread_NF, values_NTF[:, 0], last_NF, lengths_N[:, None].float()), dim=1)


def _frequencies(tokens_NT: Tensor, vocabulary: int) -> Tensor:
    """Square roots of how often each token occurs in a row."""
    kept = (tokens_NT != PADDING) & (tokens_NT < vocabulary)
    counts = torch.zeros(len(tokens_NT), vocabulary)
    counts.scatter_add_(1, tokens_NT.clamp(0, vocabulary - 1), kept.float())
    return counts.sqrt()
