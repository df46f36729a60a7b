"""The game of a generator G, which makes samples from noise z, and a discriminator D, which tells them from true ones.

    V = E log D(x) + E log(1 - D(G(z)))          D climbs V, G descends it

Goodfellow et al. 2014 (arXiv 1406.2661). All functions take the logits of D, so that nothing overflows or saturates to
log 0. When D cannot tell, D = 1/2 everywhere and V = -2 ln 2.

Shapes: any, one logit per sample; results are scalars.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor


def game_value(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """V, at most 0."""
    return F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-V: the binary cross-entropies of true samples as yes and of made ones as no, added."""
    return -game_value(real_logits, fake_logits)


def generator_loss(fake_logits: Tensor, form: Literal["non_saturating", "minimax"] = "non_saturating") -> Tensor:
    """-E log D(G(z)), or E log(1 - D(G(z))) of the original game.

    Both want D(G(z)) = 1. Where D is sure that a sample is made, the second has almost no slope, and that is where a
    generator starts; hence the first.
    """
    return -F.logsigmoid(fake_logits).mean() if form == "non_saturating" else F.logsigmoid(-fake_logits).mean()
