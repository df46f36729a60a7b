"""The updates of many members: each by its own rule, at its own rate, with its own decay.

SGD, Adam and AdamW move rows of the matrix of all weights, those of one rule and age in one call:

    u_m = what the rule would take off at a rate of 1        w_m <- (1 - a_m d_m) w_m - a_m u_m      (AdamW)
                                                             w_m <- w_m - a_m u_m with g_m + d_m w_m for g_m (others)

with rate a_m and decay d_m of member m. Any other rule is the member's own optimiser, whose parameters are views of its
row.

Shapes: M members, P weights of a member.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from limpid.optim.fused import FusedAdam, FusedSGD
from limpid.population.stack_network import StackedNetwork


@dataclass
class Mover:
    """How one member moves.

    Attributes:
        optimizer: the member's own, as wired.
        schedule: factor of its rates at a step.
        clip_norm: largest norm of its gradient; None: any.
        step: updates so far.
        lr: of the last update, in the first group.
        decay: of its weights; of its biases too where `decays_all`.
        kernel: name and numbers of the call that moves it; None: its own optimiser does.
    """

    optimizer: torch.optim.Optimizer
    schedule: Callable[[int], float]
    clip_norm: float | None
    step: int = 0
    lr: float = 0.0
    decay: float = 0.0
    decays_all: bool = False
    kernel: tuple[Any, ...] | None = None
    peaks: list[float] = field(init=False)

    def __post_init__(self) -> None:
        groups = self.optimizer.param_groups
        self.peaks = [group["lr"] for group in groups]
        self.decay = groups[0]["weight_decay"]
        self.decays_all = len(groups) == 1
        hooked = self.optimizer._optimizer_step_pre_hooks or self.optimizer._optimizer_step_post_hooks
        if hooked or len(set(self.peaks)) > 1:
            return
        if isinstance(self.optimizer, FusedAdam):
            self.kernel = (self.optimizer._kernel, *groups[0]["betas"], groups[0]["eps"])
        elif isinstance(self.optimizer, FusedSGD) and not groups[0]["dampening"]:
            self.kernel = (torch._fused_sgd_, groups[0]["momentum"], groups[0]["nesterov"])

    def next_rate(self, factors: dict[tuple[int, int], float]) -> float:
        """Go a step further; the rate of it. `factors` spares the schedules that members share."""
        at = (id(self.schedule), self.step)
        if at not in factors:
            factors[at] = self.schedule(self.step)
        self.lr = self.peaks[0] * factors[at]
        self.step += 1
        return factors[at]


@dataclass(frozen=True)
class Company:
    """Neighbours that one call moves: their rule, age and which weights decay agree."""

    movers: list[Mover]
    rows: slice
    decayed: slice  # columns
    decay_M1: Tensor | None  # None: nothing decays


class StackedOptimizer:
    """Moves the rows of a stacked network. Its one rate is a factor of everybody's, and stays 1."""

    def __init__(self, network: StackedNetwork) -> None:
        self.network = network
        self.param_groups = [{"lr": 1.0}]
        self._means_WP = torch.zeros_like(network.weights_WP)  # or SGD's momentum
        self._squares_WP = torch.zeros_like(network.weights_WP)
        self._update_WP = torch.zeros_like(network.weights_WP)
        self._companies: list[Company] = []
        self._alone: list[Mover] = []
        self._clip_M: Tensor | None = None

    def resize(self, movers: Sequence[Mover]) -> None:
        """Take the members that the first rows belong to."""
        self._alone = [mover for mover in movers if mover.kernel is None]
        self._companies = []
        runs: list[tuple[Any, list[Mover], int]] = []
        for row, mover in enumerate(movers):
            alike = (mover.kernel, mover.step, mover.decay > 0 and mover.decays_all)
            if mover.kernel is not None and runs and runs[-1][0] == alike and runs[-1][2] == row:
                runs[-1] = (alike, [*runs[-1][1], mover], row + 1)
            elif mover.kernel is not None:
                runs.append((alike, [mover], row + 1))
        for (_, _, decays_all), found, end in runs:
            decays = self._means_WP.new_tensor([mover.decay for mover in found]).unsqueeze(1)
            last = self._means_WP.shape[1] if decays_all else self.network.form.num_decayed
            rows = slice(end - len(found), end)
            self._companies.append(Company(found, rows, slice(0, last), decays if decays.any() else None))
        clips = [torch.inf if mover.clip_norm is None else mover.clip_norm for mover in movers]
        self._clip_M = self._means_WP.new_tensor(clips) if min(clips) < torch.inf else None

    def clear(self, row: int) -> None:
        """Forget what was kept for a row."""
        for moments_WP in (self._means_WP, self._squares_WP):
            moments_WP[row].zero_()

    def move(self, row: int, to: int) -> None:
        """Copy what is kept for a row over what is kept for another."""
        for moments_WP in (self._means_WP, self._squares_WP):
            moments_WP[to].copy_(moments_WP[row])

    @torch.no_grad()
    def step(self) -> None:
        """Move every row by the gradients in the network."""
        if self._clip_M is not None:
            gradients_MP = self.network.gradients_WP[: len(self._clip_M)]
            norm_M = torch.linalg.vector_norm(gradients_MP, dim=1)
            gradients_MP.mul_((self._clip_M / (norm_M + 1e-6)).clamp_(max=1.0).unsqueeze(1))
        factors: dict[tuple[int, int], float] = {}
        for mover in self._alone:
            factor = mover.next_rate(factors)
            for group, peak in zip(mover.optimizer.param_groups, mover.peaks, strict=True):
                group["lr"] = peak * factor
            mover.optimizer.step()
        for company in self._companies:
            for mover in company.movers:
                mover.next_rate(factors)
            self._move(company)

    def _move(self, company: Company) -> None:
        rows, first = company.rows, company.movers[0]
        weights_MP, gradients_MP = self.network.weights_WP[rows], self.network.gradients_WP[rows]
        rates = [mover.lr for mover in company.movers]
        together = min(rates) == max(rates)
        rate_M1 = weights_MP.new_tensor(rates[:1] if together else rates).unsqueeze(1)
        if company.decay_M1 is not None:
            if first.kernel is not None and first.kernel[0] is torch._fused_adamw_:
                weights_MP[:, company.decayed].mul_(1.0 - rate_M1 * company.decay_M1)
            else:
                gradients_MP[:, company.decayed].addcmul_(weights_MP[:, company.decayed], company.decay_M1)
        if together:
            self._call(first, weights_MP, gradients_MP, rows, rates[0])
            return
        update_MP = self._update_WP[rows].zero_()
        self._call(first, update_MP, gradients_MP, rows, 1.0)
        weights_MP.addcmul_(update_MP, rate_M1)

    def _call(self, mover: Mover, moved_MP: Tensor, gradients_MP: Tensor, rows: slice, lr: float) -> None:
        """Torch's own kernel, over rows that lie behind each other as if they were one parameter."""
        assert mover.kernel is not None
        means = [self._means_WP[rows]]
        if mover.kernel[0] is torch._fused_sgd_:
            _, momentum, nesterov = mover.kernel
            torch._fused_sgd_(
                [moved_MP],
                [gradients_MP],
                means if momentum else [],
                weight_decay=0.0,
                momentum=momentum,
                lr=lr,
                dampening=0.0,
                nesterov=nesterov,
                maximize=False,
                is_first_step=False,  # from a momentum of 0 the kernel takes the same first step
            )
            return
        kernel, beta1, beta2, eps = mover.kernel
        kernel(
            [moved_MP],
            [gradients_MP],
            means,
            [self._squares_WP[rows]],
            [],
            [moved_MP.new_tensor(float(mover.step))],
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            weight_decay=0.0,
            eps=eps,
            amsgrad=False,
            maximize=False,
        )
