"""The last value, or that of the last season, as the forecast of a series (Hyndman & Athanasopoulos 2021, 5.2).

Shapes: M windows, T steps of a window, F features, H steps ahead, C targets of a step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from limpid.data.dataset import Split
from limpid.spec import DataSpec


def naive_forecasts(split: Split, spec: DataSpec, index_M: Tensor) -> dict[str, Tensor]:
    """Answers (M, H C) by name, in the target's units; none for data that are no forecast of a series."""
    plan = spec.preparation
    if spec.kind != "series" or plan.get("kind") != "forecast" or not plan.get("target_features"):
        return {}
    values_MTF = split.rows.take(index_M)[0].cpu().float()
    seen_MTC = values_MTF[..., list(plan["target_features"])]
    horizon, season, window = int(plan["horizon"]), plan.get("season"), seen_MTC.shape[1]
    ahead_H = torch.arange(1, horizon + 1)
    answers = {"last value": _at(seen_MTC, torch.zeros_like(ahead_H))}
    if season and season <= window:
        answers["last season"] = _at(seen_MTC, season * -(-ahead_H // season) - ahead_H)
    return {name: answer for name, answer in answers.items() if answer.shape[1] == spec.num_outputs}


def _at(seen_MTC: Tensor, back_H: Tensor) -> Tensor:
    """The values so many steps before the last one of each window, (M, H C)."""
    last = seen_MTC.shape[1] - 1
    return seen_MTC[:, (last - back_H).clamp(min=0)].flatten(1)
