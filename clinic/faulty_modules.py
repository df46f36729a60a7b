"""Networks with a wiring fault each, as users hand them over. B batch, T steps, F features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def mlp(*widths: int, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    """Dense layers with an activation between them."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(fan_in, fan_out), activation()]
    return nn.Sequential(*layers[:-1])


def digits_net() -> nn.Sequential:
    return mlp(64, 64, 64, 10)


def digits_cnn(norm: Callable[[int], nn.Module] = nn.BatchNorm2d) -> nn.Sequential:
    """conv 8, conv 16, dense, with batch normalisation; for images (1, 8, 8)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), norm(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1), norm(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip


class Changed(nn.Module):
    """A network whose input or output passes through one more function."""

    def __init__(self, net: nn.Module, *, first: Any = None, last: Any = None) -> None:
        super().__init__()
        self.net, self.first, self.last = net, first, last

    def forward(self, x: Tensor) -> Tensor:
        y = self.net(x if self.first is None else self.first(x))
        return y if self.last is None else self.last(y)


class Stuck(nn.Module):
    """A network that is always in the same mode, whatever the loop asks for (B07)."""

    def __init__(self, net: nn.Module, *, training: bool) -> None:
        super().__init__()
        self.net, self.stays = net, training
        self.train(training)

    def train(self, mode: bool = True) -> Stuck:
        return super().train(self.stays)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Detached(nn.Module):
    """The gradient is cut off in the middle (B09)."""

    def __init__(self) -> None:
        super().__init__()
        self.front, self.head = mlp(64, 64, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.front(x).relu().detach())


class Unused(nn.Module):
    """A layer that forward never calls (B09)."""

    def __init__(self) -> None:
        super().__init__()
        self.front, self.forgotten, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.front(x).relu())


class WrongAxis(nn.Module):
    """Attention weights by a softmax over the batch (B12)."""

    def __init__(self) -> None:
        super().__init__()
        self.front, self.gate, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.front(x).relu()
        return self.head(hidden * self.gate(hidden).softmax(dim=0) * 8)


class Transposed(nn.Module):
    """Rows of an image as steps, laid out wrongly by view (B12)."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRU(8, 32, batch_first=True), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        steps_TBF = x.view(-1, 8, 8).transpose(0, 1).contiguous()
        return self.head(self.cell(steps_TBF.view(-1, 8, 8))[0][:, -1])


class DoubledGradient(torch.autograd.Function):
    """A rectifier whose gradient is twice too large (B19)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * gradients[0] * (x > 0)


class RootOfZero(nn.Module):
    """The slope of the root is infinite at zero, and pixels are zero (N01)."""

    def __init__(self) -> None:
        super().__init__()
        self.front, self.head = mlp(64, 64, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.front(x).abs() * x).sqrt())


class LogOfZero(nn.Module):
    """A logarithm of something that may become zero (N01)."""

    def __init__(self) -> None:
        super().__init__()
        self.front, self.head = mlp(64, 64, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.front(x) + 0.5).relu().log())


class Attention(nn.Module):
    """A small Transformer encoder over the steps of a series (B, T, 1) that takes its lengths too."""

    def __init__(self, *, norm_first: bool = True, gain: float = 1.0, layers: int = 2, outputs: int = 1) -> None:
        super().__init__()
        block = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True, norm_first=norm_first)
        self.read = nn.Linear(1, 32)
        self.place = nn.Parameter(0.1 * torch.randn(50, 32))
        self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.head = nn.Linear(32, outputs)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if "in_proj_weight" in name:
                    weight[:64] *= gain  # queries and keys

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.head(self.blocks(self.read(x) + self.place[: x.shape[1]]).mean(dim=1))


class Recurrent(nn.Module):
    """A plain recurrent network whose recurrent matrix is scaled (S03, S04)."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.cell, self.head = nn.RNN(1, 32, batch_first=True), nn.Linear(32, 1)
        with torch.no_grad():
            nn.init.orthogonal_(self.cell.weight_hh_l0)
            self.cell.weight_hh_l0 *= gain

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Peeking(nn.Module):
    """A language model without a causal mask: each place sees the token that it is to predict (B13)."""

    def __init__(self, vocabulary: int, context: int = 32, causal: bool = False) -> None:
        super().__init__()
        block = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.read = nn.Embedding(vocabulary, 32)
        self.place = nn.Parameter(0.1 * torch.randn(context, 32))
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, vocabulary)
        self.causal = causal

    def forward(self, tokens_BT: Tensor, lengths: Tensor) -> Tensor:
        T = tokens_BT.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(T) if self.causal else None
        return self.head(self.blocks(self.read(tokens_BT) + self.place[:T], mask=mask))


def wide_head(factor: float) -> nn.Module:
    """digits_net with a last layer that starts so many times too large (B01).

    Twenty times is no fault: torch's own start is so small that half of such networks begin within the losses of He's
    weights, and both learn faster. From sixty times on the loss lies above any that He's weights begin with.
    """
    net = digits_net()
    with torch.no_grad():
        net[-1].weight *= factor
    return net


def he_start() -> nn.Module:
    """digits_net with He's weights in every layer, the last one too (near B01)."""
    net = digits_net()
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return net


def frozen(*numbers: int) -> nn.Module:
    """digits_net in which these layers require no gradient (B09)."""
    net = digits_net()
    for number in numbers:
        net[number].requires_grad_(False)
    return net


def frozen_but_moving() -> nn.Module:
    """A frozen convolutional part whose normalisation goes on counting (B10)."""
    net = digits_cnn()
    net[:6].requires_grad_(False)
    return net


def still_frozen() -> nn.Module:
    """The near miss of it: a frozen part without statistics of its own."""
    net = digits_cnn(norm=lambda channels: nn.GroupNorm(2, channels))
    net[:6].requires_grad_(False)
    return net


def slow_norm(momentum: float) -> nn.Module:
    """digits_cnn whose running statistics follow slowly (B08)."""
    net = digits_cnn()
    for layer in net:
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = momentum
    return net


def dropout_before_norm() -> nn.Module:
    """Dropout in front of batch normalisation, which then counts another variance than it meets in use (G11)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Dropout(0.5),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.5), nn.BatchNorm1d(256), nn.Linear(256, 10),
    )  # fmt: skip


def with_dropout() -> nn.Module:
    """digits_net with dropout."""
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))


def mlp_of_images() -> nn.Module:
    """A dense network for images (1, 16, 16) of three classes."""
    return nn.Sequential(nn.Flatten(), *mlp(256, 32, 3))


def doubled_inside() -> nn.Module:
    """digits_net whose rectifier has a gradient twice too large."""
    return nn.Sequential(nn.Linear(64, 64), Changed(nn.Identity(), last=DoubledGradient.apply), nn.Linear(64, 10))
