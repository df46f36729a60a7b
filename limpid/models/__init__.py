"""What computes: architectures, their initial weights, their costs."""

from limpid.models.cost import layer_table, totals
from limpid.models.network import InputScale, Network, wrap_module
from limpid.models.registry import ModelEntry, build_model, models, takes_codes

__all__ = [
    "InputScale",
    "ModelEntry",
    "Network",
    "build_model",
    "layer_table",
    "models",
    "takes_codes",
    "totals",
    "wrap_module",
]
