"""k nearest neighbours: the training rows themselves are the model.

    classes, labels   p_k = (n_k + 1 / K) / (k + 1)      n_k of the k nearest rows have class k
    regression        mean of the k nearest rows' targets

The further neighbour in p is shared out over the K classes (for labels and yes or no: half and half), so that no class
gets probability 0. Distances are Euclidean, between scaled inputs. With k = 1 every training row that has no twin of
another class is its own answer (Cover & Hart 1967).

Distances to all rows come from one matrix product; the nearest few are measured again by differences, because
|x|^2 - 2 x.r + |r|^2 cannot tell close rows apart.

Shapes: B batch, N stored rows, F features, K outputs, M candidates.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models.class_shares import wanted_values
from limpid.spec import DataSpec

DISTANCES_AT_ONCE = 1 << 24  # 64 MB of float32
CANDIDATES = 8  # rows beyond the k nearest that are measured again
ROWS_JUDGED = 512  # of a batch, for the loss of a step


class Neighbours(nn.Module):
    """Stored rows (a parameter, as what training sets), their wanted values, and which of them have been seen."""

    wanted_NK: Tensor
    seen_N: Tensor

    def __init__(self, spec: DataSpec, k: int) -> None:
        super().__init__()
        num_rows = max(1, spec.num_train)
        self.rows_NF = nn.Parameter(torch.zeros(num_rows, math.prod(spec.input_shape)))
        self.register_buffer("wanted_NK", torch.zeros(num_rows, spec.num_outputs))
        self.register_buffer("seen_N", torch.zeros(num_rows, dtype=torch.bool))
        self.k = min(k, num_rows)
        self.spec = spec

    def count_macs(self, inputs: tuple[Tensor, ...], output: Tensor) -> int:
        """Multiply-adds of the distances to all stored rows."""
        return len(output) * self.rows_NF.numel()

    @torch.no_grad()
    def store(self, x: Tensor, target: Tensor, index_B: Tensor) -> None:
        """Keep rows at their places in the training split."""
        self.rows_NF[index_B] = x.flatten(1).float()
        self.wanted_NK[index_B] = wanted_values(target, self.spec)
        self.seen_N[index_B] = True

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        x_BF = x.flatten(1).to(self.rows_NF.dtype)
        with torch.autocast(x_BF.device.type, enabled=False):
            square_N = torch.where(self.seen_N, self.rows_NF.square().sum(1), math.inf)
            if torch.compiler.is_compiling():
                return self._answer(x_BF, square_N)
            pieces = x_BF.split(max(1, DISTANCES_AT_ONCE // len(square_N)))
            return torch.cat([self._answer(piece, square_N) for piece in pieces])

    def _answer(self, x_BF: Tensor, square_N: Tensor) -> Tensor:
        place_Bk = self.nearest(x_BF, square_N)
        # Before enough rows are seen, the unseen ones among the nearest count for nothing.
        weight_Bk1 = self.seen_N[place_Bk].to(x_BF.dtype).unsqueeze(2)
        total_BK, count_B1 = (self.wanted_NK[place_Bk] * weight_Bk1).sum(1), weight_Bk1.sum(1)
        if self.spec.task == "regression":
            return total_BK / count_B1.clamp(min=1.0)
        one_of = self.spec.task == "classification"
        prior = 1 / total_BK.shape[1] if one_of else 0.5
        p_BK = (total_BK + prior) / (count_B1 + 1)
        return p_BK.log() if one_of else p_BK.logit()

    def nearest(self, x_BF: Tensor, square_N: Tensor) -> Tensor:
        """Places of the k nearest rows, (B, k), nearest first; |r|^2 of the rows is given, infinite for unseen ones."""
        rough_BN = torch.addmm(square_N, x_BF, self.rows_NF.t(), alpha=-2.0)  # without |x|^2, the same for all
        num = min(self.k + CANDIDATES, rough_BN.shape[1])
        place_BM = rough_BN.topk(num, dim=1, largest=False).indices
        exact_BM = (x_BF.unsqueeze(1) - self.rows_NF[place_BM]).square().sum(2)
        exact_BM = torch.where(self.seen_N[place_BM], exact_BM, math.inf)
        return place_BM.gather(1, exact_BM.topk(self.k, dim=1, largest=False).indices)

    def extra_repr(self) -> str:
        return f"{self.rows_NF.shape[0]} rows of {self.rows_NF.shape[1]} numbers, k={self.k}"


def build_neighbours(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """Room for every training row."""
    return Neighbours(spec, config.options["k"])


def store_step(model: Any, objective: Any, optimizer: torch.optim.Optimizer, batch: Any, **_: Any) -> Tensor:
    """Store the batch. Returns the mean loss of its first rows by the rows stored so far, themselves among them.

    The signature is that of training/step.py's train_step. Precision, clipping and accumulation have no meaning here.
    """
    body: Neighbours = model.body
    with torch.no_grad():
        body.store(model.scale(batch.inputs[0]), batch.target, batch.index)
        judged = tuple(x[:ROWS_JUDGED] for x in batch.inputs)
        loss: Tensor = objective.loss(model(*judged), batch.target[:ROWS_JUDGED])
    return loss
