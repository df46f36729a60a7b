"""Two recurrent networks: one reads the source, the other writes the target.

Source: Sutskever et al. 2014 (arXiv 1409.3215); with attention Bahdanau et al. 2015, Luong et al. 2015.

Shapes: B pairs, S source places, T target places, M width of the memory, V target tokens.
"""

from __future__ import annotations

from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models.attention import valid_places
from limpid.models.recurrent import RecurrentStack, last_outputs, layer_maker
from limpid.models.recurrent_decoder import RecurrentDecoder
from limpid.spec import DataSpec

Memory = tuple[Tensor, Tensor, Tensor]  # (B, S, M), True at places that are no padding (B, S), the summary (B, M)


class Seq2Seq(nn.Module):
    """Source tokens (B, S), lengths (B,), given target tokens (B, T) -> logits (B, T, V)."""

    def __init__(self, embedding: nn.Embedding, encoder: RecurrentStack, decoder: RecurrentDecoder) -> None:
        super().__init__()
        self.embedding, self.encoder, self.decoder = embedding, encoder, decoder

    def forward(self, source_BS: Tensor, lengths_B: Tensor, given_BT: Tensor) -> Tensor:
        return self.decode(self.encode(source_BS, lengths_B), given_BT)

    def encode(self, source_BS: Tensor, lengths_B: Tensor) -> Memory:
        """Outputs at every place of the source, and the one at each source's end."""
        memory_BSM, _ = self.encoder(self.embedding(source_BS), lengths_B)
        summary_BM = last_outputs(memory_BSM, lengths_B, both=bool(len(self.encoder.backward_layers)))
        return memory_BSM, valid_places(lengths_B, source_BS.shape[1]), summary_BM

    def decode(self, memory: Memory, given_BT: Tensor) -> Tensor:
        """Logits (B, T, V) of the token behind each given one."""
        memory_BSM, mask_BS, summary_BM = memory
        return self.decoder(given_BT, summary_BM, memory_BSM, mask_BS)


def build_seq2seq(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """An encoder of the configured cells, bidirectional unless told otherwise, and a decoder of the same size."""
    options = config.options
    kind, units, layers = options["recurrence"], options["units"], options["layers"]
    encoder = RecurrentStack(
        layer_maker(kind, {"cell": "fused"}),
        units,
        units,
        layers,
        bidirectional=options["both_ways"],
        dropout=config.dropout or 0.0,
    )
    decoder = RecurrentDecoder(
        spec.num_outputs,
        encoder.width,
        kind=kind,
        num_units=units,
        num_layers=layers,
        attention=options["attention"],
        dropout=config.dropout or 0.0,
    )
    return Seq2Seq(nn.Embedding(spec.vocabulary, units), encoder, decoder)
