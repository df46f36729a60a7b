"""Recurrent networks: the same layer at every step, with a state that goes from step to step.

    h_t = f(h_{t-1}, x_t; theta)      y = W h_T + b, or W mean_t h_t + b, or at every place W h_t + b

Layers lie on each other, with dropout between them (Zaremba et al. 2014); a bidirectional layer also reads from the
end (Schuster & Paliwal 1997). Sequences may differ in length: what follows a sequence's end changes nothing.

Shapes: B sequences, T places, F features, H units, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models.attention import valid_places
from limpid.models.dropout import VariationalDropout
from limpid.models.elman import Elman
from limpid.models.encoder import masked_mean
from limpid.models.gru import GRU
from limpid.models.initialize import QUIET
from limpid.models.lstm import LSTM
from limpid.models.sequence_inputs import SequenceInputs
from limpid.models.window_scale import relative_to_window
from limpid.spec import DataSpec

MakeLayer = Callable[[int, int], nn.Module]


class RecurrentStack(nn.Module):
    """(B, T, F) -> (B, T, H), or 2 H where bidirectional, and the state of every layer.

    `make_layer(num_inputs, num_units)` gives a module that is called as `nn.LSTM` is, time first.
    """

    def __init__(
        self,
        make_layer: MakeLayer,
        num_inputs: int,
        num_units: int,
        num_layers: int,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        variational: bool = False,
    ) -> None:
        super().__init__()
        self.width = num_units * (2 if bidirectional else 1)
        sizes = [num_inputs, *[self.width] * (num_layers - 1)]
        self.layers = nn.ModuleList(make_layer(size, num_units) for size in sizes)
        self.backward_layers = nn.ModuleList(make_layer(size, num_units) for size in sizes if bidirectional)
        self.dropout: nn.Module = nn.Dropout(dropout) if dropout else nn.Identity()
        if variational and dropout:
            self.dropout = VariationalDropout(dropout, time_dim=0)

    def forward(
        self, x_BTF: Tensor, lengths_B: Tensor | None = None, state: list[Any] | None = None
    ) -> tuple[Tensor, list[Any]]:
        x_TBF = x_BTF.transpose(0, 1)
        after: list[Any] = []
        for number, layer in enumerate(self.layers):
            x_TBF = x_TBF if number == 0 else self.dropout(x_TBF)
            out_TBH, layer_state = layer(x_TBF.contiguous(), None if state is None else state[number])
            after.append(layer_state)
            if len(self.backward_layers):
                back_TBH, _ = self.backward_layers[number](turned(x_TBF, lengths_B).contiguous())
                out_TBH = torch.cat((out_TBH, turned(back_TBH, lengths_B)), dim=2)
            x_TBF = out_TBH
        return x_TBF.transpose(0, 1), after


class RecurrentNetwork(nn.Module):
    """A sequence of any form -> (B, K), or (B, T, K) per place.

    `pool` says what is read of the outputs: the last one before the end, or the mean of all.
    """

    most_places = None  # a state takes texts of any length

    def __init__(
        self, inputs: SequenceInputs, stack: RecurrentStack, num_outputs: int, *, pool: str, per_place: bool
    ) -> None:
        super().__init__()
        self.inputs, self.stack, self.pool, self.per_place = inputs, stack, pool, per_place
        self.head = nn.Linear(stack.width, num_outputs)

    def forward(self, x: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        x_BTF, lengths_B, num_places = self.inputs(x, lengths_B)
        out_BTH, _ = self.stack(x_BTF, lengths_B)
        if self.per_place:
            return nn.functional.pad(self.head(out_BTH), (0, 0, 0, num_places - out_BTH.shape[1]))
        if self.pool == "mean":
            mask_BT = None if lengths_B is None else valid_places(lengths_B, out_BTH.shape[1])
            return self.head(masked_mean(out_BTH, mask_BT))
        return self.head(last_outputs(out_BTH, lengths_B, both=bool(len(self.stack.backward_layers))))

    def extend(self, tokens_BT: Tensor, state: list[Any] | None = None) -> tuple[Tensor, list[Any]]:
        """Logits (B, T, K) of tokens that follow those of the state, and the state behind them."""
        out_BTH, state = self.stack(self.inputs.layer(tokens_BT), None, state)
        return self.head(out_BTH), state


def turned(x_TBF: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Every sequence from its end to its beginning; padding stays where it is."""
    if lengths_B is None:
        return x_TBF.flip(0)
    place_T1 = torch.arange(len(x_TBF), device=x_TBF.device).unsqueeze(1)
    mirrored_TB = lengths_B - 1 - place_T1
    index_TB = torch.where(mirrored_TB >= 0, mirrored_TB, place_T1)
    return x_TBF.gather(0, index_TB.unsqueeze(2).expand(-1, -1, x_TBF.shape[2]))


def last_outputs(out_BTH: Tensor, lengths_B: Tensor | None, *, both: bool = False) -> Tensor:
    """(B, H): the output at each sequence's end; of a backward half (`both`), which ends there, at the beginning."""
    if lengths_B is None:
        last_BH = out_BTH[:, -1]
    else:
        index_B = (lengths_B - 1).clamp(min=0)
        last_BH = out_BTH.gather(1, index_B[:, None, None].expand(-1, 1, out_BTH.shape[2])).squeeze(1)
    if not both:
        return last_BH
    half = out_BTH.shape[2] // 2
    return torch.cat((last_BH[:, :half], out_BTH[:, 0, half:]), dim=1)


def layer_maker(kind: str, options: dict[str, Any]) -> MakeLayer:
    """rnn, lstm or gru; our own cells, or torch's fused ones."""
    nonlinearity = options.get("nonlinearity", "tanh")
    if options["cell"] == "written":
        written: dict[str, MakeLayer] = {"rnn": lambda i, h: Elman(i, h, nonlinearity), "lstm": LSTM, "gru": GRU}
        return written[kind]
    if nonlinearity == "identity":
        raise ModelError("model.nonlinearity=identity: torch's fused cell has none. Set model.cell=written.")
    fused: dict[str, MakeLayer] = {
        "rnn": lambda i, h: nn.RNN(i, h, nonlinearity=nonlinearity),
        "lstm": nn.LSTM,
        "gru": nn.GRU,
    }
    return fused[kind]


def build_rnn(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """Plain recurrent units."""
    return _build("rnn", config, spec)


def build_lstm(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """Long short-term memory."""
    return _build("lstm", config, spec)


def build_gru(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """Gated recurrent units."""
    return _build("gru", config, spec)


def _build(kind: str, config: ModelConfig, spec: DataSpec) -> nn.Module:
    options = config.options
    if options["bidirectional"] and spec.task == "tokens" and spec.num_outputs == spec.vocabulary:
        raise ModelError("model.bidirectional=true: reading from the end shows the next token that is to be predicted.")
    inputs = SequenceInputs(spec, None, embedding=config.embedding or options["units"])
    stack = RecurrentStack(
        layer_maker(kind, options),
        inputs.width,
        options["units"],
        options["layers"],
        bidirectional=options["bidirectional"],
        dropout=config.dropout or 0.0,
        variational=options["variational"],
    )
    pool = options["pool"]
    if pool == "auto":
        pool = "mean" if spec.kind == "text" else "last"
    body = RecurrentNetwork(inputs, stack, spec.num_outputs, pool=pool, per_place=spec.task == "tokens")
    nn.init.normal_(body.head.weight, std=QUIET / stack.width**0.5)
    nn.init.zeros_(body.head.bias)
    return relative_to_window(body, spec, options["relative"])
