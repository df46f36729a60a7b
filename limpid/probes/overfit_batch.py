"""P2: can a copy of the network memorise a few fixed rows, without regularisation?

Progress is measured between the first loss and the floor: what free outputs reach, numbers that the same loss may move
as it likes. So label smoothing and class weights count for nothing. Sources: Karpathy 2019; CS231n (20 examples).

Shapes: B rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from limpid.probes.learner import learn, learns_by_gradient, twin
from limpid.probes.subject import Subject

ROWS = 16
RATES = (3e-3, 3e-4, 3e-2)  # Adam's; the second and third are tried only when the one before failed
STEPS = 400
SECONDS = 3.0  # for each rate
DONE = 0.98  # share of the way to the floor


def measure(subject: Subject) -> dict[str, Any] | None:
    """{first, last, floor: losses; share: of the way; steps, lr, n, curve}; None where too few rows differ.

    `out_of_time` says that the machine was too slow for all the steps, so that a small share says nothing.
    """
    if not learns_by_gradient(subject):
        return None
    chosen = _different(subject)
    if len(chosen) < 4:
        return None
    inputs, target = tuple(x[chosen] for x in subject.inputs), subject.target[chosen]
    with torch.random.fork_rng(devices=[]):
        best: dict[str, Any] | None = None
        for lr in RATES:
            copy = twin(subject)
            floor = _floor(copy, inputs, target)
            if floor is None:
                return None
            tried = _try(learn(copy, inputs, target, lr=lr, steps=STEPS, seconds=SECONDS), floor) | {"lr": lr}
            if best is None or tried["share"] > best["share"]:
                best = tried
            if best["share"] >= DONE:
                break
    assert best is not None
    return best | {"floor": floor, "n": len(chosen)}


def _try(losses: Iterable[float], floor: float) -> dict[str, Any]:
    """How far down the losses go: (first - lowest) / (first - floor)."""
    seen: list[float] = []
    for loss in losses:
        seen.append(loss)
        if _way(seen[0], loss, floor) >= DONE and loss - floor < 0.01:
            break
    lowest = min((loss for loss in seen if math.isfinite(loss)), default=math.inf)
    share = _way(seen[0], lowest, floor) if seen and math.isfinite(lowest) else 0.0
    stride = max(1, len(seen) // 50)
    return {
        "first": seen[0] if seen else None,
        "last": lowest if seen else None,
        "share": share,
        "steps": len(seen),
        "out_of_time": share < DONE and len(seen) < STEPS and math.isfinite(lowest) and math.isfinite(seen[-1]),
        "curve": seen[::stride],
        "curve_stride": stride,
    }


def _way(first: float, loss: float, floor: float) -> float:
    return 1.0 if first <= floor else max(0.0, (first - loss) / (first - floor))


def _different(subject: Subject) -> Tensor:
    """Up to ROWS rows whose inputs differ: equal ones with different targets cannot be told apart by anything."""
    flat = torch.cat([x.reshape(len(x), -1).double() for x in subject.inputs], dim=1)
    kept: list[int] = []
    for row in range(len(flat)):
        if not any(torch.equal(flat[row], flat[other]) for other in kept):
            kept.append(row)
        if len(kept) == ROWS:
            break
    return torch.tensor(kept, device=subject.target.device)


def _floor(subject: Subject, inputs: tuple[Tensor, ...], target: Tensor) -> float | None:
    """Lowest loss of free outputs of the network's shape and range of numbers."""
    with torch.no_grad():
        answer = subject.answer(*inputs)
    if not isinstance(answer, Tensor) or not answer.is_floating_point():
        return None
    free = answer.detach().float().clone().requires_grad_()
    optimizer = torch.optim.Adam([free], lr=0.3)
    lowest = math.inf
    for _ in range(300):
        optimizer.zero_grad()
        with torch.enable_grad():
            loss = subject.loss(free, target)
        if not loss.requires_grad:
            return None
        lowest = min(lowest, loss.item())
        loss.backward()
        optimizer.step()
    return lowest if math.isfinite(lowest) else None
