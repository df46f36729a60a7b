"""Convolution, 2x2 max-pooling and ReLU as one step, for the few channels of small networks.

oneDNN lays the vectors of the processor along the channels, which leaves most lanes empty at 1 to 16 channels, and
torch's pooling takes longer than the convolution before it. Here the batch is innermost in memory, so every copy, sum
and maximum is a run of N floats. Two rows of the convolution, those that one row of the pooled output needs, come from
one kernel of K_h + 1 rows that holds the weights twice, the second time one row lower:

    y = relu(max of 2x2 (x * w) + b)        the maximum, then bias and ReLU, on a quarter of the values

The rows of its windows are copied once; the columns overlap in memory, so patches are only a view. Of equal values the
first in row order gets the gradient, as in torch.

Shapes: N samples, C inputs, O outputs, K kernel sides, (H, W) input, (I, J) pooled output, T = 2 J columns of the
convolution, V padded width, R = K_h + 1 rows of a window, P = K_w R C values of a patch, M = 2 O (row of the pair,
output), D = 2 members of a pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class PooledConv(torch.autograd.Function):
    """y = max_pool2d(conv2d(x, w, b, padding), 2), with ReLU if wanted; (N, C, H, W) -> (N, O, I, J)."""

    @staticmethod
    def forward(
        ctx: Any, x_NCHW: Tensor, w_OCKK: Tensor, b_O: Tensor | None, padding: tuple[int, int], relu: bool
    ) -> Tensor:
        windows_IVRCN = _windows(x_NCHW, w_OCKK, padding)
        y_NOIJ, masks = _convolve(windows_IVRCN, w_OCKK, b_O, relu, keep=True)
        ctx.save_for_backward(windows_IVRCN, w_OCKK, *masks, *((y_NOIJ,) if relu else ()))
        ctx.padding, ctx.size = padding, x_NCHW.shape[2:]
        return y_NOIJ

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_NOIJ: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        windows_IVRCN, w_OCKK, is_left_IJMN, is_upper_IJON, *rest = ctx.saved_tensors
        o, c, kernel_height, kernel_width = w_OCKK.shape
        g_IJON = batch_inner(g_NOIJ)
        if rest:
            g_IJON = torch.ops.aten.threshold_backward(g_IJON, rest[0].permute(2, 3, 1, 0), 0)
        i, j, _, n = g_IJON.shape
        patches_ITPN = _patches(windows_IVRCN, kernel_width)
        rows_JDON, columns_JDMN = g_IJON.new_empty(j, 2, o, n), g_IJON.new_empty(j, 2, 2 * o, n)
        upper_JON, lower_JON = rows_JDON.unbind(1)
        left_JMN, right_JMN = columns_JDMN.unbind(1)
        g_JMN, g_TMN = rows_JDON.view(j, 2 * o, n), columns_JDMN.view(2 * j, 2 * o, n)
        g_TNM = g_TMN.transpose(1, 2)
        fold = _Fold(windows_IVRCN, w_OCKK, ctx.size, ctx.padding) if ctx.needs_input_grad[0] else None
        dw_TPM = g_IJON.new_zeros(2 * j, patches_ITPN.shape[2], 2 * o) if ctx.needs_input_grad[1] else None
        for row, (g_JON, is_upper_JON, is_left_JMN, patches_TPN) in enumerate(
            _rows(g_IJON, is_upper_IJON, is_left_IJMN, patches_ITPN)
        ):
            # Each comparison hands the gradient to one side and what is left, all or nothing, to the other.
            torch.mul(g_JON, is_upper_JON, out=upper_JON)
            torch.sub(g_JON, upper_JON, out=lower_JON)
            torch.mul(g_JMN, is_left_JMN, out=left_JMN)
            torch.sub(g_JMN, left_JMN, out=right_JMN)
            if dw_TPM is not None:
                dw_TPM.baddbmm_(patches_TPN, g_TNM)
            if fold is not None:
                fold.add(row, g_TMN)
        dw_OCKK = None
        if dw_TPM is not None:
            dw_KRCDO = dw_TPM.sum(dim=0).view(kernel_width, kernel_height + 1, c, 2, o)
            dw_KKCO = dw_KRCDO[:, :-1, :, 0] + dw_KRCDO[:, 1:, :, 1]
            dw_OCKK = dw_KKCO.permute(3, 2, 1, 0)
        db_O = g_IJON.sum(dim=(0, 1, 3)) if ctx.needs_input_grad[2] else None
        return fold.result() if fold is not None else None, dw_OCKK, db_O, None, None


def pooled_conv(x_NCHW: Tensor, w_OCKK: Tensor, b_O: Tensor | None, padding: tuple[int, int], relu: bool) -> Tensor:
    """The forward pass of PooledConv alone, in less memory."""
    y_NOIJ, _ = _convolve(_windows(x_NCHW, w_OCKK, padding), w_OCKK, b_O, relu, keep=False)
    return y_NOIJ


def _windows(x_NCHW: Tensor, w_OCKK: Tensor, padding: tuple[int, int]) -> Tensor:
    """The rows of the padded input that each row of the output needs: (I, V, R, C, N)."""
    x_HWCN = batch_inner(x_NCHW)
    if any(padding):
        x_HWCN = nn.functional.pad(x_HWCN, (0, 0, 0, 0, padding[1], padding[1], padding[0], padding[0]))
    return x_HWCN.unfold(0, w_OCKK.shape[2] + 1, 2).permute(0, 1, 4, 2, 3).contiguous()


def _patches(windows_IVRCN: Tensor, width: int) -> Tensor:
    """View of the patches `width` columns wide, an even number of them: (I, T, P, N), overlapping in memory."""
    i, v, r, c, n = windows_IVRCN.shape
    column = r * c * n
    return windows_IVRCN.as_strided(
        (i, (v - width + 1) // 2 * 2, width * r * c, n), (v * column, column, n, 1), windows_IVRCN.storage_offset()
    )


def _rows(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The rows of all of them together. unbind makes the views in one call, indexing would take longer than summing."""
    return zip(*(tensor.unbind(0) for tensor in tensors), strict=True)


