"""One trunk, several heads: what is learned for one task is there for the others (Caruana 1997).

    codes = trunk(x);  outputs = [head_1(codes), head_2(codes), ...]

The heads' outputs stand side by side, as objectives/multi_task.py takes them. As the loss is a sum over heads, so is
the gradient of the trunk:  dL/d trunk = sum_h w_h dL_h/d trunk.

Shapes: B batch, D codes, K outputs of all heads together.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from limpid.errors import ModelError
from limpid.models.blocks import head_of
from limpid.models.initialize import initialize
from limpid.models.network import Network


class Heads(nn.Module):
    """Dense layers by name, side by side on the same codes."""

    def __init__(self, num_codes: int, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.by_name = nn.ModuleDict({name: nn.Linear(num_codes, size) for name, size in sizes.items()})
        for head in self.by_name.values():
            initialize(nn.Sequential(), head)

    def forward(self, codes_BD: Tensor) -> Tensor:
        return torch.cat([head(codes_BD) for head in self.by_name.values()], dim=1)


def share_trunk(network: Network, num_outputs: int, sizes: Mapping[str, int]) -> Network:
    """Put one head for each task in the place of the network's own; everything before it becomes their shared trunk.

    Args:
        network: any architecture whose last layer is dense; it is changed.
        num_outputs: of the network as it is, by which its head is known.
        sizes: number of outputs of each task, by the task's name.

    Raises ModelError when the last layer is not dense.
    """
    name, head = head_of(network, num_outputs)
    if not isinstance(head, nn.Linear):
        raise ModelError(f"Several heads need a dense last layer; that of this network is a {type(head).__name__}.")
    heads = Heads(head.in_features, sizes).to(head.weight.device)
    parent, _, child = f"body.{name}".rstrip(".").rpartition(".")
    setattr(network.get_submodule(parent), child, heads)
    return network
