"""float32 matrix products through oneDNN, for processors on which the default library is much slower.

`nn.Linear` multiplies with whatever library torch was built for (mostly MKL), which on some processors reaches half of
what oneDNN reaches. limpid.device measures both; where oneDNN wins, `take_onednn_road` swaps the product that the
linear layers of a model use during training. Parameters, names and results (up to float32 rounding) stay the same.

Shapes: B samples, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from limpid.device import onednn_product


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
