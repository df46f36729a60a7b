"""The targets as the loss sees them: classes and their shares, or size, skew and tails of numbers.

    top share = sum of |z - median z| over the 1 % largest / sum over all rows

For the squared error at its start, |z - median| is proportional to the gradient that a row sends to the outputs.

Shapes: N rows of the training split, T targets.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from limpid.objectives.objective import Regression
from limpid.probes.data_inputs import layer_order
from limpid.probes.data_sample import finite_statistic, name_rows
from limpid.probes.subject import Subject

TOP = 0.01  # share of the rows whose part in the gradient is asked for
MOST_TARGETS = 16
RANGES: dict[type[nn.Module], tuple[float, float]] = {
    nn.Sigmoid: (0.0, 1.0),
    nn.Tanh: (-1.0, 1.0),
    nn.ReLU: (0.0, float("inf")),
    nn.Softplus: (0.0, float("inf")),
    nn.Softmax: (0.0, 1.0),
    nn.Hardtanh: (-1.0, 1.0),
}


def measure(subject: Subject) -> dict[str, Any] | None:
    """Statistics of number targets; None for classes, whose counts the spec holds."""
    regression = isinstance(subject.objective, Regression) or (
        subject.objective is None and subject.target.is_floating_point()
    )
    if not regression:
        return None
    target = subject.target if subject.dataset is None else subject.dataset.train.target
    raw_NT = target.detach().cpu().double().reshape(len(target), -1)[:, :MOST_TARGETS]
    if subject.objective is None and ((raw_NT == 0) | (raw_NT == 1)).all():
        return None  # labels as zeros and ones
    z_NT = _as_loss_sees(subject, raw_NT)
    names = subject.spec.target_names if subject.spec is not None else ()
    measured: list[dict[str, Any]] = []
    for t in range(z_NT.shape[1]):
        one = _describe(z_NT[:, t])
        measured.append({"name": names[t] if t < len(names) else f"target {t}", "raw_mean": raw_NT[:, t].mean().item()})
        measured[-1] |= {"raw_std": raw_NT[:, t].std(correction=0).item(), **one}
        far_N = (z_NT[:, t] - z_NT[:, t].median()).abs()
        measured[-1]["rows"] = name_rows(subject, far_N.argsort(descending=True))
    return {"n": len(raw_NT), "targets": measured, "reach": _reach(subject, z_NT)}


def top_share(size_N: Tensor) -> float | None:
    """Part of the sum that the largest 1 % of these sizes have; None for fewer than 100 rows."""
    num = int(len(size_N) * TOP)
    if num < 1:
        return None
    total = size_N.sum().item()
    return finite_statistic(size_N.topk(num).values.sum().item() / total) if total > 0 else None


def _as_loss_sees(subject: Subject, raw_NT: Tensor) -> Tensor:
    """Standardised where the objective does that."""
    objective = subject.objective
    if isinstance(objective, Regression) and not objective.log_rate:
        mean_T, std_T = objective.mean_T.cpu().double(), objective.std_T.cpu().double()
        return (raw_NT - mean_T[: raw_NT.shape[1]]) / std_T[: raw_NT.shape[1]]
    return raw_NT


def _describe(z_N: Tensor) -> dict[str, Any]:
    mean, std = z_N.mean(), z_N.std(correction=0)
    middle = z_N.median()
    away_N = (z_N - middle).abs()
    deviation = away_N.median() * 1.4826  # of a normal distribution: its standard deviation
    skew = ((z_N - mean) ** 3).mean() / std.clamp_min(1e-300) ** 3
    return {
        "mean": finite_statistic(mean.item()),
        "std": finite_statistic(std.item()),
        "skew": finite_statistic(skew.item()),
        "farthest": finite_statistic((away_N.max() / deviation).item()) if deviation > 0 else None,
        "top_share": top_share(away_N),
    }


def _reach(subject: Subject, z_NT: Tensor) -> dict[str, Any] | None:
    """The range of the last activation, and how many targets lie outside it."""
    if not z_NT.numel() or not torch.isfinite(z_NT).all():
        return None
    order = layer_order(subject)
    bounds = RANGES.get(type(order[-1])) if order else None
    if bounds is None:
        return None
    low, high = bounds
    outside = ((z_NT < low) | (z_NT > high)).double().mean().item()
    return {"layer": type(order[-1]).__name__, "low": low, "high": min(high, 1e30), "outside": outside}
