"""From the configuration to a torch optimiser.

sgd     v <- mu v + g + lambda w        w <- w - lr v           (nesterov: w <- w - lr (g + mu v))
adam    m, s <- moving averages of g, g^2       w <- w - lr m^ / (sqrt(s^) + eps)       (g includes lambda w)
adamw   adam, and w <- (1 - lr lambda) w apart from the gradient (Loshchilov & Hutter 2019, arXiv 1711.05101)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from limpid.config import OptimConfig
from limpid.errors import ModelError
from limpid.optim.fused import FusedAdam, FusedSGD
from limpid.optim.param_groups import param_groups

# Where torch updates all parameters of a group in one kernel; elsewhere it goes by lists of tensors.
FUSED_DEVICES = {"cpu", "cuda"}


def build_optimizer(config: OptimConfig, model: nn.Module, *, fused: bool = True) -> torch.optim.Optimizer:
    """The configured optimiser over the model's trainable parameters.

    `fused` asks for the one-kernel update where device and dtype have it. Raises ModelError when nothing is trainable.
    """
    assert config.name != "auto", "defaults.py resolves auto before anything is built"
    assert config.lr is not None and config.weight_decay is not None, "defaults.py resolves lr and weight_decay"
    groups = param_groups(model, config.weight_decay, decay_all=config.decay_all)
    parameters = [p for group in groups for p in group["params"]]
    if not parameters:
        raise ModelError(f"{type(model).__name__} has no trainable parameter: nothing to train.")
    fused = fused and {p.device.type for p in parameters} <= FUSED_DEVICES and len({p.dtype for p in parameters}) == 1
    # torch refuses Nesterov's step without momentum, where it would be plain descent
    nesterov = config.nesterov and config.momentum > 0
    if fused:
        if config.name == "sgd":
            return FusedSGD(groups, lr=config.lr, momentum=config.momentum, weight_decay=0.0, nesterov=nesterov)
        decoupled = config.name == "adamw"
        options: dict[str, Any] = {"lr": config.lr, "betas": config.betas, "eps": config.eps, "weight_decay": 0.0}
        return FusedAdam(groups, decoupled=decoupled, **options)
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov)
    if config.name == "adam":
        return torch.optim.Adam(groups, lr=config.lr, betas=config.betas, eps=config.eps)
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps)
