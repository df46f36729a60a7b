"""Data of any sequential kind as vectors in time: the way into recurrent networks and encoders.

    series   (B, T, F) as it is                       text    an embedding of each token
    image    its rows from top to bottom, C W numbers each
    array    (B, T, ...), what is behind T flattened   vector  its numbers one after the other

Shapes: B sequences, T places, F features, W width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from limpid.spec import DataSpec


class SequenceInputs(nn.Module):
    """Gives (B, T, W), the lengths (None: all are full), and how many places there were before trimming.

    Args:
        width: of the vectors; None leaves numbers as they are (texts then take `embedding`).
        embedding: size of a token's vector.
    """

    def __init__(self, spec: DataSpec, width: int | None, *, embedding: int | None = None) -> None:
        super().__init__()
        self.kind = spec.kind
        if spec.kind == "text":
            self.width = embedding or width or spec.num_outputs
            self.num_places = spec.input_shape[0]
            self.layer: nn.Module = nn.Embedding(spec.vocabulary, self.width)
            return
        if spec.kind == "image":
            channels, height, columns = spec.input_shape
            self.num_places, num_features = height, channels * columns
        else:
            self.num_places, num_features = spec.input_shape[0], math.prod(spec.input_shape[1:])
        self.width = width or num_features
        self.layer = nn.Identity() if width is None else nn.Linear(num_features, width)

    def forward(self, x: Tensor, lengths_B: Tensor | None) -> tuple[Tensor, Tensor | None, int]:
        if self.kind == "image":
            x = x.transpose(1, 2)
        num_places = x.shape[1]
        x, lengths_B = cut_to_longest(x, lengths_B)
        if self.kind != "text":
            x = x.unsqueeze(2) if x.ndim == 2 else x.flatten(2)
        return self.layer(x), lengths_B, num_places


def cut_to_longest(x: Tensor, lengths_B: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """On a CPU, a batch without the columns that are padding alone, and its lengths, None where no padding is left.

    Elsewhere as it is: to look at the lengths would wait for the device.
    """
    if lengths_B is None or x.device.type != "cpu" or torch.compiler.is_compiling():
        return x, lengths_B
    shortest, longest = (int(n) for n in lengths_B.aminmax())
    x = x[:, : max(longest, 1)]
    return x, None if shortest >= x.shape[1] else lengths_B
