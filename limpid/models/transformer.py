"""The Transformer: an encoder reads the source, a decoder writes the target and looks at what was read.

    memory = encoder(E_s[x] + p)      logits_t = E_t norm(decoder(E_t[y_1..t] + p, memory))

Source: Vaswani et al. 2017 (arXiv 1706.03762), with the norms before each part.

Shapes: B pairs, S source places, T target places, V target tokens, W width.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models.attention import valid_places
from limpid.models.block import Block, check_heads, initialize_blocks
from limpid.models.encoder import EncoderStack
from limpid.models.positions import Positions
from limpid.spec import DataSpec

Memory = tuple[Tensor, Tensor]  # (B, S, W), and True at places that are no padding, (B, S)


class Transformer(nn.Module):
    """Source tokens (B, S), lengths (B,), given target tokens (B, T) -> logits (B, T, V)."""

    def __init__(
        self,
        source_tokens: int,
        target_tokens: int,
        num_places: int,
        *,
        width: int,
        num_heads: int,
        num_blocks: int,
        positions: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.gain = math.sqrt(width)
        self.source = nn.Embedding(source_tokens, width)
        self.encoder = EncoderStack(
            num_places, width=width, num_heads=num_heads, num_blocks=num_blocks, positions=positions, dropout=dropout
        )
        self.target = nn.Embedding(target_tokens, width)
        self.positions = Positions(positions, num_places, width)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.blocks = nn.ModuleList(
            Block(width, num_heads, causal=True, cross=True, dropout=dropout) for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, target_tokens, bias=False)
        initialize_blocks(self, num_blocks)
        self.head.weight = self.target.weight

    def forward(self, source_BS: Tensor, lengths_B: Tensor, given_BT: Tensor) -> Tensor:
        return self.decode(self.encode(source_BS, lengths_B), given_BT)

    def encode(self, source_BS: Tensor, lengths_B: Tensor) -> Memory:
        """What the decoder looks at."""
        mask_BS = valid_places(lengths_B, source_BS.shape[1])
        return self.encoder(self.source(source_BS) * self.gain, mask_BS), mask_BS

    def decode(self, memory: Memory, given_BT: Tensor) -> Tensor:
        """Logits (B, T, V) of the token behind each given one."""
        memory_BSW, mask_BS = memory
        x_BTW = self.dropout(self.positions(self.target(given_BT) * self.gain))
        for block in self.blocks:
            x_BTW = block(x_BTW, None, memory_BSW, mask_BS[:, None, None, :])
        return self.head(self.norm(x_BTW))


def build_transformer(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """Places for the longer of source and target."""
    check_heads(config)
    options = config.options
    return Transformer(
        spec.vocabulary,
        spec.num_outputs,
        max(spec.input_shape[0], spec.output_shape[0]),
        width=options["width"],
        num_heads=options["heads"],
        num_blocks=options["layers"],
        positions=options["positions"],
        dropout=config.dropout or 0.0,
    )
