"""How the weights move: optimisers, decay groups, learning-rate schedules, weight averaging."""

from limpid.optim.averaging import WeightAverage, build_average
from limpid.optim.optimizers import build_optimizer
from limpid.optim.param_groups import param_groups
from limpid.optim.schedules import build_schedule

__all__ = ["WeightAverage", "build_average", "build_optimizer", "build_schedule", "param_groups"]
