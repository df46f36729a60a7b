"""Long short-term memory, unfolded over its sequence by hand.

    f_t = s(W_f [h_{t-1}, x_t] + b_f)      what to forget        i_t = s(W_i [h_{t-1}, x_t] + b_i)    what to take up
    u_t = tanh(W_u [h_{t-1}, x_t] + b_u)   what is new           o_t = s(W_o [h_{t-1}, x_t] + b_o)    what to show
    c_t = f_t c_{t-1} + i_t u_t            the state             h_t = o_t tanh(c_t)                  the output

Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000. Gates lie in the order i, f, u, o, as
in `nn.LSTM`, which has two biases where the equations have one.

The products with x_t of all steps are one before the loop, the gradients of the weights one each after it.

Shapes: T steps, B sequences, I inputs, H units, G = 4 H gate values.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input


class LSTMScan(torch.autograd.Function):
    """h_1 ... h_T as (T, B, H), and the last state c_T as (B, H)."""

    @staticmethod
    def forward(ctx: Any, wx_TBG: Tensor, w_GH: Tensor, h0_BH: Tensor, c0_BH: Tensor) -> tuple[Tensor, Tensor]:
        steps, batch, num_units = len(wx_TBG), *h0_BH.shape
        gates_TBG = wx_TBG.clone()
        h_TBH, tanh_c_TBH = (wx_TBG.new_empty(steps, batch, num_units) for _ in range(2))
        c_TBH = wx_TBG.new_empty(steps + 1, batch, num_units)
        c_TBH[0] = c0_BH
        w_t, h_BH = w_GH.t(), h0_BH
        for t, gates_BG in enumerate(gates_TBG.unbind(0)):
            gates_BG.addmm_(h_BH, w_t)
            gates_BG[:, : 2 * num_units].sigmoid_()
            gates_BG[:, 2 * num_units : 3 * num_units].tanh_()
            gates_BG[:, 3 * num_units :].sigmoid_()
            i, f, u, o = gates_BG.chunk(4, dim=1)
            c_BH, tanh_c_BH, h_BH = c_TBH[t + 1], tanh_c_TBH[t], h_TBH[t]
            torch.mul(f, c_TBH[t], out=c_BH).addcmul_(i, u)
            torch.tanh(c_BH, out=tanh_c_BH)
            torch.mul(o, tanh_c_BH, out=h_BH)
        ctx.save_for_backward(gates_TBG, c_TBH, tanh_c_TBH, h_TBH, w_GH, h0_BH)
        return h_TBH, c_TBH[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_TBH: Tensor, grad_c_BH: Tensor) -> tuple[Tensor | None, ...]:
        gates_TBG, c_TBH, tanh_c_TBH, h_TBH, w_GH, h0_BH = ctx.saved_tensors
        dgates_TBG = torch.empty_like(gates_TBG)
        dc_BH = grad_c_BH.clone(memory_format=torch.contiguous_format)
        part_BH = torch.empty_like(dc_BH)
        dh_BH = grad_TBH[-1]
        for t in range(len(h_TBH) - 1, -1, -1):
            i, f, u, o = gates_TBG[t].chunk(4, dim=1)
            di, df, du, do = dgates_TBG[t].chunk(4, dim=1)
            torch.mul(dh_BH, tanh_c_TBH[t], out=part_BH)
            sigmoid_backward(part_BH, o, grad_input=do)
            torch.mul(dh_BH, o, out=part_BH)
            dc_BH.add_(tanh_backward(part_BH, tanh_c_TBH[t], grad_input=part_BH))
            sigmoid_backward(torch.mul(dc_BH, u, out=part_BH), i, grad_input=di)
            sigmoid_backward(torch.mul(dc_BH, c_TBH[t], out=part_BH), f, grad_input=df)
            tanh_backward(torch.mul(dc_BH, i, out=part_BH), u, grad_input=du)
            dc_BH.mul_(f)
            if t > 0:
                dh_BH = torch.addmm(grad_TBH[t - 1], dgates_TBG[t], w_GH)
        dw_GH = dgates_TBG[0].t() @ h0_BH
        dw_GH.addmm_(dgates_TBG[1:].flatten(0, 1).t(), h_TBH[:-1].flatten(0, 1))
        dh0_BH = dgates_TBG[0] @ w_GH if ctx.needs_input_grad[2] else None
        return dgates_TBG, dw_GH, dh0_BH, dc_BH


class LSTM(nn.Module):
    """One layer; called as `nn.LSTM` is: (T, B, I), two states (1, B, H) -> (T, B, H), states.

    The forget gate's bias starts at 1, so that memory is kept before it is learned what to drop (Jozefowicz 2015).
    """

    def __init__(self, num_inputs: int, num_units: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(num_units)
        self.weight_ih = nn.Parameter(torch.empty(4 * num_units, num_inputs).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(4 * num_units, num_units).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(4 * num_units))
        self.bias.data[num_units : 2 * num_units] = 1.0

    def forward(
        self, x_TBI: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        wx_TBG = nn.functional.linear(x_TBI, self.weight_ih, self.bias)
        if state is None:
            zero_BH = wx_TBG.new_zeros(wx_TBG.shape[1], self.weight_hh.shape[1])
            state = (zero_BH[None], zero_BH[None])
        h0_BH, c0_BH = (s[0].to(wx_TBG.dtype) for s in state)
        h_TBH, c_BH = LSTMScan.apply(wx_TBG, self.weight_hh.to(wx_TBG.dtype), h0_BH, c0_BH)
        return h_TBH, (h_TBH[-1:], c_BH[None])

    def extra_repr(self) -> str:
        return f"{self.weight_ih.shape[1]} -> {self.weight_hh.shape[1]}"
