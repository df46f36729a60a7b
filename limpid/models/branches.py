"""Two ways to join what several branches compute: add, and lay side by side.

residual  y = F(x) + S(x)                   S the identity, or a projection where F changes the shape
concat    y = (F_1(x), ..., F_n(x))         along the channels
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """y = branch(x) + shortcut(x) (He et al. 2015, arXiv 1512.03385)."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.drop_path: nn.Module | None = None  # models/disturbance.py: the branch drops out now and then

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        if self.drop_path is not None:
            y = self.drop_path(y)
        return y + (x if self.shortcut is None else self.shortcut(x))


class Concat(nn.Module):
    """All branches' outputs, one after the other along dimension 1 (Szegedy et al. 2014, arXiv 1409.4842)."""

    def __init__(self, branches: list[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)
