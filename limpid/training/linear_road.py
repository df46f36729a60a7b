"""float32 matrix products through oneDNN, for processors on which the default library is much slower.

`nn.Linear` multiplies with whatever library torch was built for (mostly MKL), which on some processors reaches half of
what oneDNN reaches. `onednn_wins` measures both on the model's own largest layer; where oneDNN wins,
`take_onednn_road` swaps the product that the linear layers of a model use during training. Parameters, names and
results (up to float32 rounding) stay the same.

Shapes: B samples, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from limpid.device import least_seconds, onednn_product, remembered

# oneDNN must beat the default product by this factor, forward and backward together. Dimensionless; it stands clear of
# the noise of the measurement, a tenth on a busy machine.
MUST_GAIN = 1.3


class OneDnnLinear(torch.autograd.Function):
    """y = x w^T + b, with dx = g w, dw = g^T x, db = sum_B g."""

    @staticmethod
    def forward(ctx: Any, x_BI: Tensor, w_OI: Tensor, b_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(x_BI, w_OI)
        ctx.has_bias = b_O is not None
        return onednn_product(x_BI, w_OI, b_O)

    @staticmethod
    def backward(ctx: Any, g_BO: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x_BI, w_OI = ctx.saved_tensors
        g_BO = g_BO.contiguous()
        dx_BI = onednn_product(g_BO, w_OI.t().contiguous()) if ctx.needs_input_grad[0] else None
        dw_OI = onednn_product(g_BO.t().contiguous(), x_BI.t().contiguous()) if ctx.needs_input_grad[1] else None
        db_O = g_BO.sum(dim=0) if ctx.has_bias and ctx.needs_input_grad[2] else None
        return dx_BI, dw_OI, db_O


def onednn_wins(model: nn.Module, batch_size: int) -> bool:
    """Whether the largest linear layer of a model on the CPU trains much faster through oneDNN (float32)."""
    layers = [module for module in model.modules() if type(module) is nn.Linear]
    if not layers or not torch.backends.mkldnn.is_available():
        return False
    largest = max(layers, key=lambda layer: layer.in_features * layer.out_features)
    shape = (batch_size, largest.in_features, largest.out_features)
    return bool(remembered(f"oneDNN against default, linear {shape}", lambda: _gain(*shape)) > MUST_GAIN)


def _gain(batch_size: int, num_inputs: int, num_outputs: int) -> float:
    """Time of the default product over that of oneDNN's, forward and backward."""
    x = torch.randn(batch_size, num_inputs, requires_grad=True)
    w = torch.randn(num_outputs, num_inputs, requires_grad=True)
    b = torch.zeros(num_outputs, requires_grad=True)
    g = torch.ones(batch_size, num_outputs)
    default = least_seconds(lambda: nn.functional.linear(x, w, b).backward(g), repeats=15)
    return default / least_seconds(lambda: OneDnnLinear.apply(x, w, b).backward(g), repeats=15)


@contextmanager
def take_onednn_road(model: nn.Module, wanted: bool) -> Iterator[None]:
    """While open, and if wanted, the model's plain linear layers multiply float32 matrices through oneDNN."""
    layers = [module for module in model.modules() if type(module) is nn.Linear] if wanted else []
    for layer in layers:
        layer.forward = _forward_of(layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward_of(layer: nn.Linear) -> Any:
    def forward(x: Tensor) -> Tensor:
        if x.ndim != 2 or x.dtype != torch.float32:
            return nn.functional.linear(x, layer.weight, layer.bias)
        product: Tensor = OneDnnLinear.apply(x, layer.weight, layer.bias)
        return product

    return forward
