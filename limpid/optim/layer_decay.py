"""A learning rate for each depth: the head moves at the full one, every block before it a little slower.

    lr_b = lr * decay^(number of blocks between b and the head)

Howard & Ruder 2018 (arXiv 1801.06146), who divide by 2.6; Clark et al. 2020 (arXiv 2003.10555) keep 0.8 to 0.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn


def rate_scales(blocks: Sequence[Sequence[nn.Parameter]], decay: float) -> dict[int, float]:
    """The factor of each parameter's rate, by its id; `blocks` run from the input to the head.

    >>> a, b = nn.Parameter(), nn.Parameter()
    >>> list(rate_scales([[a], [b]], 0.5).values())
    [0.5, 1.0]
    """
    top = len(blocks) - 1
    return {id(p): decay ** (top - depth) for depth, parameters in enumerate(blocks) for p in parameters}


def split_by_rate(groups: list[dict[str, Any]], lr: float, scales: Mapping[int, float]) -> list[dict[str, Any]]:
    """The same groups, divided so that each has one rate of its own, `lr` times the scale; the full rate comes first.

    Parameters without a scale keep the full rate.
    """
    divided = []
    for group in groups:
        own = {scales.get(id(p), 1.0) for p in group["params"]}
        for scale in own:
            params = [p for p in group["params"] if scales.get(id(p), 1.0) == scale]
            divided.append({**group, "params": params, "lr": lr * scale})
    return sorted(divided, key=lambda group: (-group["lr"], -group["weight_decay"]))
