"""The updates of many members: each by its own rule, at its own rate, with its own decay.

SGD, Adam and AdamW move rows of the matrix of all weights, in one call for those whose numbers agree; any other rule
is the member's own optimiser, whose parameters are views of its row.

Shapes: M members, P weights of a member.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from limpid.optim.fused import FusedAdam, FusedSGD
from limpid.optim.rule import spare_the_compiler
from limpid.population.stack_network import StackedNetwork


@dataclass(frozen=True)
class Piece:
    """Numbers of a member that decay alike: views of its row."""

    weights: Tensor
    gradients: Tensor
    means: Tensor
    squares: Tensor
    count: Tensor  # updates so far, for the kernels of Adam
    decay: float


@dataclass
class Mover:
    """How one member moves.

    Attributes:
        optimizer: the member's own, as wired.
        schedule: factor of its rates at a step.
        clip_norm: largest norm of its gradient; None: any.
        step: updates so far.
        factor: of its rates in the last update.
        kernel: name and numbers of the call that moves it; None: its own optimiser does.
    """

    optimizer: torch.optim.Optimizer
    schedule: Callable[[int], float]
    clip_norm: float | None
    step: int = 0
    factor: float = 1.0
    count: Tensor = field(default_factory=lambda: torch.zeros(()))
    peaks: list[float] = field(init=False)
    kernel: Hashable = field(init=False)

    def __post_init__(self) -> None:
        groups = self.optimizer.param_groups
        self.peaks = [group["lr"] for group in groups]
        self.kernel = None
        hooked = self.optimizer._optimizer_step_pre_hooks or self.optimizer._optimizer_step_post_hooks
        if hooked or len(set(self.peaks)) > 1:
            return
        numbers = groups[0]
        if isinstance(self.optimizer, FusedAdam):
            self.kernel = (self.optimizer._kernel, *numbers["betas"], numbers["eps"])
        elif isinstance(self.optimizer, FusedSGD) and not numbers["dampening"]:
            self.kernel = (torch._fused_sgd_, numbers["momentum"], numbers["nesterov"])

    @property
    def lr(self) -> float:
        """Learning rate of the last update, of the first group."""
        return float(self.peaks[0] * self.factor)

    def decays(self, num_decayed: int, num_weights: int) -> list[tuple[slice, float]]:
        """The parts of its row that decay alike, and by how much."""
        groups = self.optimizer.param_groups
        if len(groups) == 1:
            return [(slice(0, num_weights), groups[0]["weight_decay"])]
        parts = (slice(0, num_decayed), slice(num_decayed, num_weights))
        return [(part, group["weight_decay"]) for part, group in zip(parts, groups, strict=True)]


class StackedOptimizer(torch.optim.Optimizer):
    """Moves the rows of a stacked network. Its one rate, 1, is a factor of everybody's."""

    def __init__(self, network: StackedNetwork) -> None:
        spare_the_compiler()
        super().__init__([network.weights_WP], {"lr": 1.0})
        self.network = network
        self.resting: set[int] = set()  # rows that move no more
        self._movers: list[Mover] = []
        self._pieces: list[list[Piece]] = []
        self._moments = (torch.zeros_like(network.weights_WP), torch.zeros_like(network.weights_WP))
        self._clip_M: Tensor | None = None

    def resize(self, movers: Sequence[Mover]) -> None:
        """Take the members that the first rows belong to."""
        self._movers, self.resting = list(movers), set()
        weights_WP, gradients_WP = self.network.weights_WP, self.network.gradients_WP
        means_WP, squares_WP = self._moments
        num_decayed, num_weights = self.network.form.num_decayed, weights_WP.shape[1]
        self._pieces = [
            [
                Piece(
                    weights_WP[row, part],
                    gradients_WP[row, part],
                    means_WP[row, part],
                    squares_WP[row, part],
                    mover.count,
                    decay,
                )
                for part, decay in mover.decays(num_decayed, num_weights)
            ]
            for row, mover in enumerate(movers)
        ]
        clips = [torch.inf if mover.clip_norm is None else mover.clip_norm for mover in movers]
        self._clip_M = self.network.weights_WP.new_tensor(clips) if min(clips) < torch.inf else None

    def clear(self, row: int) -> None:
        """Forget what was kept for a row."""
        for moments in self._moments:
            moments[row].zero_()

    def move(self, row: int, to: int) -> None:
        """Copy what is kept for a row over what is kept for another."""
        for moments in self._moments:
            moments[to].copy_(moments[row])

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every row by the gradients in the network."""
        assert closure is None, "the loss is computed before the step"
        if self._clip_M is not None:
            gradients_MP = self.network.gradients_WP[: len(self._movers)]
            norm_M = torch.linalg.vector_norm(gradients_MP, dim=1)
            gradients_MP.mul_((self._clip_M / (norm_M + 1e-6)).clamp_(max=1.0).unsqueeze(1))
        together: dict[tuple[Any, float, float], list[Piece]] = {}
        factors: dict[tuple[int, int], float] = {}
        for row, mover in enumerate(self._movers):
            if row in self.resting:
                continue
            at = (id(mover.schedule), mover.step)
            if at not in factors:
                factors[at] = mover.schedule(mover.step)
            mover.factor = factors[at]
            mover.step += 1
            if mover.kernel is None:
                for group, peak in zip(mover.optimizer.param_groups, mover.peaks, strict=True):
                    group["lr"] = peak * mover.factor
                mover.optimizer.step()
                continue
            for piece in self._pieces[row]:
                together.setdefault((mover.kernel, mover.lr, piece.decay), []).append(piece)
        if together:
            torch._foreach_add_([mover.count for mover in self._movers], 1)
        for (kernel, lr, decay), pieces in together.items():
            _call(kernel, pieces, lr, decay)


def _call(kernel: Any, pieces: list[Piece], lr: float, decay: float) -> None:
    """One call for pieces whose numbers agree."""
    weights, gradients = [piece.weights for piece in pieces], [piece.gradients for piece in pieces]
    means = [piece.means for piece in pieces]
    if kernel[0] is torch._fused_sgd_:
        _, momentum, nesterov = kernel
        torch._fused_sgd_(
            weights,
            gradients,
            means if momentum else [],
            weight_decay=decay,
            momentum=momentum,
            lr=lr,
            dampening=0.0,
            nesterov=nesterov,
            maximize=False,
            is_first_step=False,  # from a momentum of 0 the kernel takes the same first step
        )
        return
    function, beta1, beta2, eps = kernel
    function(
        weights,
        gradients,
        means,
        [piece.squares for piece in pieces],
        [],
        [piece.count for piece in pieces],
        lr=lr,
        beta1=beta1,
        beta2=beta2,
        weight_decay=decay,
        eps=eps,
        amsgrad=False,
        maximize=False,
    )
