"""A forecast relative to its window: level and spread of what was seen are taken out, and put back afterwards.

    m = mean_t x_t, s = std_t x_t (of the target columns)      y = m + s f((x - m) / s)

A series with a trend leaves the range of its training part; relative to its own window it does not.

Source: Kim et al. 2022, reversible instance normalisation, without its trained gain.

Shapes: B windows, T steps, F features, C target columns, H steps ahead.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from limpid.spec import DataSpec

LEAST_SPREAD = 1e-2  # training standard deviations: a flat window is not blown up to noise


class WindowScale(nn.Module):
    """`body` maps (B, T, F) to (B, H C), the targets of one step side by side; both in units of training deviations."""

    column_C: Tensor
    gain_C: Tensor
    shift_C: Tensor

    def __init__(self, body: nn.Module, spec: DataSpec) -> None:
        super().__init__()
        self.body = body
        column_C = torch.tensor(spec.preparation["target_features"])
        mean_C, std_C = torch.tensor(spec.scale_mean)[column_C], torch.tensor(spec.scale_std)[column_C]
        target_mean_C = torch.tensor(spec.target_mean[: len(column_C)])
        target_std_C = torch.tensor(spec.target_std[: len(column_C)])
        self.register_buffer("column_C", column_C, persistent=False)
        # From units of the scaled features to those of the scaled targets.
        self.register_buffer("gain_C", std_C / target_std_C, persistent=False)
        self.register_buffer("shift_C", (mean_C - target_mean_C) / target_std_C, persistent=False)

    def forward(self, x_BTF: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        seen_BTC = x_BTF[:, :, self.column_C]
        mean_B1C = seen_BTC.mean(dim=1, keepdim=True)
        spread_B1C = seen_BTC.std(dim=1, keepdim=True, correction=0).clamp(min=LEAST_SPREAD)
        x_BTF = x_BTF.clone()
        x_BTF[:, :, self.column_C] = (seen_BTC - mean_B1C) / spread_B1C
        out_BHC = self.body(x_BTF, lengths_B).unflatten(1, (-1, len(self.column_C)))
        return ((out_BHC * spread_B1C + mean_B1C) * self.gain_C + self.shift_C).flatten(1)


def relative_to_window(body: nn.Module, spec: DataSpec, wanted: bool) -> nn.Module:
    """The body as it is, or for a forecast behind `WindowScale`."""
    return WindowScale(body, spec) if wanted and spec.preparation.get("kind") == "forecast" else body
