"""Counting as the rival of networks that predict tokens: how often each token comes, alone or behind one or two others.

P(t | c) = (n(c, t) + A P(t | shorter c)) / (n(c) + A), down to P(t) by frequency: interpolated counts with A imagined
occurrences (Witten & Bell 1991 and MacKay & Peto 1995 discuss the choice).

Shapes: N training sequences, M validation sequences, T places, V tokens.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.objectives.tokens import IGNORED
from limpid.probes.flat_rows import choose_rows
from limpid.probes.subject import Subject

TRAIN_PLACES, VALID_PLACES = 100_000, 20_000
IMAGINED = 2.0  # A; a guess, the loss hardly depends on it
Z = 1.96
Index = NDArray[np.int64]


def measure_tokens(subject: Subject, *, compared: bool) -> dict[str, Any] | None:
    """Figures as those of other rivals, with score "loss": mean nats per place (lower is better); None without context.

    With `compared`, the trained network beside each rival: gain = mean over sequences of (rival's loss - network's).
    """
    dataset, spec = subject.dataset, subject.spec
    assert dataset is not None and dataset.valid is not None and spec is not None
    length = max(int(np.prod(spec.output_shape or spec.input_shape[:1])), 1)
    train = choose_rows(dataset.train, max(TRAIN_PLACES // length, 1))
    valid = choose_rows(dataset.valid, max(VALID_PLACES // length, 1))
    seen, wanted = _context_and_target(dataset.train, train)
    asked, truth = _context_and_target(dataset.valid, valid)
    if seen is None or asked is None or seen.shape != wanted.shape:
        return None
    losses = _losses(seen, wanted, asked, truth, spec.num_outputs)
    rivals = {name: _scored(per_sequence) for name, per_sequence in losses.items()}
    best = min(rivals, key=lambda name: rivals[name]["score"])
    row = {"score": "loss", "n": len(truth), "rows": len(train), "best": best, "rivals": rivals}
    if not compared:
        return row
    own = _network_losses(subject, valid)
    gain = {name: _difference(per_sequence - own) for name, per_sequence in losses.items()}
    return row | {"network": _scored(own), "gain": gain}


def _context_and_target(split: Any, index: Tensor) -> tuple[Index | None, Index]:
    """Tokens known at each place, int64 (N, T), and wanted there; None where the network is given no tokens."""
    inputs = split.rows.take(index)
    target_NT = split.target[index].cpu().numpy().reshape(len(index), -1)
    given = [t for t in inputs if t.dtype == torch.int64 and t.ndim == 2 and t.shape[1] == target_NT.shape[1]]
    return (given[-1].cpu().numpy() if given else None), target_NT


def _losses(seen: Index, wanted: Index, asked: Index, truth: Index, num_tokens: int) -> dict[str, NDArray[np.float64]]:
    counts: list[defaultdict[tuple[int, ...], Counter[int]]] = [defaultdict(Counter) for _ in range(3)]
    for context, target in _places(seen, wanted):
        for order in range(3):
            counts[order][context[2 - order :]][target] += 1
    totals = [{context: sum(counter.values()) for context, counter in level.items()} for level in counts]
    sums = np.zeros((3, len(truth)))
    for row in range(len(truth)):
        for context, target in _places(asked[row : row + 1], truth[row : row + 1]):
            probability = 1 / num_tokens
            for order in range(3):
                known = context[2 - order :]
                count = counts[order][known][target] if known in totals[order] else 0
                probability = (count + IMAGINED * probability) / (totals[order].get(known, 0) + IMAGINED)
                sums[order, row] -= math.log(probability)
    places = np.maximum((truth != IGNORED).sum(axis=1), 1)
    return {name: sums[order] / places for order, name in enumerate(("frequencies", "pairs", "triples"))}


def _places(seen: Index, wanted: Index) -> Any:
    """((token before, token at the place), wanted token) of every place that counts."""
    for tokens, targets in zip(seen.tolist(), wanted.tolist(), strict=True):
        before = -1
        for token, target in zip(tokens, targets, strict=True):
            if target != IGNORED:
                yield (before, token), target
            before = token


@torch.no_grad()
def _network_losses(subject: Subject, index: Tensor) -> NDArray[np.float64]:
    dataset, objective = subject.dataset, subject.objective
    assert dataset is not None and dataset.valid is not None and objective is not None
    subject.network.eval()
    losses = []
    for part in index.split(32):
        inputs = tuple(tensor.to(subject.target.device) for tensor in dataset.valid.rows.take(part))
        target = dataset.valid.target[part].to(subject.target.device)
        losses.append(objective.kept_losses(objective.keep(subject.answer(*inputs).float(), target), target).cpu())
    return torch.cat(losses).double().numpy()


def _scored(losses: NDArray[np.float64]) -> dict[str, float]:
    half = _difference(losses)["se"] * Z
    return {"score": float(losses.mean()), "low": float(losses.mean()) - half, "high": float(losses.mean()) + half}


def _difference(values: NDArray[np.float64]) -> dict[str, float]:
    spread = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 1.0
    return {"mean": float(values.mean()), "se": spread}
