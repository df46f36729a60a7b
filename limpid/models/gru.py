"""Gated recurrent units, unfolded over their sequence by hand.

    r_t = s(W_r x_t + b_r + U_r h_{t-1})       how much of the past the candidate sees
    z_t = s(W_z x_t + b_z + U_z h_{t-1})       how much of the past stays
    n_t = tanh(W_n x_t + b_n + r_t (U_n h_{t-1} + b_h))        h_t = (1 - z_t) n_t + z_t h_{t-1}

Source: Cho et al. 2014 (arXiv 1406.1078), with the reset gate behind the product as in cuDNN and `nn.GRU`, whose
equations these are but for the doubled biases of r and z.

Shapes: T steps, B sequences, I inputs, H units, G = 3 H gate values.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input


class GRUScan(torch.autograd.Function):
    """h_1 ... h_T as (T, B, H). `bias` b_h belongs to the candidate's product with the past."""

    @staticmethod
    def forward(ctx: Any, wx_TBG: Tensor, u_GH: Tensor, bias_H: Tensor, h0_BH: Tensor) -> Tensor:
        steps, batch, num_units = len(wx_TBG), *h0_BH.shape
        gates_TBG = wx_TBG.clone()
        h_TBH, past_TBH = (wx_TBG.new_empty(steps, batch, num_units) for _ in range(2))
        rz_t, n_t, h_BH = u_GH[: 2 * num_units].t(), u_GH[2 * num_units :].t(), h0_BH
        for t, gates_BG in enumerate(gates_TBG.unbind(0)):
            rz = gates_BG[:, : 2 * num_units]
            rz.addmm_(h_BH, rz_t).sigmoid_()
            r, z = rz.chunk(2, dim=1)
            n = gates_BG[:, 2 * num_units :]
            torch.addmm(bias_H, h_BH, n_t, out=past_TBH[t])
            n.addcmul_(r, past_TBH[t]).tanh_()
            h_BH = torch.lerp(n, h_BH, z, out=h_TBH[t])
        ctx.save_for_backward(gates_TBG, past_TBH, h_TBH, u_GH, h0_BH)
        return h_TBH

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_TBH: Tensor) -> tuple[Tensor | None, ...]:
        gates_TBG, past_TBH, h_TBH, u_GH, h0_BH = ctx.saved_tensors
        num_units = h0_BH.shape[1]
        dgates_TBG = torch.empty_like(gates_TBG)
        dproduct_TBG = torch.empty_like(gates_TBG)  # gradients of U h_{t-1} + b_h
        part_BH = torch.empty_like(h0_BH)
        dh_BH = grad_TBH[-1].clone(memory_format=torch.contiguous_format)
        for t in range(len(h_TBH) - 1, -1, -1):
            before_BH = h_TBH[t - 1] if t > 0 else h0_BH
            r, z, n = gates_TBG[t].chunk(3, dim=1)
            dr, dz, dn = dgates_TBG[t].chunk(3, dim=1)
            sigmoid_backward(torch.sub(before_BH, n, out=part_BH).mul_(dh_BH), z, grad_input=dz)
            torch.addcmul(dh_BH, dh_BH, z, value=-1, out=part_BH)  # dh (1 - z)
            tanh_backward(part_BH, n, grad_input=dn)
            sigmoid_backward(torch.mul(dn, past_TBH[t], out=part_BH), r, grad_input=dr)
            dproduct_TBG[t, :, : 2 * num_units] = dgates_TBG[t, :, : 2 * num_units]
            torch.mul(dn, r, out=dproduct_TBG[t, :, 2 * num_units :])
            dh_BH.mul_(z).addmm_(dproduct_TBG[t], u_GH)
            if t > 0:
                dh_BH.add_(grad_TBH[t - 1])
        du_GH = dproduct_TBG[0].t() @ h0_BH
        du_GH.addmm_(dproduct_TBG[1:].flatten(0, 1).t(), h_TBH[:-1].flatten(0, 1))
        return dgates_TBG, du_GH, dproduct_TBG[:, :, 2 * num_units :].sum(dim=(0, 1)), dh_BH


class GRU(nn.Module):
    """One layer; called as `nn.GRU` is: (T, B, I), state (1, B, H) -> (T, B, H), state."""

    def __init__(self, num_inputs: int, num_units: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(num_units)
        self.weight_ih = nn.Parameter(torch.empty(3 * num_units, num_inputs).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(3 * num_units, num_units).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(3 * num_units))
        self.bias_hh = nn.Parameter(torch.zeros(num_units))

    def forward(self, x_TBI: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        wx_TBG = nn.functional.linear(x_TBI, self.weight_ih, self.bias)
        dtype, num_units = wx_TBG.dtype, self.weight_hh.shape[1]
        h0_BH = wx_TBG.new_zeros(wx_TBG.shape[1], num_units) if state is None else state[0].to(dtype)
        h_TBH = GRUScan.apply(wx_TBG, self.weight_hh.to(dtype), self.bias_hh.to(dtype), h0_BH)
        return h_TBH, h_TBH[-1:]

    def extra_repr(self) -> str:
        return f"{self.weight_ih.shape[1]} -> {self.weight_hh.shape[1]}"
