"""A copy of a network that learns for a while beside the run: for probes that ask what it could learn."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from limpid.catalogue.models import MODELS
from limpid.probes.modes import DROPOUT
from limpid.probes.subject import Subject


def learns_by_gradient(subject: Subject) -> bool:
    """Whether the network is moved by the gradient of its loss, and not by a rule of its own."""
    name = "" if subject.config is None else subject.config.model.name
    part = MODELS.get(name)
    learns = any(p.requires_grad for p in subject.network.parameters())
    return learns and (part is None or (not part.step and part.optimizer != "none"))


def undropped(network: nn.Module) -> None:
    """Training mode without dropout: batch normalisation by the batch's own statistics, as fresh ones fit nothing."""
    network.train()
    for module in network.modules():
        if isinstance(module, DROPOUT):
            module.eval()


def twin(subject: Subject) -> Subject:
    """The subject with a copy of the network, in training mode without dropout: nothing of it is the run's."""
    network = copy.deepcopy(subject.network)
    undropped(network)
    for module in network.modules():
        if isinstance(module, nn.RNNBase):
            module.dropout = 0.0
    return replace(subject, network=network, optimizer=None)


def learn(
    subject: Subject, inputs: tuple[Tensor, ...], target: Tensor, *, lr: float, steps: int, seconds: float
) -> Iterator[float]:
    """Losses of Adam's steps on these very rows, without weight decay; ends early when the time is up or at NaN."""
    optimizer = torch.optim.Adam([p for p in subject.network.parameters() if p.requires_grad], lr=lr)
    deadline = time.perf_counter() + seconds
    for _ in range(steps):
        optimizer.zero_grad()
        with torch.enable_grad():
            loss = subject.loss(subject.answer(*inputs), target)
        if not loss.requires_grad:
            return
        value = loss.item()
        yield value
        if not math.isfinite(value) or time.perf_counter() > deadline:
            return
        loss.backward()
        optimizer.step()
