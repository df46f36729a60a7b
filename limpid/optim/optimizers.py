"""From the configuration to an optimiser over a model's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.config import OptimConfig
from limpid.errors import ModelError
from limpid.optim.fused import FusedAdam, FusedSGD
from limpid.optim.layer_decay import split_by_rate
from limpid.optim.param_groups import param_groups

# Where torch updates all parameters of a group in one kernel; elsewhere it goes by lists of tensors.
FUSED_DEVICES = {"cpu", "cuda"}

Groups = list[dict[str, Any]]


def build_optimizer(
    config: OptimConfig, model: nn.Module, *, fused: bool = True, rate_scales: Mapping[int, float] | None = None
) -> torch.optim.Optimizer:
    """The configured optimiser over the model's trainable parameters.

    `fused` asks for the one-kernel update where device and dtype have it; `rate_scales` holds factors of the learning
    rate by the ids of parameters (optim/layer_decay.py). Raises ModelError when nothing is trainable.
    """
    assert config.name != "auto", "defaults.py resolves auto before anything is built"
    assert config.lr is not None and config.weight_decay is not None, "defaults.py resolves lr and weight_decay"
    part = OPTIMIZERS.find(config.name)
    groups = param_groups(model, config.weight_decay, decay_all=config.decay_all)
    if rate_scales:
        groups = split_by_rate(groups, config.lr, rate_scales)
    parameters = [p for group in groups for p in group["params"]]
    if not parameters:
        raise ModelError(f"{type(model).__name__} has no trainable parameter: nothing to train.")
    fused = fused and {p.device.type for p in parameters} <= FUSED_DEVICES and len({p.dtype for p in parameters}) == 1
    optimizer: torch.optim.Optimizer = part.load()(
        groups, lr=config.lr, fused=fused, **part.accept(config.options, "optim")
    )
    return optimizer


def build_sgd(groups: Groups, *, lr: float, fused: bool, momentum: float, nesterov: bool) -> torch.optim.Optimizer:
    nesterov = nesterov and momentum > 0  # torch refuses the look-ahead without momentum, where it is plain descent
    if fused:
        return FusedSGD(groups, lr=lr, momentum=momentum, weight_decay=0.0, nesterov=nesterov)
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov)


def build_adam(
    groups: Groups, *, lr: float, fused: bool, betas: tuple[float, float], eps: float
) -> torch.optim.Optimizer:
    if fused:
        return FusedAdam(groups, lr=lr, betas=betas, eps=eps, weight_decay=0.0, decoupled=False)
    return torch.optim.Adam(groups, lr=lr, betas=betas, eps=eps)


def build_adamw(
    groups: Groups, *, lr: float, fused: bool, betas: tuple[float, float], eps: float
) -> torch.optim.Optimizer:
    if fused:
        return FusedAdam(groups, lr=lr, betas=betas, eps=eps, weight_decay=0.0, decoupled=True)
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps)
