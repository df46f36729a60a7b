"""What a run starts with: weights of an earlier run or of a .safetensors file, and which of them learn how fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limpid.config import Config
from limpid.errors import CheckpointError, ConfigError
from limpid.models.blocks import blocks_of, head_of
from limpid.models.freezing import Freezing
from limpid.models.network import Network
from limpid.models.transfer import Account, take_weights
from limpid.optim.layer_decay import rate_scales
from limpid.optim.optimizers import build_optimizer
from limpid.record.run import Run
from limpid.spec import DataSpec
from limpid.training.checkpoint import load_weights


@dataclass(frozen=True)
class Start:
    """Weights by name, where they come from, and the data that they were learned on where that is known."""

    place: str
    weights: dict[str, Tensor]
    spec: DataSpec | None


def load_start(place: str) -> Start:
    """The best weights of a run folder, or those of a .safetensors file.

    Raises RecordError or CheckpointError when there are none at `place`.
    """
    path = Path(place).expanduser()
    if path.suffix == ".safetensors" or path.is_file():
        return Start(place, load_weights(path), None)
    run = Run.open(path)
    checkpoint = run.latest_checkpoint()
    if checkpoint is None:
        raise CheckpointError(f"{path} holds no valid checkpoint, so there are no weights to start from. Train it.")
    return Start(place, load_weights(checkpoint), DataSpec.model_validate(run.header["data"]))


def begin(network: Network, start: Start, spec: DataSpec) -> Account:
    """Put the weights into the network, which keeps a new head where the classes or targets are others.

    The scaling of pictures is taken too, as the weights were learned behind it. That of columns is not: one that hardly
    varied in the earlier data would be blown up beyond measure in the new. Where tokens have other meanings, the rows
    that belong to them (embeddings, the last layer) are new.

    Raises ModelError when nothing fits.
    """
    leave = []
    if start.spec is not None:
        if (start.spec.classes, start.spec.target_names) != (spec.classes, spec.target_names):
            leave.append(f"body.{head_of(network, spec.num_outputs)[0]}.".replace("..", "."))
        if spec.kind not in ("image", "captions"):
            leave.append("scale.")
        if _vocabularies(start.spec) != _vocabularies(spec):
            sizes = {spec.vocabulary, spec.num_outputs if spec.task == "tokens" else spec.vocabulary}
            leave += [name for name, tensor in network.state_dict().items() if tensor.ndim and len(tensor) in sizes]
    return take_weights(network, start.weights, place=start.place, leave=leave)


def _vocabularies(spec: DataSpec) -> dict[str, Any]:
    return {key: value for key, value in spec.preparation.items() if key.endswith("vocabulary")}


def optimizer_of(
    network: Network, config: Config, num_outputs: int
) -> tuple[torch.optim.Optimizer, Callable[[int], None] | None]:
    """Freeze what is to be frozen, and build the optimiser of what learns now or later.

    The second value thaws so many blocks; None where nothing is to be thawed.
    """
    choice, thaws = config.model.freeze, config.model.thaw is not None
    if thaws and not choice:
        raise ConfigError("model.thaw lets frozen blocks learn one by one, and none is frozen: set model.freeze too.")
    freezing = Freezing(network, choice, num_outputs) if choice else None
    if freezing is not None and not thaws:
        freezing.apply()
    scales = None
    if config.optim.layer_decay < 1.0:
        blocks = [block.parameters for block in blocks_of(network, num_outputs)]
        scales = rate_scales(blocks, config.optim.layer_decay)
    optimizer = build_optimizer(config.optim, network, rate_scales=scales)
    if freezing is None or not thaws:
        return optimizer, None
    freezing.apply()
    return optimizer, freezing.apply
