"""Category columns as trainable vectors, all columns in one lookup.

Shapes: B batch, N category columns, n_i codes and d_i vector size of column i, D = sum of d_i.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LARGEST = 50


def vector_size(codes: int) -> int:
    """min(50, round(1.6 n^0.56)) numbers for n codes: a rule of thumb that grows slower than the number of codes.

    >>> vector_size(3), vector_size(42), vector_size(100_000)
    (3, 13, 50)
    """
    return min(LARGEST, round(1.6 * codes**0.56))


class CategoryEmbedding(nn.Module):
    """One trainable vector per code and column, side by side: the product of one-hot rows with a matrix per column.

    The matrices lie behind each other in one flat weight, so that N columns cost one gather instead of N (a third of
    the time for the eight columns of a census table). Code 0 (unknown, never seen) starts at the zero vector.
    """

    place_D: Tensor
    column_D: Tensor
    stride_D: Tensor

    def __init__(self, cardinalities: tuple[int, ...], size: int | None = None, *, std: float = 0.1) -> None:
        super().__init__()
        self.cardinalities = cardinalities
        self.sizes = tuple(size or vector_size(n) for n in cardinalities)
        column: list[int] = []
        stride: list[int] = []
        place: list[int] = []
        matrices: list[Tensor] = []
        start = 0
        for i, (n, d) in enumerate(zip(cardinalities, self.sizes, strict=True)):
            column += [i] * d
            stride += [d] * d
            place += range(start, start + d)
            start += n * d
            matrix = torch.randn(n, d) * std
            matrix[0] = 0.0
            matrices.append(matrix.flatten())
        self.weight = nn.Parameter(torch.cat(matrices))
        self.width = sum(self.sizes)
        self.register_buffer("column_D", torch.tensor(column), persistent=False)
        self.register_buffer("stride_D", torch.tensor(stride), persistent=False)
        self.register_buffer("place_D", torch.tensor(place), persistent=False)

    def forward(self, codes_BN: Tensor) -> Tensor:
        """(B, N) int64 codes, each below its column's n_i -> (B, D) floats."""
        index_BD = codes_BN.index_select(1, self.column_D).mul_(self.stride_D).add_(self.place_D)
        return self.weight.index_select(0, index_BD.flatten()).view(-1, self.width)

    def matrix(self, column: int) -> Tensor:
        """The (n_i, d_i) vectors of one column."""
        pieces = self.weight.split([n * d for n, d in zip(self.cardinalities, self.sizes, strict=True)])
        return pieces[column].view(self.cardinalities[column], self.sizes[column])

    def extra_repr(self) -> str:
        return f"{len(self.sizes)} columns, {sum(self.cardinalities)} codes -> {self.width}"
