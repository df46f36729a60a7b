"""What is known of an optimiser before it is built, and the options that many share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from limpid.catalogue.part import Option, Part


@dataclass(frozen=True, kw_only=True)
class OptimizerPart(Part):
    """An optimiser, with the learning rate and weight decay that its default settings mean.

    `home` is a function (groups, *, lr, fused, **options) -> torch.optim.Optimizer, where `groups` are parameter groups
    that hold their own weight decay.
    """

    lr: float
    weight_decay: float = 0.0
    decay: Literal["l2", "decoupled", "none"] = "l2"  # l2: part of the gradient; decoupled: beside it
    schedule: str = "one_cycle"  # the course of the rate that suits it, and the share of the steps that warm up
    warmup: float = 0.25
    tells_hidden: bool = False  # its groups say which weights lie between hidden layers (param_groups.mark_hidden)
    elementwise: bool = True  # every number moves by its own gradients alone, whatever tensor it stands in


BELOW_ONE = 0.99999  # rates of decay of an average: at 1 it would never move
BETAS = Option((0.9, 0.999), "decay rates of the averages of the gradient and of its square", 0.0, BELOW_ONE)
EPS = Option(1e-8, "added to the root of the second average", 0.0)
MOMENTUM = Option(0.9, "share of the last step that is kept", 0.0, 1.0)
DECOUPLED = Option(False, "weight decay beside the gradient, as in adamw, and not as a part of it")
