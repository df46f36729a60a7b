"""The plain recurrent layer, unfolded over its sequence by hand.

    a_t = b + W h_{t-1} + U x_t          h_t = g(a_t),  g = tanh, ReLU or the identity

Source: Elman 1990, Finding structure in time. `nn.RNN` has two biases where the equation has one, and no identity.

All steps' U x_t + b are one matrix product before the loop, and the gradients of U, W and b are one product each after
it; what is left inside is W h_{t-1} and g, in place.

Shapes: T steps, B sequences, I inputs, H units.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class ElmanScan(torch.autograd.Function):
    """h_1 ... h_T as (T, B, H), with back-propagation through time:

    dL/da_t = g'(a_t) (dL/dh_t + W^T dL/da_{t+1})
    """

    @staticmethod
    def forward(ctx: Any, ux_TBH: Tensor, w_HH: Tensor, h0_BH: Tensor, nonlinearity: str) -> Tensor:
        ctx.nonlinearity = nonlinearity
        h_TBH = ux_TBH.clone()
        w_t, h_BH = w_HH.t(), h0_BH
        for a_BH in h_TBH.unbind(0):
            a_BH.addmm_(h_BH, w_t)
            if nonlinearity == "tanh":
                a_BH.tanh_()
            elif nonlinearity == "relu":
                a_BH.relu_()
            h_BH = a_BH
        ctx.save_for_backward(h_TBH, w_HH, h0_BH)
        return h_TBH

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_TBH: Tensor) -> tuple[Tensor | None, ...]:
        h_TBH, w_HH, h0_BH = ctx.saved_tensors
        da_TBH = grad_TBH.clone(memory_format=torch.contiguous_format)
        for t in range(len(h_TBH) - 1, -1, -1):
            da_BH = da_TBH[t]
            if t + 1 < len(h_TBH):
                da_BH.addmm_(da_TBH[t + 1], w_HH)
            if ctx.nonlinearity == "tanh":
                torch.ops.aten.tanh_backward.grad_input(da_BH, h_TBH[t], grad_input=da_BH)
            elif ctx.nonlinearity == "relu":
                da_BH.mul_(h_TBH[t] > 0)
        dw_HH = da_TBH[0].t() @ h0_BH
        dw_HH.addmm_(da_TBH[1:].flatten(0, 1).t(), h_TBH[:-1].flatten(0, 1))
        dh0_BH = da_TBH[0] @ w_HH if ctx.needs_input_grad[2] else None
        return da_TBH, dw_HH, dh0_BH, None


class Elman(nn.Module):
    """One layer of plain recurrent units; called as `nn.RNN` is: (T, B, I), state (1, B, H) -> (T, B, H), state."""

    def __init__(self, num_inputs: int, num_units: int, nonlinearity: str = "tanh") -> None:
        super().__init__()
        self.nonlinearity = nonlinearity
        bound = 1.0 / math.sqrt(num_units)
        self.weight_ih = nn.Parameter(torch.empty(num_units, num_inputs).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(num_units, num_units).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(num_units))

    def forward(self, x_TBI: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        ux_TBH = nn.functional.linear(x_TBI, self.weight_ih, self.bias)
        h0_BH = ux_TBH.new_zeros(ux_TBH.shape[1:]) if state is None else state[0].to(ux_TBH.dtype)
        h_TBH = ElmanScan.apply(ux_TBH, self.weight_hh.to(ux_TBH.dtype), h0_BH, self.nonlinearity)
        return h_TBH, h_TBH[-1:]

    def extra_repr(self) -> str:
        return f"{self.weight_ih.shape[1]} -> {self.weight_ih.shape[0]}, {self.nonlinearity}"
