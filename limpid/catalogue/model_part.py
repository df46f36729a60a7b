"""What is known of an architecture before it is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from limpid.catalogue.part import Part

ANY_NUMBERS = ("image", "vector", "table", "array")


@dataclass(frozen=True)
class Counted:
    """Size and work of an architecture at its own input size, as we count them; tests hold the figures to the network.

    `macs` are multiply-adds of one sample in convolutions and dense layers (models/cost.py).
    """

    input_shape: tuple[int, ...]
    num_outputs: int
    parameters: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class ModelPart(Part):
    """An architecture. `home` is a function (config, spec) -> nn.Module, the body behind the input scaling.

    The module maps the inputs of the spec to outputs of shape (B, num_outputs), or (B, T, num_outputs) for the task
    "tokens". `config.options` then holds every option of the part.
    """

    family: str  # linear, dense, convolutional, residual, recurrent, attention, memory
    kinds: tuple[str, ...]  # of data, see DataSpec
    tasks: tuple[str, ...] = ("classification", "binary", "multilabel", "regression")
    takes_codes: bool = False  # category codes as a second input; otherwise categories come as one-hot numbers
    most_tokens: int = 512  # of a labelled text that it reads, unless data.context says how many; each takes time
    has_weights: bool = False  # published ones that model.pretrained loads
    # A step of its own, in place of forward, loss, backward, update; signature of training/step.py's train_step.
    step: str = ""
    optimizer: str = "auto"  # where the step leaves nothing to choose: "none"
    library: str = ""  # "torchvision/NAME" or "timm/NAME" of an architecture that we take from there
    pattern: str = ""  # of one that is a text of models/pattern_parser.py
    # "section.key" -> what an open option becomes for this architecture; a batch size of "all" is every training row.
    settings: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, str] = field(default_factory=dict)  # figures of the source, with the unit in the name
    counted: Counted | None = None  # what we count
