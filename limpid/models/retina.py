"""The Mark I perceptron: a retina of 400 photocells, fixed random association units, trained response units.

    s = 1 where a photocell sees more than the mean brightness                        20 x 20 = 400
    a_j = 1 if sum_i c_ji s_i > 0, c_ji in {-1, 0, 1} drawn once                      about 1000
    response units on a, trained by the perceptron rule (perceptron.py)               1, or one per class

Each association unit is wired to 40 photocells drawn at random, each wire exciting or inhibiting with equal chance
(Mark I Perceptron Operators' Manual, Hay et al. 1960, gives up to 40 wires of either sign). Without association units
the response units see the retina itself.

Shapes: B batch, C channels, H x W pixels, S photocells, A association units.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models.perceptron import Perceptron
from limpid.spec import DataSpec

SIDE = 20
WIRES = 40


class Retina(nn.Module):
    """(B, C, H, W) standardised pixels -> (B, 400) zeros and ones. Other sizes are averaged to 20 x 20, colours too."""

    num_cells = SIDE * SIDE

    def forward(self, x_BCHW: Tensor) -> Tensor:
        light_B1HW = x_BCHW.float().mean(dim=1, keepdim=True)
        if light_B1HW.shape[2:] != (SIDE, SIDE):
            light_B1HW = F.interpolate(light_B1HW, size=(SIDE, SIDE), mode="bilinear", antialias=True)
        return (light_B1HW > 0).float().flatten(1)


class Association(nn.Module):
    """(B, S) -> (B, A): fixed random threshold units."""

    wire_SA: Tensor

    def __init__(self, num_cells: int, num_units: int) -> None:
        super().__init__()
        wire_AS = torch.zeros(num_units, num_cells)
        for wires_S in wire_AS:
            cell_W = torch.randperm(num_cells)[:WIRES]
            wires_S[cell_W] = torch.randint(0, 2, (WIRES,)).float() * 2 - 1
        self.register_buffer("wire_SA", wire_AS.t().contiguous())

    def forward(self, s_BS: Tensor) -> Tensor:
        with torch.autocast(s_BS.device.type, enabled=False):  # small whole numbers, which must stay exact
            return (s_BS.to(self.wire_SA.dtype) @ self.wire_SA > 0).to(self.wire_SA.dtype)

    def count_macs(self, inputs: tuple[Tensor, ...], output: Tensor) -> int:
        """Multiply-adds of one pass through all wires, cut ones included."""
        return len(output) * self.wire_SA.numel()

    def extra_repr(self) -> str:
        return f"{self.wire_SA.shape[0]} cells -> {self.wire_SA.shape[1]} units, {WIRES} wires each"


def build_mark1(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """The machine with `units` association units; 0 connects the response units to the retina."""
    num_units = config.options["units"]
    if not num_units:
        return Perceptron(Retina(), Retina.num_cells, spec)
    return Perceptron(nn.Sequential(Retina(), Association(Retina.num_cells, num_units)), num_units, spec)
