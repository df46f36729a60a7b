"""A block of a Transformer: attention to others, then a small network at each place, both on a residual stream.

    x <- x + attention(norm(x))      x <- x + attention(norm(x), memory)  (decoders)      x <- x + mlp(norm(x))

The norm stands before each part (Xiong et al. 2020, arXiv 2002.04745): deep stacks then train without a long warm-up.
Original, with the norm behind: Vaswani et al. 2017.

Shapes: B sequences, T places, S places of the memory, W width.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models.attention import Cache, CrossAttention, SelfAttention
from limpid.models.positions import Rotary

WIDER = 4  # times the width: the hidden layer at each place
FIRST_STD = 0.02  # of first weights, as in GPT-2


class PlaceNetwork(nn.Module):
    """W_2 gelu(W_1 x + b_1) + b_2 at each place."""

    def __init__(self, width: int, *, bias: bool) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, WIDER * width, bias=bias)
        self.out = nn.Linear(WIDER * width, width, bias=bias)

    def forward(self, x_BTW: Tensor) -> Tensor:
        return self.out(F.gelu(self.hidden(x_BTW)))


class Block(nn.Module):
    """Self-attention, attention to a memory where `cross`, and a network at each place."""

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        causal: bool,
        cross: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
        rotary: Rotary | None = None,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, bias=bias)
        self.attention = SelfAttention(width, num_heads, causal=causal, dropout=dropout, bias=bias, rotary=rotary)
        self.cross_norm = nn.LayerNorm(width) if cross else None
        self.cross = CrossAttention(width, num_heads, dropout=dropout) if cross else None
        self.place_norm = nn.LayerNorm(width, bias=bias)
        self.place = PlaceNetwork(width, bias=bias)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(
        self,
        x_BTW: Tensor,
        mask: Tensor | None = None,
        memory_BSW: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        x_BTW = x_BTW + self.dropout(self.attention(self.norm(x_BTW), mask))
        if self.cross is not None and self.cross_norm is not None:
            assert memory_BSW is not None
            x_BTW = x_BTW + self.dropout(self.cross(self.cross_norm(x_BTW), memory_BSW, memory_mask))
        return x_BTW + self.dropout(self.place(self.place_norm(x_BTW)))

    def extend(self, x_BTW: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        """The same for places that follow those of the cache; without cross-attention."""
        mixed, cache = self.attention.extend(self.norm(x_BTW), cache)
        x_BTW = x_BTW + self.dropout(mixed)
        return x_BTW + self.dropout(self.place(self.place_norm(x_BTW))), cache


def initialize_blocks(body: nn.Module, num_blocks: int) -> None:
    """GPT-2's first weights: N(0, 0.02^2), and 1 / sqrt(2 blocks) of it where a branch joins the residual stream."""
    for name, module in body.named_modules():
        if isinstance(module, nn.Linear):
            branch_end = name.endswith((".out",))
            nn.init.normal_(module.weight, std=FIRST_STD / (math.sqrt(2 * num_blocks) if branch_end else 1.0))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=FIRST_STD)


def check_heads(config: ModelConfig) -> None:
    """Raise ModelError unless the width is a multiple of the number of heads (and of two per head, for rope)."""
    width, heads = config.options["width"], config.options["heads"]
    if width % heads:
        fitting = [n for n in range(1, width + 1) if width % n == 0 and n <= 16]
        raise ModelError(
            f"model.width={width} cannot be shared by model.heads={heads}: use {', '.join(map(str, fitting))} heads, "
            f"or a width that is a multiple of {heads}."
        )
    if config.options.get("positions") == "rope" and (width // heads) % 2:
        raise ModelError(
            f"model.positions=rope turns pairs of numbers, and a head has {width // heads} (width {width} by "
            f"{heads} heads): use an even number per head, or model.positions=learned."
        )
