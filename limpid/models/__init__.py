"""What computes: architectures, their initial weights, their costs."""

from limpid.models.cost import layer_table, totals
from limpid.models.network import InputScale, Network, wrap_module
from limpid.models.registry import build_model, takes_codes

__all__ = [
    "InputScale",
    "Network",
    "build_model",
    "layer_table",
    "takes_codes",
    "totals",
    "wrap_module",
]
