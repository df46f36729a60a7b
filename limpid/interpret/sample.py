"""One row of a run's data as its network takes it, with the loss that training saw in such a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from limpid.catalogue.models import MODELS
from limpid.data.dataset import GatheredRows
from limpid.data.pixels import Pixels, as_pictures
from limpid.deploy.trained import load_trained
from limpid.errors import ConfigError
from limpid.opening import recorded_data
from limpid.record.run import Run


@dataclass(frozen=True)
class Sample:
    """A batch of one.

    Attributes:
        inputs, target: as a batch holds them, the batch dimension first and of size 1.
        loss: (outputs, target) -> the loss of the row, a scalar: that of training, without penalties.
        split, row, name: where it is from.
        descended: whether the network has learned by descending this loss.
        units: what the loss compares, where it is not the target as it is shown; "": it is.
        is_image: whether the first of the inputs is an image (1, C, H, W).
    """

    inputs: tuple[Tensor, ...]
    target: Tensor
    loss: Callable[[Any, Tensor], Tensor]
    split: str = ""
    row: int = 0
    name: str = ""
    descended: bool = True
    units: str = ""
    is_image: bool = False

    def picture(self) -> Pixels | None:
        """The image to look at, uint8 (H, W, C); None of other data."""
        return as_pictures(self.inputs[0])[0] if self.is_image else None

    def facts(self) -> dict[str, Any]:
        """Where it is from, as plain values."""
        return {"split": self.split, "row": self.row, "name": self.name}


def open_sample(
    run: Run, row: int = 0, *, source: Any = None, y: Any = None, module: nn.Module | None = None
) -> tuple[nn.Module, Sample]:
    """A run's best network, in evaluation mode on the CPU, and a row of its validation split.

    Of a run of several members the network is the one that predicts: all of them. Without a validation split the row is
    one of the training split.

    Args:
        row: number of the row, from 0.
        source, y: the data, where the run had them handed over in Python.
        module: the network, where the run trained one of the user's own: an instance of it, with any weights.

    Raises:
        CheckpointError: the run has no weights that verify.
        RecordError: the data or the network are not at hand, or the data are not those of the run.
        ConfigError: the split has no such row.
    """
    trained = load_trained(run, module=module)
    _, dataset = recorded_data(run, source, y, module)
    name, split = ("training", dataset.train) if dataset.valid is None else ("validation", dataset.valid)
    if not 0 <= row < len(split):
        raise ConfigError(
            f"--row {row}: the {name} split of {run.path} has {len(split):,} rows, 0 to {len(split) - 1}."
        )
    index_B = torch.tensor([row])
    target = split.rows.targets(index_B) if isinstance(split.rows, GatheredRows) else None
    target = split.target[index_B] if target is None else target
    inputs = tuple(tensor.cpu() for tensor in split.rows.take(index_B))
    model = trained.config.model.name
    descended = model not in MODELS or MODELS[model].optimizer != "none"
    objective, place = trained.objective, (name, row, split.name_of(row))
    sample = Sample(
        inputs, target.cpu(), objective.loss, *place, descended, objective.units, trained.spec.kind == "image"
    )
    return trained.network, sample