def _doubled(w_OCKK: Tensor) -> Tensor:
    """(M, P): the kernel for the upper row of a pair and, one row lower, for the lower row."""
    o, c, height, width = w_OCKK.shape
    w_OKKC = w_OCKK.permute(0, 3, 2, 1)
    w_DOKRC = w_OCKK.new_zeros(2, o, width, height + 1, c)
    w_DOKRC[0, :, :, :-1] = w_OKKC
    w_DOKRC[1, :, :, 1:] = w_OKKC
    return w_DOKRC.view(2 * o, -1)


def _convolve(
    windows_IVRCN: Tensor, w_OCKK: Tensor, b_O: Tensor | None, relu: bool, *, keep: bool
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The output (N, O, I, J) and, to keep, two masks of 0 and 1: where the left column wins, (I, J, M, N), and where
    the upper row wins, (I, J, O, N).
    """
    patches_ITPN = _patches(windows_IVRCN, w_OCKK.shape[3])
    i, t, _, n = patches_ITPN.shape
    o, j, kept = w_OCKK.shape[0], t // 2, i if keep else 1
    z_ITMN = w_OCKK.new_empty(1, t, 2 * o, n).expand(i, -1, -1, -1)
    rows_IJMN = w_OCKK.new_empty(kept, j, 2 * o, n).expand(i, -1, -1, -1)
    is_left_IJMN = w_OCKK.new_empty(kept, j, 2 * o, n).expand(i, -1, -1, -1)
    # The output itself, not a view of it, has the batch innermost: autograd lets nobody write into such views.
    y_NOIJ = w_OCKK.new_empty_strided((n, o, i, j), (1, n, j * o * n, o * n))
    y_IJON = y_NOIJ.permute(2, 3, 1, 0)
    left_IJMN, right_IJMN = z_ITMN.unflatten(1, (j, 2)).unbind(2)
    upper_IJON, lower_IJON = rows_IJMN.unflatten(2, (2, o)).unbind(2)
    w_TMP = _doubled(w_OCKK).expand(t, -1, -1)
    # Row by row, so that everything stays in the second-level cache.
    for patches, z, left, right, rows, upper, lower, y, is_left in _rows(
        patches_ITPN, z_ITMN, left_IJMN, right_IJMN, rows_IJMN, upper_IJON, lower_IJON, y_IJON, is_left_IJMN
    ):
        torch.bmm(w_TMP, patches, out=z)
        torch.maximum(left, right, out=rows)
        torch.maximum(upper, lower, out=y)
        if keep:  # masks are floats, which multiply five times as fast as booleans
            torch.ge(left, right, out=is_left)
            upper.ge_(lower)
    if b_O is not None:
        y_IJON += b_O[:, None]
    if relu:
        y_IJON.relu_()
    return y_NOIJ, (is_left_IJMN, upper_IJON)


class _Fold:
    """Gradient of the input: w^T g of each patch, added where patches overlap."""

    def __init__(self, windows_IVRCN: Tensor, w_OCKK: Tensor, size: tuple[int, int], padding: tuple[int, int]) -> None:
        _, v, r, c, n = windows_IVRCN.shape
        (height, width), (top, left) = size, padding
        t = (v - w_OCKK.shape[3] + 1) // 2 * 2
        w_PM = _doubled(w_OCKK).t()
        padded_HVCN = w_OCKK.new_zeros(height + 2 * top, v, c, n)
        self.inside_HWCN = padded_HVCN[top : top + height, left : left + width]
        self.windows_IKRTCN = padded_HVCN.unfold(0, r, 2).unfold(1, t, 1).permute(0, 1, 4, 5, 2, 3)
        self.w_TPM = w_PM.expand(t, -1, -1)
        self.part_TPN = w_OCKK.new_empty(t, len(w_PM), n)
        self.parts = self.part_TPN.view(t, -1, r, c, n).permute(1, 2, 0, 3, 4).unbind(0)  # K of (R, T, C, N)

    def add(self, row: int, g_TMN: Tensor) -> None:
        torch.bmm(self.w_TPM, g_TMN, out=self.part_TPN)
        for place, part in zip(self.windows_IKRTCN[row].unbind(0), self.parts, strict=False):
            place += part

    def result(self) -> Tensor:
        return self.inside_HWCN.permute(3, 2, 0, 1)


def batch_inner(x_NCHW: Tensor) -> Tensor:
    """(H, W, C, N) contiguous; no copy if that is how the values lie."""
    x_HWCN = x_NCHW.permute(2, 3, 1, 0)
    if x_NCHW.stride(0) == 1:
        return x_HWCN.contiguous()
    n, c, h, w = x_NCHW.shape  # torch transposes matrices quickly, other permutations slowly
    if x_NCHW.is_contiguous():
        return x_NCHW.view(n, -1).t().contiguous().view(c, h, w, n).permute(1, 2, 0, 3).contiguous()
    return x_NCHW.permute(0, 2, 3, 1).reshape(n, -1).t().contiguous().view(h, w, c, n)
