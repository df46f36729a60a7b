"""What disturbs a network while it learns, put in from outside: noise on its inputs, branches that drop out.

    input noise        z <- z + e, e ~ N(0, deviation^2)                      in use z
    stochastic depth   y = x + m F(x) / keep_i, m ~ Bernoulli(keep_i)         in use x + F(x)

Small noise on standardised inputs acts as a penalty on steep outputs (Bishop 1995, "Training with noise is equivalent
to Tikhonov regularization"). Stochastic depth: Huang et al. 2016 (arXiv 1603.09382). Neither changes the names of the
weights, and a network without them runs the very code that it would run if they did not exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import torch
from torch import Tensor, nn

from limpid.config import RegularizeConfig
from limpid.errors import ModelError
from limpid.models.network import Network

BRANCHES = ("drop_path", "drop_path1", "drop_path2", "stochastic_depth")  # in our blocks, timm's, torchvision's


def disturb(config: RegularizeConfig, network: Network, *, name: str) -> None:
    """Put in what the section asks for; `name` is what to call the network in a message.

    Raises ModelError when the network has no residual branch that could be dropped.
    """
    if config.input_noise:
        add_input_noise(network, config.input_noise)
    if config.stochastic_depth:
        set_stochastic_depth(network, config.stochastic_depth, name=name)


@final
class GaussianNoise(nn.Module):
    """x + e with e ~ N(0, deviation^2), drawn anew for every number of every batch; off in evaluation."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x) * self.deviation if self.training else x

    def extra_repr(self) -> str:
        return f"deviation={self.deviation}"


def add_input_noise(network: Network, deviation: float) -> None:
    """Put noise between the network's input scaling and its body, as a hook of the former.

    The hook raises ModelError at the first batch when the inputs are whole numbers, such as tokens.
    """
    noise = GaussianNoise(deviation)

    def add(scale: nn.Module, inputs: Any, z: Tensor) -> Tensor:
        if not z.is_floating_point():
            raise ModelError("regularize.input_noise: the inputs are whole numbers, which take no noise. Leave it out.")
        return noise.train(scale.training)(z)

    network.scale.register_forward_hook(add)


def set_stochastic_depth(network: nn.Module, share: float, *, name: str) -> None:
    """Let residual branches drop out for whole samples, later ones more often: branch i of L with share * i / L.

    Raises ModelError when the network has no such branch.
    """
    from torchvision.ops import StochasticDepth

    branches = list(_branches(network))
    if not branches:
        raise ModelError(
            f"regularize.stochastic_depth={share}: {name} has no residual branch that could be dropped. "
            "Use a residual network, such as resnet20, or leave it out."
        )
    for i, (block, attribute) in enumerate(branches, 1):
        setattr(block, attribute, StochasticDepth(share * i / len(branches), mode="row"))


def _branches(network: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """(block, attribute) of every place for a dropped branch, from input to output."""
    for module in network.modules():
        for attribute in BRANCHES:
            if hasattr(module, attribute):
                yield module, attribute
