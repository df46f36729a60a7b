"""Averages of the weights along a run, which often generalise better than the last weights.

    moving     a <- a + (1 - d_t) (w - a)        d_t = min(decay, (1 + t) / (10 + t))
    equal      a <- a + (w - a) / (n + 1)        for the n-th collected w, one at the end of each late epoch

The rising d_t forgets the first, useless weights quickly (Polyak & Juditsky 1992; the ramp is TensorFlow's). The equal
one is stochastic weight averaging (Izmailov et al. 2018, arXiv 1803.05407).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from limpid.config import OptimConfig
from limpid.errors import ConfigError
from limpid.optim.evaluation_weights import EvaluationWeights, TrainsElsewhere


class Average(Protocol):
    """Weights for evaluation that are not those that are trained."""

    def update(self, model: nn.Module) -> None: ...
    def averaged(self, model: nn.Module) -> AbstractContextManager[nn.Module]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


def build_average(
    config: OptimConfig, model: nn.Module, optimizer: torch.optim.Optimizer, *, num_steps: int, steps_per_epoch: int
) -> Average | None:
    """The average that the configuration asks for, or that the optimiser brings. Raises ConfigError for two of them."""
    own = isinstance(optimizer, TrainsElsewhere)
    asked = [f"optim.{key}" for key in ("ema", "swa") if getattr(config, key)]
    if own and asked:
        raise ConfigError(f"{asked[0]}: {config.name} has evaluation weights of its own. Leave {asked[0]} out.")
    if len(asked) > 1:
        raise ConfigError("optim.ema and optim.swa average the same weights in two ways. Set one of them to 0.")
    if isinstance(optimizer, TrainsElsewhere):
        return EvaluationWeights(optimizer)
    if config.swa:
        return EqualAverage(model, first=round(num_steps * (1 - config.swa)), every=steps_per_epoch)
    return WeightAverage(model, config.ema) if config.ema else None


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


class EqualAverage(WeightAverage):
    """The mean of the weights at the end of each of the last epochs (stochastic weight averaging).

    Until the first weights are collected the model's own are the answer. Running statistics are averaged like weights,
    as in torch's `AveragedModel(use_buffers=True)`; the paper takes them anew in another pass over the data.

    Args:
        model: on its device already.
        first: steps after which collecting begins.
        every: steps between two collections, counted from the start of the run.
    """

    def __init__(self, model: nn.Module, *, first: int, every: int) -> None:
        super().__init__(model, 0.0)
        self.first, self.every = first, every

    @property
    def collected(self) -> int:
        """How many weights are in the mean."""
        return max(0, self.updates // self.every - self.first // self.every)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Count the step; add the weights to the mean where it ends a late epoch."""
        self.updates += 1
        if self.updates % self.every == 0 and self.collected:
            torch._foreach_lerp_(self._average, self._tensors_of(model), 1.0 / self.collected)

    @contextmanager
    def averaged(self, model: nn.Module) -> Iterator[nn.Module]:
        """The model with the mean inside the block, once there is one."""
        if not self.collected:
            yield model
            return
        with super().averaged(model):
            yield model


def _averaged_tensors(model: nn.Module) -> tuple[list[str], list[Tensor]]:
    named: list[tuple[str, Tensor]] = list(model.named_parameters())
    named += [(name, buffer) for name, buffer in model.named_buffers() if buffer.is_floating_point()]
    return [name for name, _ in named], [tensor for _, tensor in named]
