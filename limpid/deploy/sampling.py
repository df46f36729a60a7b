"""The next token from its logits: the likeliest, or drawn.

    p = softmax(z / temperature), over the k likeliest tokens (top-k), and of those over the fewest that together have
    probability p (top-p, nucleus: Holtzman et al. 2020, arXiv 1904.09751)

Shapes: B sequences, V tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from limpid.errors import ConfigError
from limpid.spec import PADDING, START, UNKNOWN

NEVER = [PADDING, UNKNOWN, START]  # tokens that are no text


@dataclass(frozen=True)
class Sampling:
    """How to draw. Temperature 0 takes the likeliest token; top_k 0 and top_p 1 leave nothing out.

    Raises ConfigError for a value out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, fine, expected in (
            ("temperature", 0 <= self.temperature < math.inf, "at least 0"),
            ("top_k", self.top_k >= 0, "at least 0"),
            ("top_p", 0 < self.top_p <= 1, "above 0, at most 1"),
        ):
            if not fine:
                raise ConfigError(f"{name}={getattr(self, name)} is not accepted: {expected}.")

    def generator(self) -> torch.Generator:
        """A generator of its own, so that a seed gives the same text wherever it is asked for."""
        return torch.Generator().manual_seed(self.seed)


def choose(logits_BV: Tensor, how: Sampling, generator: torch.Generator) -> Tensor:
    """Tokens, int64 (B,), on the CPU."""
    scores_BV = logits_BV.float().cpu().clone()
    scores_BV[:, NEVER] = -math.inf
    if how.temperature == 0:
        return scores_BV.argmax(dim=1)
    probabilities_BV = kept_probabilities(scores_BV / how.temperature, how)
    return torch.multinomial(probabilities_BV, 1, generator=generator).squeeze(1)


def kept_probabilities(scores_BV: Tensor, how: Sampling) -> Tensor:
    """Probabilities of the tokens that top-k and top-p keep, (B, V); the others have 0."""
    if 0 < how.top_k < scores_BV.shape[1]:
        least_B1 = scores_BV.topk(how.top_k, dim=1).values[:, -1:]
        scores_BV = scores_BV.masked_fill(scores_BV < least_B1, -math.inf)
    probabilities_BV = scores_BV.softmax(dim=1)
    if how.top_p < 1:
        sorted_BV, order_BV = probabilities_BV.sort(dim=1, descending=True)
        before_BV = sorted_BV.cumsum(dim=1) - sorted_BV
        sorted_BV = sorted_BV.masked_fill(before_BV >= how.top_p, 0.0)  # the likeliest always stays
        probabilities_BV = torch.zeros_like(sorted_BV).scatter(1, order_BV, sorted_BV)
        probabilities_BV /= probabilities_BV.sum(dim=1, keepdim=True)
    return probabilities_BV
