"""First values of the weights of a whole network.

- He et al. 2015 (arXiv 1502.01852, eq. 10) before ReLU-like functions: std = sqrt(2 / fan_in).
- Glorot & Bengio 2010 before tanh and sigmoid: std = sqrt(2 / (fan_in + fan_out)).
- LeCun et al. 1998 before selu, maxout and nothing: std = sqrt(1 / fan_in).
- The last layer is quiet: std = QUIET / sqrt(fan_in). Its outputs then start near zero, so that the first loss is the
  loss of knowing nothing (ln C for C classes) and no early step is spent on unlearning random confidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from limpid.catalogue.activations import ACTIVATIONS
from limpid.catalogue.call import Call, read_call
from limpid.catalogue.initializers import INITIALIZERS, InitializerPart
from limpid.errors import ConfigError, ModelError
from limpid.models.embedding import CategoryEmbedding
from limpid.models.first_weights import Place
from limpid.models.gain import gain_of

# Standard deviation of a first output when the features have unit size; 0.1 costs a loss of about 0.1**2 / 2.
QUIET = 0.1
SATURATING = ("tanh", "sigmoid", "scaled_tanh", "hardtanh", "softsign")
KEEPS_SIZE = ("selu", "maxout", "identity", "softmax", "log_softmax")
LAYERS = (nn.Linear, nn.Bilinear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d)


def initialize(body: nn.Module, head: nn.Module | None, *, activation: str = "relu") -> None:
    """Set the weights of convolutions and dense layers of `body`, then make `head` quiet; None: a piece without one."""
    name = read_call(ACTIVATIONS, activation).part.name
    for module in body.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
            if name in SATURATING:
                nn.init.xavier_normal_(module.weight)
            else:
                follows = "linear" if name in KEEPS_SIZE else "relu"
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity=follows)  # type: ignore[arg-type]
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if head is not None:
        assert isinstance(head, nn.Linear)
        nn.init.normal_(head.weight, std=QUIET / math.sqrt(head.in_features))


def reinitialize(
    body: nn.Module, weights: str | None, *, activation: str, biases: str = "own", embeddings: str = "own"
) -> None:
    """Draw weights again by named rules; what is None or "own" stays as the model made it.

    Weights and biases are those of dense, convolutional, recurrent and attention layers, each gate and projection by
    itself. The vectors of an embedding count as rows of a matrix; those of padding and of unknown codes stay zero.

    Raises:
        ConfigError: a rule that needs a matrix, for biases.
        ModelError: a rule for something that the network does not have.
    """
    if weights is None and biases == embeddings == "own":
        return
    gain = gain_of(activation)
    matrices = list(_matrices(body))
    if weights is not None:
        rule = read_call(INITIALIZERS, weights)
        _need(matrices, f"model.init={weights}", "dense, convolutional, recurrent or attention layers")
        for matrix, _ in matrices:
            _fill(matrix, matrix, rule, gain)
    if biases != "own":
        rule = read_call(INITIALIZERS, biases)
        if rule.part.needs_matrix:
            raise ConfigError(
                f"model.bias_init={biases} is for matrices. Use zeros, constant(0.1), uniform(-1, 1), ..."
            )
        pairs = [(matrix, bias) for matrix, bias in matrices if bias is not None]
        _need(pairs, f"model.bias_init={biases}", "biases")
        for matrix, bias in pairs:
            _fill(bias, matrix, rule, gain)
    if embeddings != "own":
        rule = read_call(INITIALIZERS, embeddings)
        tables = list(_tables(body))
        _need(tables, f"model.embedding_init={embeddings}", "embeddings")
        for table_VD, zero_row in tables:
            _fill(table_VD, table_VD, rule, gain)
            if zero_row is not None:
                nn.init.zeros_(table_VD[zero_row])


def _matrices(body: nn.Module) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Every weight that sums over inputs, gate by gate, with its bias."""
    for module in body.modules():
        if isinstance(module, LAYERS):
            yield module.weight.detach(), None if module.bias is None else module.bias.detach()
        elif isinstance(module, nn.RNNBase) or hasattr(module, "weight_hh"):  # torch's recurrent layers, and ours
            own = dict(module.named_parameters(recurse=False))
            num_units = getattr(module, "hidden_size", None) or own["weight_hh"].shape[1]
            for name, weight in own.items():
                if name.startswith("weight"):
                    shared = own.get("bias") if name == "weight_ih" else None
                    bias = own.get(name.replace("weight", "bias"), shared)
                    yield from _blocks(weight, bias, max(1, len(weight) // num_units))
        elif isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
            yield from _blocks(module.in_proj_weight, module.in_proj_bias, 3)


def _blocks(weight: Tensor, bias: Tensor | None, count: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    biases: tuple[Tensor | None, ...] = (None,) * count
    if bias is not None and len(bias) == len(weight):
        biases = bias.detach().chunk(count)
    elif bias is not None:  # of one block alone
        biases = (bias.detach(), *biases[1:])
    yield from zip(weight.detach().chunk(count), biases, strict=True)


def _tables(body: nn.Module) -> Iterator[tuple[Tensor, int | None]]:
    """The vectors of every embedding, and which of them is zero."""
    for module in body.modules():
        if isinstance(module, nn.Embedding):
            yield module.weight.detach(), module.padding_idx
        elif isinstance(module, CategoryEmbedding):
            for column in range(len(module.sizes)):
                yield module.matrix(column).detach(), 0


def _fill(tensor: Tensor, matrix: Tensor, rule: Call[InitializerPart], gain: float) -> None:
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(matrix)
    rule.build(tensor, Place(fan_in, fan_out, gain))


def _need(found: Sequence[object], option: str, what: str) -> None:
    if not found:
        raise ModelError(f"{option} has nothing to draw: this network has no {what}. Leave it out.")
