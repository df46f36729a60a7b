"""Several networks that answer as one: the mean of their probabilities.

    p(k|x) = (1/M) sum_m softmax(z_m)_k        outputs: log p, whose softmax is p again
    p(k|x) = (1/M) sum_m sigmoid(z_m)_k        outputs: log p - log(1 - p), for independent yes or no
    f(x)   = (1/M) sum_m f_m(x)                for numbers

Breiman 1996 (bagging); Krizhevsky et al. 2012 averaged seven networks. As the outputs are logits again, objectives,
prediction and export take an ensemble for a network like any other.

Shapes: M members, B batch, K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models.network import Network
from limpid.models.registry import build_model
from limpid.models.translation import Translated, translated
from limpid.spec import DataSpec, Task


class Ensemble(nn.Module):
    """Members with the same inputs and outputs, averaged. Each scales raw inputs itself."""

    def __init__(self, members: Sequence[nn.Module], task: Task) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.task = task

    def forward(self, *inputs: Tensor) -> Tensor:
        return average(torch.stack([member(*inputs).float() for member in self.members]), self.task)


def average(outputs_MBK: Tensor, task: Task) -> Tensor:
    """Outputs of the mean probability (or mean value, for regression), (B, K) or (B, T, K); computed in logarithms."""
    if task == "regression":
        return outputs_MBK.mean(dim=0)
    log_count = math.log(len(outputs_MBK))
    if task in ("binary", "multilabel"):
        return F.logsigmoid(outputs_MBK).logsumexp(dim=0) - F.logsigmoid(-outputs_MBK).logsumexp(dim=0)
    return outputs_MBK.log_softmax(dim=-1).logsumexp(dim=0) - log_count


def build_ensemble(members: Sequence[tuple[ModelConfig, DataSpec]], spec: DataSpec) -> Network:
    """Networks of these architectures as one, with weights that are yet to be filled in."""
    built = [
        build_model(config.model_copy(update={"pretrained": False}), own, seed=number)
        for number, (config, own) in enumerate(members)
    ]
    return as_network(built, spec, [own for _, own in members])


def as_network(members: Sequence[nn.Module], spec: DataSpec, specs: Sequence[DataSpec] = ()) -> Network:
    """Networks that take raw samples as one that does; `specs` of members whose encoding of samples is their own.

    Raises ModelError where members of these specs have learned different questions.
    """
    if specs:
        members = [translated(member, own, spec) for member, own in zip(members, specs, strict=True)]
    network = Network(spec, Ensemble(members, spec.task))
    network.scale.enabled = False  # each member does it, perhaps with statistics of its own
    return network


def members_of(network: Network) -> list[nn.Module]:
    """The networks whose answers `as_network` averages, each taking samples and answering as their ensemble does."""
    assert isinstance(network.body, Ensemble)
    return list(network.body.members)


def inner(member: nn.Module) -> nn.Module:
    """The network of a member, without the translation around it."""
    return member.network if isinstance(member, Translated) else member
