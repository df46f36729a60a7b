"""Parts of a network that do not learn for a while: their parameters get no gradient, their statistics stay still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from limpid.errors import ModelError
from limpid.models.blocks import blocks_of
from limpid.models.network import Network

Norm = nn.modules.batchnorm._NormBase


@dataclass(frozen=True)
class FrozenBlock:
    """What is frozen of one block."""

    name: str
    parameters: tuple[nn.Parameter, ...]
    norms: tuple[Norm, ...]


class Freezing:
    """What was asked to be frozen of a network, block by block from the input to the head.

    Args:
        network: whose parameters all learn at first.
        choice: "backbone" (everything but the head), a number of leading blocks, or a pattern of parameter names such
            as "features.*", without the leading "body.".
        num_outputs: of the data, by which the head is known.

    Raises ModelError when the choice names nothing, or leaves nothing to learn.
    """

    def __init__(self, network: Network, choice: str, num_outputs: int) -> None:
        names = {id(p): name.removeprefix("body.") for name, p in network.named_parameters()}
        blocks = blocks_of(network, num_outputs)
        self._holds: dict[Norm, RemovableHandle] = {}
        self.blocks: list[FrozenBlock] = []
        if choice == "backbone" or choice.isdecimal():
            count = len(blocks) - 1 if choice == "backbone" else int(choice)
            if not 0 < count < len(blocks):
                listed = ", ".join(block.name for block in blocks)
                raise ModelError(
                    f"model.freeze={choice}: the network has {len(blocks)} blocks ({listed}). "
                    f"Freeze from 1 to {len(blocks) - 1} of them."
                )
            self.blocks = [
                FrozenBlock(b.name, b.parameters, _norms(b.modules, {*map(id, b.parameters)})) for b in blocks[:count]
            ]
            return
        for block in blocks:
            chosen = tuple(p for p in block.parameters if _matches(names[id(p)], choice))
            if chosen:
                self.blocks.append(FrozenBlock(block.name, chosen, _norms(block.modules, {*map(id, chosen)})))
        num_chosen = sum(len(block.parameters) for block in self.blocks)
        if num_chosen in (0, len(names)):
            what = "matches no parameter" if num_chosen == 0 else "matches every parameter, so that nothing learns"
            raise ModelError(
                f"model.freeze={choice} {what}. Give backbone, a number of leading blocks, or a pattern of names such "
                f"as {next(iter(names.values()))}; there are {', '.join(list(names.values())[:6])}, ..."
            )

    def apply(self, num_thawed: int = 0) -> None:
        """Freeze all blocks but the `num_thawed` ones next to the head, which learn (again)."""
        still = max(len(self.blocks) - num_thawed, 0)
        for number, block in enumerate(self.blocks):
            for parameter in block.parameters:
                parameter.requires_grad_(number >= still)
                if number < still:
                    parameter.grad = None
            for norm in block.norms:
                if number < still and norm not in self._holds:
                    self._holds[norm] = norm.register_forward_pre_hook(_stay_still)
                elif number >= still and norm in self._holds:
                    self._holds.pop(norm).remove()
                    norm.train()


def _stay_still(norm: nn.Module, inputs: Any) -> None:
    """Before each forward pass: normalise by the statistics that were learned, and do not move them."""
    norm.training = False


def _matches(name: str, pattern: str) -> bool:
    """Whether the pattern is the name, the name of a module around it, or matches it with its wildcards."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _norms(modules: Sequence[nn.Module], frozen: set[int]) -> tuple[Norm, ...]:
    """Normalisations with statistics of their own whose parameters are frozen, or that have none."""
    found = [m for module in modules for m in module.modules() if isinstance(m, Norm)]
    return tuple(m for m in found if all(id(p) in frozen for p in m.parameters(recurse=False)))
