"""Random raw sequences of the form that a spec promises, for comparing an exported network with the live one.

Shapes: B samples, S source places, T places, F features, C x H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from limpid.spec import END, DataSpec

# Names of the exported program's inputs.
SEQUENCE_INPUTS = {
    "series": ["series", "lengths"],
    "text": ["tokens", "lengths"],
    "pairs": ["source", "lengths", "given"],
    "captions": ["image", "given"],
}


def example_sequences(spec: DataSpec, batch: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Tokens that are text, features around the training data's mean, lengths from one place to all."""

    def tokens(kinds: int, length: int) -> Tensor:
        return torch.randint(min(END + 1, kinds - 1), kinds, (batch, length), generator=generator)

    given = (tokens(spec.num_outputs, spec.output_shape[0]),) if spec.kind in ("pairs", "captions") else ()
    if spec.kind == "captions":
        image_BCHW = torch.randint(0, 256, (batch, *spec.input_shape), generator=generator)
        return image_BCHW.to(torch.uint8), *given
    lengths_B = torch.randint(1, spec.input_shape[0] + 1, (batch,), generator=generator)
    if spec.preparation.get("kind") == "forecast" or (spec.kind == "text" and spec.task == "tokens"):
        lengths_B = torch.full_like(lengths_B, spec.input_shape[0])  # windows are full; padding has no answer
    if spec.kind == "series":
        noise_BTF = torch.randn(batch, *spec.input_shape, generator=generator)
        mean, std = torch.tensor(spec.scale_mean or (0.0,)), torch.tensor(spec.scale_std or (1.0,))
        return mean + std * noise_BTF, lengths_B
    return tokens(spec.vocabulary, spec.input_shape[0]), lengths_B, *given
