"""Attention: each query takes a weighted mean of values, and the weights say where it looked.

    scaled dot product   softmax(Q K^T / sqrt(D)) V              Vaswani et al. 2017 (arXiv 1706.03762)
    additive             softmax_s(v^T tanh(W q + U k_s)) V      Bahdanau et al. 2015 (arXiv 1409.0473)

Weights are computed one by one only while someone looks (`attention_weights`); otherwise the library's fused kernel
does all at once.

Shapes: B sequences, T queries, S keys, H heads, D size of a head, W = H D the width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.models.positions import Rotary

Cache = tuple[Tensor, Tensor]  # keys and values of earlier places, each (B, H, S, D)


class Attention(nn.Module):
    """What every attention has: a place where its last weights are kept while someone looks."""

    looking = False
    weights: Tensor | None = None  # (B, T, S) or (B, H, T, S)


def dot_attention(
    query_BHTD: Tensor,
    key_BHSD: Tensor,
    value_BHSD: Tensor,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """softmax(Q K^T / sqrt(D)) V as (B, H, T, D), and the weights (B, H, T, S), whose rows sum to 1.

    `mask` is True where a key may be seen, broadcast to (B, H, T, S). Where `causal`, the last query stands at the
    last key, and nobody sees later keys.
    """
    scores = query_BHTD @ key_BHSD.transpose(-2, -1) / math.sqrt(query_BHTD.shape[-1])
    if causal:
        num_queries, num_keys = scores.shape[-2:]
        seen_TS = torch.ones(num_queries, num_keys, dtype=torch.bool, device=scores.device)
        scores = scores.masked_fill(~seen_TS.tril(num_keys - num_queries), -math.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights_BHTS = scores.softmax(dim=-1)
    return F.dropout(weights_BHTS, dropout, dropout > 0) @ value_BHSD, weights_BHTS


class SelfAttention(Attention):
    """Several heads side by side over one sequence, with one product for queries, keys and values."""

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        causal: bool,
        dropout: float = 0.0,
        bias: bool = True,
        rotary: Rotary | None = None,
    ) -> None:
        super().__init__()
        self.num_heads, self.causal, self.dropout, self.rotary = num_heads, causal, dropout, rotary
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(self, x_BTW: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask` (B, 1, 1, T) is True at places that are no padding; causal attention needs none."""
        return self._attend(*self._heads(x_BTW, 0), mask)

    def count_macs(self, inputs: tuple[Tensor, ...], output: Tensor) -> int:
        """Scores and means of T places over T, those behind a causal mask included."""
        return 2 * output.numel() * output.shape[1]

    def extend(self, x_BTW: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        """The same for places that follow those of the cache, and the cache with them; causal attention only."""
        query, key, value = self._heads(x_BTW, 0 if cache is None else cache[0].shape[2])
        if cache is not None:
            key, value = torch.cat((cache[0], key), dim=2), torch.cat((cache[1], value), dim=2)
        seen = None
        if cache is not None and x_BTW.shape[1] > 1:
            num_queries, num_keys = query.shape[2], key.shape[2]
            seen = torch.ones(num_queries, num_keys, dtype=torch.bool, device=x_BTW.device)
            seen = seen.tril(num_keys - num_queries)[None, None]
        return self._attend(query, key, value, seen, causal=cache is None), (key, value)

    def _heads(self, x_BTW: Tensor, start: int) -> tuple[Tensor, Tensor, Tensor]:
        batch, length, width = x_BTW.shape
        qkv = self.qkv(x_BTW).view(batch, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if self.rotary is not None:
            query, key = self.rotary(query, start), self.rotary(key, start)
        return query, key, value

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool = True) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        causal = self.causal and causal
        if self.looking:
            mixed, self.weights = dot_attention(query, key, value, mask=mask, causal=causal, dropout=dropout)
        else:
            mixed = F.scaled_dot_product_attention(
                query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=causal
            )
        return self.out(mixed.transpose(1, 2).flatten(2))


class CrossAttention(Attention):
    """Several heads from one sequence into another: queries from x, keys and values from the memory."""

    def __init__(self, width: int, num_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x_BTW: Tensor, memory_BSW: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask` (B, 1, 1, S) is True at places of the memory that are no padding."""
        heads = (self.num_heads, x_BTW.shape[2] // self.num_heads)
        query = self.query(x_BTW).unflatten(2, heads).transpose(1, 2)
        key, value = self.key_value(memory_BSW).unflatten(2, (2, *heads)).permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.dropout if self.training else 0.0
        if self.looking:
            mixed, self.weights = dot_attention(query, key, value, mask=mask, dropout=dropout)
        else:
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def count_macs(self, inputs: tuple[Tensor, ...], output: Tensor) -> int:
        """Scores and means of T places over S."""
        return 2 * output.numel() * inputs[1].shape[1]


class AdditiveAttention(Attention):
    """One layer of tanh units scores every pair of query and key."""

    def __init__(self, query_width: int, key_width: int, num_units: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_width, num_units)
        self.key = nn.Linear(key_width, num_units, bias=False)
        self.score = nn.Linear(num_units, 1, bias=False)

    def forward(self, query_BTQ: Tensor, memory_BSK: Tensor, mask_BS: Tensor | None = None) -> Tensor:
        """Mean of the memory, (B, T, K); `mask_BS` is True at places that are no padding."""
        units = torch.tanh(self.query(query_BTQ).unsqueeze(2) + self.key(memory_BSK).unsqueeze(1))
        return self._mean(self.score(units).squeeze(3), memory_BSK, mask_BS)

    def count_macs(self, inputs: tuple[Tensor, ...], output: Tensor) -> int:
        """Means of the memory; the scores are the layers' own."""
        return output.numel() * inputs[1].shape[1]

    def _mean(self, scores_BTS: Tensor, memory_BSK: Tensor, mask_BS: Tensor | None) -> Tensor:
        if mask_BS is not None:
            scores_BTS = scores_BTS.masked_fill(~mask_BS.unsqueeze(1), -math.inf)
        weights_BTS = scores_BTS.softmax(dim=2).to(memory_BSK.dtype)
        if self.looking:
            self.weights = weights_BTS
        return weights_BTS @ memory_BSK


class DotAttention(AdditiveAttention):
    """The scaled dot product of a learned query with each place of the memory."""

    def __init__(self, query_width: int, key_width: int) -> None:
        nn.Module.__init__(self)
        self.query = nn.Linear(query_width, key_width)

    def forward(self, query_BTQ: Tensor, memory_BSK: Tensor, mask_BS: Tensor | None = None) -> Tensor:
        scores_BTS = self.query(query_BTQ) @ memory_BSK.transpose(1, 2) / math.sqrt(memory_BSK.shape[2])
        return self._mean(scores_BTS, memory_BSK, mask_BS)

    def count_macs(self, inputs: tuple[Tensor, ...], output: Tensor) -> int:
        """Scores and means of the memory."""
        return 2 * super().count_macs(inputs, output)


@contextmanager
def attention_weights(network: nn.Module) -> Iterator[dict[str, Attention]]:
    """While open, every attention of the network keeps the weights of its last forward pass, in `.weights`.

    Yields the attentions by name, in the order of the network.
    """
    found = {name: module for name, module in network.named_modules() if isinstance(module, Attention)}
    for module in found.values():
        module.looking = True
    try:
        yield found
    finally:
        for module in found.values():
            module.looking, module.weights = False, None


def valid_places(lengths_B: Tensor, longest: int) -> Tensor:
    """True at the places before each sequence's end, (B, T); empty sequences count as one place long."""
    return torch.arange(longest, device=lengths_B.device) < lengths_B.clamp(min=1).unsqueeze(1)
