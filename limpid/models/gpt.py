"""A language model: a stack of blocks in which each place sees itself and what stands before it.

    logits_t = E norm(blocks(E[x_t] + p_t))      E: one matrix for reading tokens and for naming them

Source: Radford et al. 2019 (GPT-2), small; weight tying Press & Wolf 2017 (arXiv 1608.05859).

Shapes: B sequences, T places, V tokens, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models.attention import Cache
from limpid.models.block import FIRST_STD, Block, check_heads, initialize_blocks
from limpid.models.positions import Positions, Rotary
from limpid.spec import DataSpec

State = list[Cache]


class GPT(nn.Module):
    """Tokens (B, T) -> logits of the next one at every place, (B, T, V).

    `most_places` is the longest text that it can be given at once, None where positions have no end.
    """

    def __init__(
        self,
        vocabulary: int,
        num_outputs: int,
        context: int,
        *,
        width: int,
        num_heads: int,
        num_blocks: int,
        positions: str,
        dropout: float,
        bias: bool,
        tied: bool,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = None if positions == "rope" else Positions(positions, context, width)
        rotary = Rotary(context, width // num_heads) if positions == "rope" else None
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.blocks = nn.ModuleList(
            Block(width, num_heads, causal=True, dropout=dropout, bias=bias, rotary=rotary) for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(width, bias=bias)
        self.head = nn.Linear(width, num_outputs, bias=False)
        initialize_blocks(self, num_blocks)
        if tied:
            self.head.weight = self.embedding.weight
        self.most_places = None if self.positions is None else self.positions.most

    def forward(self, tokens_BT: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """Lengths are not looked at: padding stands behind, where nobody sees it."""
        x_BTW = self._enter(tokens_BT, 0)
        for block in self.blocks:
            x_BTW = block(x_BTW)
        return self.head(self.norm(x_BTW))

    def extend(self, tokens_BT: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits (B, T, V) of tokens that follow those of the state, and the state with them (keys and values)."""
        start = 0 if state is None else state[0][0].shape[2]
        x_BTW = self._enter(tokens_BT, start)
        after: State = []
        for number, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            x_BTW, cache = block.extend(x_BTW, None if state is None else state[number])
            after.append(cache)
        return self.head(self.norm(x_BTW)), after

    def _enter(self, tokens_BT: Tensor, start: int) -> Tensor:
        x_BTW = self.embedding(tokens_BT)
        return self.dropout(x_BTW if self.positions is None else self.positions(x_BTW, start))


def build_gpt(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """`context` places of learned positions; tied weights where the tokens that are named are those that are read."""
    check_heads(config)
    options = config.options
    same = spec.vocabulary == spec.num_outputs
    model = GPT(
        spec.vocabulary,
        spec.num_outputs,
        spec.input_shape[0],
        width=options["width"],
        num_heads=options["heads"],
        num_blocks=options["layers"],
        positions=options["positions"],
        dropout=config.dropout or 0.0,
        bias=options["bias"],
        tied=options["tied"] and same,
    )
    if not (options["tied"] and same):
        with torch.no_grad():
            model.head.weight.normal_(std=FIRST_STD)
    return model
