"""A recurrent network that writes: its first state comes from what was read, and it may look back at it.

    h_0 = tanh(W_0 summary + b_0)      h_t = f(h_{t-1}, E[y_t] + W_s summary)
    logits_t = W g_t + b,  g_t = h_t, or tanh(W_c [h_t, attention(h_t, memory)]) with attention

Source: Sutskever et al. 2014 (arXiv 1409.3215); the summary at every step as in Cho et al. 2014 (arXiv 1406.1078);
attention beside the state as in Luong et al. 2015 (arXiv 1508.04025), which lets all given tokens be computed at once.

Shapes: B sequences, S places that were read, T places written, M width of the memory, H units, V tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from limpid.models.attention import AdditiveAttention, DotAttention
from limpid.models.initialize import QUIET
from limpid.models.recurrent import RecurrentStack, layer_maker


class RecurrentDecoder(nn.Module):
    """Given tokens (B, T), a summary (B, M) and, with attention, a memory (B, S, M) -> logits (B, T, V)."""

    def __init__(
        self,
        num_tokens: int,
        memory_width: int,
        *,
        kind: str,
        num_units: int,
        num_layers: int,
        attention: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.num_layers, self.num_states = num_layers, 2 if kind == "lstm" else 1
        self.embedding = nn.Embedding(num_tokens, num_units)
        self.bridge = nn.Linear(memory_width, num_units * num_layers * self.num_states)
        self.feed = nn.Linear(memory_width, num_units, bias=False)
        make_layer = layer_maker(kind, {"cell": "fused"})
        self.stack = RecurrentStack(make_layer, num_units, num_units, num_layers, dropout=dropout)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.attention: AdditiveAttention | None = None
        if attention == "additive":
            self.attention = AdditiveAttention(num_units, memory_width, num_units)
        elif attention == "dot":
            self.attention = DotAttention(num_units, memory_width)
        self.join = nn.Linear(num_units + memory_width, num_units) if self.attention else None
        self.head = nn.Linear(num_units, num_tokens)
        nn.init.normal_(self.head.weight, std=QUIET / num_units**0.5)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, given_BT: Tensor, summary_BM: Tensor, memory_BSM: Tensor | None = None, mask_BS: Tensor | None = None
    ) -> Tensor:
        first = torch.tanh(self.bridge(summary_BM)).unsqueeze(0).chunk(self.num_layers * self.num_states, dim=2)
        first = tuple(part.contiguous() for part in first)
        state: list[Any] = list(first)
        if self.num_states == 2:
            state = list(zip(first[0::2], first[1::2], strict=True))
        x_BTH = self.embedding(given_BT) + self.feed(summary_BM).unsqueeze(1)
        out_BTH, _ = self.stack(self.dropout(x_BTH), None, state)
        if self.attention is not None and self.join is not None:
            assert memory_BSM is not None
            seen_BTM = self.attention(out_BTH, memory_BSM, mask_BS)
            out_BTH = torch.tanh(self.join(torch.cat((out_BTH, seen_BTM), dim=2)))
        return self.head(self.dropout(out_BTH))
