"""What is wanted: loss, decision, metrics and the loss of knowing nothing."""

from limpid.objectives.intervals import interval_of
from limpid.objectives.objective import Objective
from limpid.objectives.registry import build_objective

__all__ = ["Objective", "build_objective", "interval_of"]
