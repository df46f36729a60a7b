"""How well an output repeats the input: the loss of autoencoders.

Shapes: B samples of any shape.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor


def reconstruction_losses(outputs: Tensor, inputs: Tensor, form: Literal["mse", "bce"] = "mse") -> Tensor:
    """Mean over the values of each sample, (B,).

    "mse": squared difference, 0 for a perfect copy. "bce": inputs from 0 to 1 as shares, outputs as logits; its least
    value is the entropy of the inputs, which is 0 only for inputs of 0 and 1.
    """
    function = F.mse_loss if form == "mse" else F.binary_cross_entropy_with_logits
    return function(outputs, inputs, reduction="none").flatten(1).mean(dim=1)
