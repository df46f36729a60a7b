"""Layers of many networks at once: what a layer does to one batch of B samples, done to M batches by M sets of weights.

Whatever has no weights and treats samples alike runs as it is, on all M B samples together.

Shapes: M members, B samples of each, I inputs, O outputs, F features, C coded numbers, T bins, N category columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from limpid.models.activations import Maxout, ScaledTanh, Step
from limpid.models.embedding import CategoryEmbedding
from limpid.models.mlp import WithCategories
from limpid.models.number_encoding import NumberEncoding

ELEMENTWISE = (
    *(nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus),
    *(nn.Softsign, nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.LogSigmoid, nn.Tanhshrink),
    *(ScaledTanh, Step),
)
SAMPLE_BY_SAMPLE = (nn.Softmax, nn.LogSoftmax, Maxout)


class StackedLayer(Protocol):
    """M layers of one form. `bind` hands over their weights and running figures, each with M in front."""

    def bind(self, weights: Sequence[Tensor], figures: Sequence[Tensor]) -> None: ...
    def __call__(self, x: Tensor, rest: Sequence[Tensor], *, training: bool) -> Tensor: ...


def leaves_of(module: nn.Module) -> Iterator[nn.Module]:
    """The layers of a network in the order in which they run; what cannot be taken apart comes whole."""
    if type(module) is nn.Sequential:
        for child in module:
            yield from leaves_of(child)
    elif type(module) is WithCategories:
        yield from leaves_of(module.numbers)
        yield module.embedding
        yield from leaves_of(module.layers)
    else:
        yield module


def stack(layer: nn.Module) -> StackedLayer | None:
    """The form that does this for many members; None where there is none."""
    if type(layer) in STACKED:
        return STACKED[type(layer)](layer)
    if type(layer) in ELEMENTWISE:
        return Elementwise(layer)
    return SampleBySample(layer) if type(layer) in SAMPLE_BY_SAMPLE else None


class Elementwise:
    """y = g(x), number by number."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def bind(self, weights: Sequence[Tensor], figures: Sequence[Tensor]) -> None: ...

    def __call__(self, x: Tensor, rest: Sequence[Tensor], *, training: bool) -> Tensor:
        y: Tensor = self.layer(x)
        return y


class SampleBySample(Elementwise):
    """A layer without weights that counts its dimensions from the batch on."""

    def __call__(self, x: Tensor, rest: Sequence[Tensor], *, training: bool) -> Tensor:
        y: Tensor = self.layer(x.flatten(0, 1))
        return y.unflatten(0, x.shape[:2])


class StackedFlatten:
    """(M, B, ...) -> (M, B, F)"""

    def __init__(self, layer: nn.Flatten) -> None:
        assert (layer.start_dim, layer.end_dim) == (1, -1)

    def bind(self, weights: Sequence[Tensor], figures: Sequence[Tensor]) -> None: ...

    def __call__(self, x: Tensor, rest: Sequence[Tensor], *, training: bool) -> Tensor:
        return x.flatten(2)


class StackedLinear:
    """y_m = x_m W_m^T + b_m"""

    def __init__(self, layer: nn.Linear) -> None:
        self.has_bias = layer.bias is not None

    def bind(self, weights: Sequence[Tensor], figures: Sequence[Tensor]) -> None:
        self.w_MIO = weights[0].transpose(1, 2)
        self.b_M1O = weights[1].unsqueeze(1) if self.has_bias else None

    def __call__(self, x: Tensor, rest: Sequence[Tensor], *, training: bool) -> Tensor:
        y_MBO = torch.bmm(x, self.w_MIO)
        return y_MBO if self.b_M1O is None else y_MBO.add_(self.b_M1O)  # baddbmm would fill y with the biases first


class StackedBatchNorm:
    """The batch norm of M x F channels: no two members share one."""

    def __init__(self, layer: nn.BatchNorm1d) -> None:
        self.eps, self.momentum = layer.eps, layer.momentum or 0.0

    def bind(self, weights: Sequence[Tensor], figures: Sequence[Tensor]) -> None:
        self.weight_MF, self.bias_MF = weights
        self.mean_MF, self.var_MF = figures

    def __call__(self, x: Tensor, rest: Sequence[Tensor], *, training: bool) -> Tensor:
        y_BC = functional.batch_norm(
            x.transpose(0, 1).flatten(1),
            self.mean_MF.view(-1),
            self.var_MF.view(-1),
            self.weight_MF.reshape(-1),
            self.bias_MF.reshape(-1),
            training,
            self.momentum,
            self.eps,
        )
        return y_BC.unflatten(1, self.weight_MF.shape).transpose(0, 1)


class StackedLayerNorm:
    """Each sample of unit size around 0, times a weight, plus a bias, of its member."""

    def __init__(self, layer: nn.LayerNorm) -> None:
        self.shape, self.eps = list(layer.normalized_shape), layer.eps

    def bind(self, weights: Sequence[Tensor], figures: Sequence[Tensor]) -> None:
        self.weight_M1F, self.bias_M1F = (w.unsqueeze(1) for w in weights)

    def __call__(self, x: Tensor, rest: Sequence[Tensor], *, training: bool) -> Tensor:
        z = functional.layer_norm(x, self.shape, None, None, self.eps)
        return torch.addcmul(self.bias_M1F, z, self.weight_M1F)


class StackedEmbedding:
    """Numbers, and beside them the vectors that each member has for the codes of the samples."""

    def __init__(self, layer: CategoryEmbedding) -> None:
        self.column_D, self.stride_D, self.place_D = layer.column_D, layer.stride_D, layer.place_D

    def bind(self, weights: Sequence[Tensor], figures: Sequence[Tensor]) -> None:
        (self.weight_MV,) = weights

    def __call__(self, x: Tensor, rest: Sequence[Tensor], *, training: bool) -> Tensor:
        codes_MBN = rest[0]
        index_MBD = codes_MBN.index_select(2, self.column_D).mul_(self.stride_D).add_(self.place_D)
        vectors = self.weight_MV.gather(1, index_MBD.flatten(1)).view(index_MBD.shape)
        return torch.cat((x, vectors), dim=2)


class StackedNumbers:
    """Numbers, and beside them relu(W_mc e_c + b_mc) of the bins e_c (models/number_encoding.py)."""

    def __init__(self, layer: NumberEncoding) -> None:
        self.feature_C, self.left_C1T, self.gain_C1T = layer.feature_C, layer.left_C1T, layer.gain_C1T

    def bind(self, weights: Sequence[Tensor], figures: Sequence[Tensor]) -> None:
        self.weight_MCTK, bias = weights
        self.bias_MC1K = bias.view(*self.weight_MCTK.shape[:2], 1, -1)

    def __call__(self, x: Tensor, rest: Sequence[Tensor], *, training: bool) -> Tensor:
        z_MCB1 = x.index_select(2, self.feature_C).transpose(1, 2).unsqueeze(3)
        code_MCBT = ((z_MCB1 - self.left_C1T) * self.gain_C1T).clamp_(0.0, 1.0)
        v_MCBK = torch.matmul(code_MCBT, self.weight_MCTK).add_(self.bias_MC1K).relu_()
        return torch.cat((x, v_MCBK.transpose(1, 2).flatten(2)), dim=2)


STACKED: dict[type[nn.Module], Any] = {
    nn.Flatten: StackedFlatten,
    nn.Linear: StackedLinear,
    nn.BatchNorm1d: StackedBatchNorm,
    nn.LayerNorm: StackedLayerNorm,
    CategoryEmbedding: StackedEmbedding,
    NumberEncoding: StackedNumbers,
}
