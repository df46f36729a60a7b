"""What a probe looks at: a network, its loss, a batch of training rows, and as much around them as there is.

Shapes: B rows of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from limpid.config import Config
from limpid.models.auxiliary import Outputs
from limpid.spec import DataSpec

if TYPE_CHECKING:
    from limpid.data.dataset import Dataset
    from limpid.objectives.objective import Objective


@dataclass(frozen=True)
class Subject:
    """One network on one task.

    Attributes:
        network: as it is now.
        loss: (outputs, target) -> mean loss, as training uses it.
        inputs, target: fixed training rows in evaluation form (no augmentation), on the network's device.
        index: int64 (B,), which rows of the training split they are.
        optimizer: what training moves the weights with.
        objective, dataset, spec, config: of a Limpid run; None in a user's own loop.
        fresh: builds the same network with first weights from a seed; None in a user's own loop.
        rewire: wires a new run on the same data with some options changed, `rewire({"optim__lr": 0.1})`.
        context: arithmetic of the forward pass.
    """

    network: nn.Module
    loss: Callable[[Any, Tensor], Tensor]
    inputs: tuple[Tensor, ...]
    target: Tensor
    index: Tensor | None = None
    optimizer: torch.optim.Optimizer | None = None
    objective: Objective | None = None
    dataset: Dataset | None = None
    spec: DataSpec | None = None
    config: Config | None = None
    fresh: Callable[[int], nn.Module] | None = None
    rewire: Callable[[Mapping[str, Any]], Any] | None = None
    context: AbstractContextManager[Any] | None = None

    def answer(self, *inputs: Tensor) -> Any:
        """The network's outputs for these inputs, or for its own rows, in the mode that it is in.

        Of a network that has auxiliary classifiers in training, those of the main one.
        """
        with self.context or nullcontext():
            outputs = self.network(*(inputs or self.inputs))
        return outputs.main if isinstance(outputs, Outputs) else outputs

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """While open anything may be done to the network; afterwards weights, buffers, gradients, modes and random
        numbers are as they were, bit for bit."""
        network = self.network
        state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        gradients = [None if p.grad is None else p.grad.detach().clone() for p in network.parameters()]
        modes = [(module, module.training) for module in network.modules()]
        devices = [p.device for p in network.parameters() if p.device.type == "cuda"][:1]
        try:
            with torch.random.fork_rng(devices=devices):
                yield
        finally:
            with torch.no_grad():
                for name, tensor in network.state_dict().items():
                    tensor.copy_(state[name])
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter.grad = gradient
            for module, mode in modes:
                module.training = mode
