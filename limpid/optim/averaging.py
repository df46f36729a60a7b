"""A moving average of the weights, which often generalises better than the last weights.

    a <- a + (1 - d_t) (w - a)        d_t = min(decay, (1 + t) / (10 + t))

The rising d_t forgets the first, useless weights quickly (Polyak & Juditsky 1992; the ramp is TensorFlow's).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a model's parameters and float buffers.

    Running statistics of normalisation layers are averaged as well, since they describe the weights that they grew
    with; integer buffers are left to the model. The model must be on its device already: its tensors are collected
    once, so that an update is one call and not a walk through the modules.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        assert 0.0 <= decay < 1.0
        self.decay = decay
        self.updates = 0
        self._model = model
        self._names, self._live = _averaged_tensors(model)
        self._average = [tensor.detach().clone() for tensor in self._live]

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model's present weights; call it after the optimiser's step."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        torch._foreach_lerp_(self._average, self._tensors_of(model), 1.0 - decay)

    @contextmanager
    def averaged(self, model: nn.Module) -> Iterator[nn.Module]:
        """The model with the averaged weights inside the block, and with its own again after it."""
        live = self._tensors_of(model)
        with torch.no_grad():
            own = [tensor.detach().clone() for tensor in live]
            torch._foreach_copy_(live, self._average)
        try:
            yield model
        finally:
            with torch.no_grad():
                torch._foreach_copy_(live, own)

    def state_dict(self) -> dict[str, Any]:
        """Number of updates, and the averaged tensors by name."""
        return {"updates": self.updates, "average": dict(zip(self._names, self._average, strict=True))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved average; the names must be the model's."""
        saved = state["average"]
        assert set(saved) == set(self._names), "the saved average belongs to another model"
        self.updates = int(state["updates"])
        for name, tensor in zip(self._names, self._average, strict=True):
            tensor.copy_(saved[name])

    def _tensors_of(self, model: nn.Module) -> list[Tensor]:
        if model is not self._model:  # the same network in another wrapping, for example compiled
            self._model, self._live = model, _averaged_tensors(model)[1]
        return self._live


def _averaged_tensors(model: nn.Module) -> tuple[list[str], list[Tensor]]:
    named: list[tuple[str, Tensor]] = list(model.named_parameters())
    named += [(name, buffer) for name, buffer in model.named_buffers() if buffer.is_floating_point()]
    return [name for name, _ in named], [tensor for _, tensor in named]
