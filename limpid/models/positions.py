"""Where a token stands: attention itself does not see the order.

    learned      a trained vector for each place
    sinusoidal   p_{t,2i} = sin(t / 10000^(2i/W)), p_{t,2i+1} = cos(...)      Vaswani et al. 2017, section 3.5
    rope         queries and keys turned by angles t / 10000^(2i/D), so that their product depends on the distance
                 alone      Su et al. 2021 (arXiv 2104.09864)

Shapes: B sequences, T places, W width, H heads, D size of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LONGEST_PERIOD = 10_000.0  # of the slowest sine, in units of 2 pi places; the papers' value


def sinusoids(num_places: int, width: int) -> Tensor:
    """(T, W), sines and cosines in turn."""
    place_T1 = torch.arange(num_places, dtype=torch.float64).unsqueeze(1)
    rate_W = LONGEST_PERIOD ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = place_T1 * rate_W
    return torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1)[:, :width].float()


class Positions(nn.Module):
    """Adds the vector of its place to each token's; learned ones, or fixed sines of any length."""

    table: Tensor

    def __init__(self, kind: str, num_places: int, width: int) -> None:
        super().__init__()
        self.kind, self.width = kind, width
        if kind == "learned":
            self.table = nn.Parameter(torch.randn(num_places, width) * 0.02)
        else:
            self.register_buffer("table", sinusoids(num_places, width), persistent=False)

    @property
    def most(self) -> int | None:
        """Places at most; None where there is no limit."""
        return len(self.table) if self.kind == "learned" else None

    def forward(self, x_BTW: Tensor, start: int = 0) -> Tensor:
        end = start + x_BTW.shape[1]
        if end > len(self.table) and self.kind != "learned":
            self.table = sinusoids(end, self.width).to(self.table)
        return x_BTW + self.table[start:end]

    def extra_repr(self) -> str:
        return f"{self.kind}, {len(self.table)} x {self.width}"


class Rotary(nn.Module):
    """Turns each pair (i, i + D/2) of a query or key by an angle that grows with its place."""

    cos: Tensor
    sin: Tensor

    def __init__(self, num_places: int, head_size: int) -> None:
        super().__init__()
        self.head_size = head_size
        cos, sin = self._tables(num_places)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, x_BHTD: Tensor, start: int) -> Tensor:
        end = start + x_BHTD.shape[2]
        if end > len(self.cos):
            cos, sin = self._tables(2 * end)
            self.cos, self.sin = cos.to(self.cos), sin.to(self.sin)
        cos, sin = self.cos[start:end].to(x_BHTD.dtype), self.sin[start:end].to(x_BHTD.dtype)
        first, second = x_BHTD.chunk(2, dim=3)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=3)

    def _tables(self, num_places: int) -> tuple[Tensor, Tensor]:
        rate = LONGEST_PERIOD ** -(torch.arange(0, self.head_size, 2, dtype=torch.float64) / self.head_size)
        angles = torch.arange(num_places, dtype=torch.float64).unsqueeze(1) * rate
        return angles.cos().float(), angles.sin().float()
