"""Linear least squares from sums over the rows: the explicit solution, ridge, and its strength by cross-validation.

    theta = argmin |Y - X theta - 1 b'|^2 + G |theta|^2
          = (Xc' Xc + G I)^-1 Xc' Yc,      b = y mean - x mean . theta,      Xc, Yc centred

b is not penalised. With G = 0 the inverse is the pseudo-inverse. Everything follows from sums over the rows, so rows
may come in any number of batches, and the sums without one fold are those of all folds minus its own: cross-validation
costs one eigendecomposition per fold and no second pass. float64 throughout.

Shapes: N rows, F features, K outputs, L strengths, D folds.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Strengths tried per row, as shares of a standardised feature's sum of squares: half decades from 1e-6 to 10.
STRENGTHS_PER_ROW = tuple(10.0 ** (power / 2) for power in range(-12, 3))


@dataclass(frozen=True)
class Sums:
    """Sums over rows of 1, x, y, x x', x y' and y^2."""

    count: Tensor  # ()
    x_F: Tensor
    y_K: Tensor
    gram_FF: Tensor
    moment_FK: Tensor
    square_K: Tensor

    @classmethod
    def of(cls, x_NF: Tensor, y_NK: Tensor) -> Sums:
        """The sums of these rows."""
        x, y = x_NF.double(), y_NK.double()
        count = torch.tensor(float(len(x)), dtype=torch.float64, device=x.device)
        return cls(count, x.sum(0), y.sum(0), x.t() @ x, x.t() @ y, y.square().sum(0))

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(a + b for a, b in zip(self.tensors(), other.tensors(), strict=True)))

    def __sub__(self, other: Sums) -> Sums:
        return Sums(*(a - b for a, b in zip(self.tensors(), other.tensors(), strict=True)))

    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(vars(self).values())

    def centred(self) -> tuple[Tensor, Tensor]:
        """Xc' Xc and Xc' Yc."""
        mean_F = self.x_F / self.count
        gram_FF = self.gram_FF - torch.outer(self.x_F, mean_F)
        return gram_FF, self.moment_FK - torch.outer(mean_F, self.y_K)

    def squared_error(self, theta_FK: Tensor, b_K: Tensor) -> Tensor:
        """Sum over rows and outputs of (y - x theta - b)^2, from the sums alone; a scalar."""
        error_K = self.square_K - 2 * (theta_FK * self.moment_FK).sum(0) + (theta_FK * (self.gram_FF @ theta_FK)).sum(0)
        error_K = error_K - 2 * b_K * (self.y_K - self.x_F @ theta_FK) + self.count * b_K.square()
        return error_K.sum().clamp(min=0.0)


def solve_gram(gram_FF: Tensor, moment_FK: Tensor, strengths: tuple[float, ...]) -> list[Tensor]:
    """(A'A + G I)^-1 A'Y for each strength G, as (F, K) each, from one eigendecomposition.

    Directions in which A'A + G I vanishes to rounding get 0: the pseudo-inverse.
    """
    value_F, vector_FF = torch.linalg.eigh(gram_FF)
    rotated_FK = vector_FF.t() @ moment_FK
    smallest = value_F.abs().max() * len(value_F) * torch.finfo(torch.float64).eps
    solutions = []
    for strength in strengths:
        total_F = value_F + strength
        inverse_F = torch.where(total_F > smallest, 1 / total_F, 0.0)
        solutions.append(vector_FF @ (inverse_F[:, None] * rotated_FK))
    return solutions


def solve(sums: Sums, strengths: tuple[float, ...]) -> list[tuple[Tensor, Tensor]]:
    """(theta, b) for each strength."""
    mean_x_F, mean_y_K = sums.x_F / sums.count, sums.y_K / sums.count
    return [(theta_FK, mean_y_K - mean_x_F @ theta_FK) for theta_FK in solve_gram(*sums.centred(), strengths)]


def validation_errors(folds: list[Sums], strengths: tuple[float, ...]) -> Tensor:
    """(L,) mean over the folds of the mean squared error on a fold when the others were solved; empty folds are left
    out."""
    folds = [fold for fold in folds if fold.count > 0]
    total = sum(folds[1:], folds[0])
    errors = []
    for fold in folds:
        solutions = solve(total - fold, strengths)
        errors.append(torch.stack([fold.squared_error(theta, b) for theta, b in solutions]) / fold.count)
    return torch.stack(errors).mean(0)
