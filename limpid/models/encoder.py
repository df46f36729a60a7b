"""A Transformer that reads a whole sequence, each place seeing every other, and says what it is.

    y = W mean_t norm(blocks(x_t + p_t)) + b        over the places that are no padding; per place for the task tokens

A token's x_t is sqrt(W) times its vector, which begins small: what it learns then outgrows what it began with.

Source: the encoder of Vaswani et al. 2017 (sqrt(W): section 3.4); the mean in place of BERT's first token.

Shapes: B sequences, T places, F features, W width, K outputs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models.attention import valid_places
from limpid.models.block import FIRST_STD, Block, check_heads, initialize_blocks
from limpid.models.initialize import QUIET
from limpid.models.positions import Positions, Rotary
from limpid.models.sequence_inputs import SequenceInputs
from limpid.models.window_scale import relative_to_window
from limpid.spec import DataSpec


class EncoderStack(nn.Module):
    """(B, S, W) -> (B, S, W): positions, then blocks in which every place sees all places that are no padding."""

    def __init__(
        self, num_places: int, *, width: int, num_heads: int, num_blocks: int, positions: str, dropout: float
    ) -> None:
        super().__init__()
        self.positions = None if positions == "rope" else Positions(positions, num_places, width)
        rotary = Rotary(num_places, width // num_heads) if positions == "rope" else None
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.blocks = nn.ModuleList(
            Block(width, num_heads, causal=False, dropout=dropout, rotary=rotary) for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x_BSW: Tensor, mask_BS: Tensor | None) -> Tensor:
        x_BSW = self.dropout(x_BSW if self.positions is None else self.positions(x_BSW))
        mask = None if mask_BS is None else mask_BS[:, None, None, :]
        for block in self.blocks:
            x_BSW = block(x_BSW, mask)
        return self.norm(x_BSW)


class EncoderClassifier(nn.Module):
    """A sequence of any form -> (B, K), or (B, T, K) per place."""

    def __init__(self, inputs: SequenceInputs, stack: EncoderStack, num_outputs: int, *, per_place: bool) -> None:
        super().__init__()
        self.inputs, self.stack, self.per_place = inputs, stack, per_place
        self.gain = math.sqrt(inputs.width) if inputs.kind == "text" else 1.0
        self.head = nn.Linear(inputs.width, num_outputs)

    def forward(self, x: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        x_BTW, lengths_B, num_places = self.inputs(x, lengths_B)
        mask_BT = None if lengths_B is None else valid_places(lengths_B, x_BTW.shape[1])
        out_BTW = self.stack(x_BTW * self.gain, mask_BT)
        if self.per_place:
            return nn.functional.pad(self.head(out_BTW), (0, 0, 0, num_places - out_BTW.shape[1]))
        return self.head(masked_mean(out_BTW, mask_BT))


def masked_mean(x_BTW: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Mean over the places where the mask is True, (B, W)."""
    if mask_BT is None:
        return x_BTW.mean(dim=1)
    weight_BT1 = mask_BT.unsqueeze(2).to(x_BTW.dtype)
    return torch.sum(x_BTW * weight_BT1, dim=1) / weight_BT1.sum(dim=1)


def build_encoder(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """For series, texts, and images row by row."""
    check_heads(config)
    if spec.task == "tokens" and spec.num_outputs == spec.vocabulary:
        raise ModelError("encoder sees the next tokens that it would predict. Use model.name=gpt, lstm, gru or rnn.")
    options = config.options
    inputs = SequenceInputs(spec, options["width"])
    stack = EncoderStack(
        inputs.num_places,
        width=options["width"],
        num_heads=options["heads"],
        num_blocks=options["layers"],
        positions=options["positions"],
        dropout=config.dropout or 0.0,
    )
    body = EncoderClassifier(inputs, stack, spec.num_outputs, per_place=spec.task == "tokens")
    initialize_blocks(stack, options["layers"])
    if isinstance(inputs.layer, nn.Embedding):
        nn.init.normal_(inputs.layer.weight, std=FIRST_STD)
    nn.init.normal_(body.head.weight, std=QUIET / options["width"] ** 0.5)
    nn.init.zeros_(body.head.bias)
    return relative_to_window(body, spec, options["relative"])
