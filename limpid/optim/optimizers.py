"""From the configuration to an optimiser over a model's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from limpid.catalogue.optimizer_part import OptimizerPart
from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.config import OptimConfig
from limpid.errors import ConfigError, ModelError
from limpid.optim.evaluation_weights import TrainsElsewhere
from limpid.optim.layer_decay import split_by_rate
from limpid.optim.lookahead import Lookahead
from limpid.optim.param_groups import mark_hidden, param_groups

# Where torch updates all parameters of a group in one kernel; elsewhere it goes by lists of tensors.
FUSED_DEVICES = {"cpu", "cuda"}


def build_optimizer(
    config: OptimConfig, model: nn.Module, *, fused: bool = True, rate_scales: Mapping[int, float] | None = None
) -> torch.optim.Optimizer:
    """The configured optimiser over the model's trainable parameters.

    `fused` asks for the one-kernel update where device and dtype have it; `rate_scales` holds factors of the learning
    rate by the ids of parameters (optim/layer_decay.py).

    Raises:
        ConfigError: options that do not go together.
        ModelError: nothing is trainable.
    """
    assert config.name != "auto", "defaults.py resolves auto before anything is built"
    assert config.lr is not None and config.weight_decay is not None, "defaults.py resolves lr and weight_decay"
    part = OPTIMIZERS.find(config.name)
    options = _accepted(part, config)
    groups = param_groups(model, config.weight_decay, decay_all=config.decay_all)
    if part.tells_hidden:
        groups = mark_hidden(groups, model)
    if rate_scales:
        groups = split_by_rate(groups, config.lr, rate_scales)
    parameters = [p for group in groups for p in group["params"]]
    if not parameters:
        raise ModelError(f"{type(model).__name__} has no trainable parameter: nothing to train.")
    fused = fused and {p.device.type for p in parameters} <= FUSED_DEVICES and len({p.dtype for p in parameters}) == 1
    optimizer: torch.optim.Optimizer = part.load()(groups, lr=config.lr, fused=fused, **options)
    if config.lookahead:
        if isinstance(optimizer, TrainsElsewhere):
            raise ConfigError(f"optim.lookahead cannot pull {part.name} back: its weights already run ahead of it.")
        Lookahead(optimizer, config.lookahead, config.lookahead_alpha)
    return optimizer


def _accepted(part: OptimizerPart, config: OptimConfig) -> dict[str, Any]:
    """Every option of the optimiser, given or by default."""
    if part.decay == "none" and config.weight_decay:
        raise ConfigError(f"{part.name} has no weight decay: set optim.weight_decay=0.")
    options = part.accept(config.options, "optim")
    for key, value in options.items():
        expected = part.options[key].default
        if isinstance(value, tuple) and len(value) != len(expected):
            shown = ",".join(map(str, expected))
            raise ConfigError(f"optim.{key} takes {len(expected)} numbers, such as {shown}; found {len(value)}.")
    return options
