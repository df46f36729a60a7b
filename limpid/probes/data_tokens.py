"""Texts as tokens: how many are unknown or padding, and whether padding has a say in answer or loss.

Shapes: N texts, B rows of the subject, T tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.probes.data_sample import sample_split
from limpid.probes.subject import Subject
from limpid.spec import PADDING, UNKNOWN

ROWS = 400
FEW = 8  # rows that are padded further
LEAST_PADDING = 0.1  # share of the places, from which a trailing run of one token counts as padding


def measure(subject: Subject) -> dict[str, Any] | None:
    """{unknown, unknown_valid, padding}; None where inputs are no texts."""
    spec, dataset = subject.spec, subject.dataset
    if spec is None or dataset is None or spec.kind not in ("text", "pairs"):
        return None
    values: dict[str, Any] = {"context": spec.input_shape[0], "vocabulary": spec.vocabulary}
    for name, split in (("train", dataset.train), ("valid", dataset.valid)):
        if split is None:
            continue
        tokens_NT = sample_split(split, ROWS).inputs[0]
        real = (tokens_NT != PADDING).sum().item()
        values[name] = {
            "n": len(tokens_NT),
            "unknown": (tokens_NT == UNKNOWN).sum().item() / max(1, real),
            "padding": 1.0 - real / max(1, tokens_NT.numel()),
        }
    return values


def measure_padding(subject: Subject) -> dict[str, Any] | None:
    """What more padding does to the answers, and what share of the loss lies on padding; None without padding."""
    first = subject.inputs[0]
    text = subject.spec is None or subject.spec.kind == "text"
    if not text or first.ndim != 2 or first.is_floating_point() or first.dtype in (torch.uint8, torch.bool):
        return None
    values: dict[str, Any] = {}
    behind_BT = _behind(subject, first)
    if behind_BT is None:
        return None
    values["padding"] = behind_BT.float().mean().item()
    subject.network.eval()
    on_padding = _loss_on_padding(subject, behind_BT)
    if on_padding is not None:
        values["loss_on_padding"] = on_padding
    if len(subject.inputs) == 2:  # with lengths, so that the network could know
        moved = _moved_by_padding(subject)
        if moved is not None:
            values["moved"] = moved
    return values


def _behind(subject: Subject, first: Tensor) -> Tensor | None:
    """(B, T), the places behind the end of each row; None where rows have none."""
    if len(subject.inputs) == 2 and subject.inputs[1].ndim == 1:
        return torch.arange(first.shape[1], device=first.device) >= subject.inputs[1].unsqueeze(1)
    last = first[:, -1].mode().values
    behind_BT = (first == last).flip(1).cumprod(1).flip(1).bool()
    return behind_BT if behind_BT.float().mean().item() > LEAST_PADDING and bool(behind_BT[:, -1].any()) else None


def _loss_on_padding(subject: Subject, behind_BT: Tensor) -> float | None:
    """Share of the absolute gradient of the loss with respect to the outputs that lies behind the ends of the rows."""
    with torch.no_grad():
        outputs = subject.answer()
    if not isinstance(outputs, Tensor) or subject.target.shape != behind_BT.shape:
        return None
    free = outputs.detach().float().requires_grad_()
    (slope,) = torch.autograd.grad(subject.loss(free, subject.target), free)
    if slope.numel() % behind_BT.numel():
        return None
    if slope.shape[:2] == behind_BT.shape:
        size_BT = slope.abs().flatten(2).sum(2) if slope.ndim > 2 else slope.abs()
    elif slope.ndim == 3 and (slope.shape[0], slope.shape[2]) == behind_BT.shape:  # classes second, as torch has them
        size_BT = slope.abs().sum(1)
    elif slope.shape[0] == behind_BT.numel():
        size_BT = slope.abs().flatten(1).sum(1).view(behind_BT.shape)
    else:
        return None
    total = size_BT.sum().item()
    return float(size_BT[behind_BT].sum().item() / total) if total > 0 else None


@torch.no_grad()
def _moved_by_padding(subject: Subject) -> float | None:
    """Largest change of an answer when rows are padded to twice their length, as a share of the answers' spread."""
    first, lengths = (tensor[:FEW] for tensor in subject.inputs)
    longer = torch.nn.functional.pad(first, (0, first.shape[1]), value=PADDING)
    try:
        before, behind = subject.answer(first, lengths), subject.answer(longer, lengths)
    except (RuntimeError, IndexError, ValueError):  # the network takes one length only
        return None
    if not isinstance(before, Tensor) or before.ndim != 2 or before.shape != behind.shape:
        return None
    spread = before.float().std().item()
    return float((behind - before).abs().max().item() / max(spread, 1e-6))
