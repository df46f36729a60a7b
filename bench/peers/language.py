"""The course of W5: random windows of tiny Shakespeare, AdamW with warm-up and cosine, 200 updates to an "epoch".

The settings are those that nanoGPT publishes for a laptop's CPU: batch 12, context 64, rate 1e-3 down to 1e-4, 100
updates of warm-up, betas 0.9 and 0.99, decay 0.1, gradients clipped at norm 1. The last tenth of the text is the test.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from report import Options, Report
from torch import Tensor, nn

BATCH, CONTEXT, UPDATES, WARMUP = 12, 64, 200, 100
PEAK, LEAST = 1e-3, 1e-4


def read_text(folder: Path) -> tuple[Tensor, Tensor, int]:
    """Training and test characters as int64, and how many kinds there are."""
    text = (folder / "text" / "tinyshakespeare.txt").read_text(encoding="utf-8")
    kinds = sorted(set(text))
    number = {kind: i for i, kind in enumerate(kinds)}
    codes = torch.tensor([number[kind] for kind in text])
    border = int(0.9 * len(codes))
    return codes[:border], codes[border:], len(kinds)


def draw(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Twelve windows at random places, and their next characters."""
    starts = torch.randint(len(codes) - CONTEXT, (BATCH,))
    return (
        torch.stack([codes[i : i + CONTEXT] for i in starts]),
        torch.stack([codes[i + 1 : i + 1 + CONTEXT] for i in starts]),
    )


def rate(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine."""
    if step < WARMUP:
        return PEAK * (step + 1) / (WARMUP + 1)
    return LEAST + 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / max(1, steps - WARMUP))) * (PEAK - LEAST)


def make_optimizer(model: nn.Module, *, fused: bool) -> torch.optim.Optimizer:
    """AdamW that decays matrices only."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.99), fused=fused)


def train(
    model: Callable[[Tensor, Tensor], Tensor],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    codes: Tensor,
    options: Options,
    *,
    context: AbstractContextManager[object] | None = None,
) -> Report:
    """`options.epochs` times 200 updates; the report counts tokens."""
    report = Report(UPDATES * BATCH * CONTEXT)
    steps = UPDATES * options.epochs
    for epoch in range(options.epochs):
        started = time.perf_counter()
        for step in range(epoch * UPDATES, (epoch + 1) * UPDATES):
            for group in optimizer.param_groups:
                group["lr"] = rate(step, steps)
            x, y = draw(codes)
            with context or nullcontext():
                loss = model(x, y)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        report.epoch(time.perf_counter() - started)
    return report


@torch.inference_mode()
def test_loss(network: nn.Module, codes: Tensor) -> float:
    """Nats per character over all disjoint windows of the test text."""
    network.eval()
    inputs, targets = codes[:-1].unfold(0, CONTEXT, CONTEXT), codes[1:].unfold(0, CONTEXT, CONTEXT)
    losses = [network(x, y).item() * len(x) for x, y in zip(inputs.split(128), targets.split(128), strict=True)]
    return sum(losses) / len(inputs)
