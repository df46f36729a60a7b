"""The loss of each sample, by form of the target: one of K classes, yes or no, numbers.

Shapes: B batch, K classes or labels, T regression targets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


class PointLoss(ABC):
    """Maps outputs and target to the loss of each sample; in the outputs' arithmetic, on their device."""

    @abstractmethod
    def losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """(B,)"""

    def mean(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Mean of `losses`, a scalar; in one call where there is one."""
        return self.losses(outputs, target).mean()


class CrossEntropy(PointLoss):
    """-sum_k w_k t_k log softmax(z)_k, t smoothed to (1 - s) t + s / K. Target: int64 (B,) or shares (B, K)."""

    def __init__(self, smoothing: float, weights: Tensor | None) -> None:
        self.smoothing = smoothing
        self.weights = weights

    def losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        if self.weights is not None:
            self.weights = self.weights.to(outputs)
        return F.cross_entropy(outputs, target, self.weights, label_smoothing=self.smoothing, reduction="none")

    def mean(self, outputs: Tensor, target: Tensor) -> Tensor:
        if self.weights is not None:
            return self.losses(outputs, target).mean()  # torch's own mean would divide by the weights
        return F.cross_entropy(outputs, target, label_smoothing=self.smoothing)


class OneOfClasses(PointLoss):
    """sum_k w_k t_k L(z, k), from the loss L(z, k) of each possible truth k; t smoothed to (1 - s) t + s / K.

    Target: int64 (B,) or shares (B, K). `each` maps outputs (B, K) to L for every k, (B, K); `at`, where that is
    cheaper, maps outputs and truth (B,) to L of the truth alone.
    """

    def __init__(
        self,
        each: Callable[[Tensor], Tensor],
        at: Callable[[Tensor, Tensor], Tensor] | None,
        smoothing: float,
        weights: Tensor | None,
    ) -> None:
        self.each = each
        self.at = at or (lambda outputs_BK, label_B: each(outputs_BK).gather(1, label_B[:, None]).squeeze(1))
        self.smoothing = smoothing
        self.weights = weights

    def losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        if self.weights is not None:
            self.weights = self.weights.to(outputs)
        if target.ndim == 1 and not self.smoothing:
            losses_B = self.at(outputs, target)
            return losses_B if self.weights is None else losses_B * self.weights[target]
        share_BK = F.one_hot(target, outputs.shape[1]).to(outputs) if target.ndim == 1 else target
        if self.smoothing:
            share_BK = (1 - self.smoothing) * share_BK + self.smoothing / outputs.shape[1]
        if self.weights is not None:
            share_BK = share_BK * self.weights
        return (share_BK * self.each(outputs)).sum(dim=1)


class YesOrNo(PointLoss):
    """t L(z) + (1 - t) L(-z), from the loss L of a yes; t smoothed to (1 - s) t + s / 2; mean over the K labels.

    Target: float (B, K) from 0 to 1. `weights` are those of no and yes. `fused` is a torch function with that result.
    """

    def __init__(
        self,
        of_yes: Callable[[Tensor], Tensor],
        smoothing: float,
        weights: Tensor | None,
        fused: Callable[..., Tensor] | None = None,
    ) -> None:
        self.of_yes = of_yes
        self.smoothing = smoothing
        self.weights = weights
        self.fused = fused

    def losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        share_BK = self._smooth(target)
        if self.fused is not None:
            losses_BK = self.fused(outputs, share_BK, reduction="none")
        else:
            losses_BK = share_BK * self.of_yes(outputs) + (1 - share_BK) * self.of_yes(-outputs)
        if self.weights is not None:
            self.weights = self.weights.to(outputs)
            losses_BK = losses_BK * (self.weights[0] + target * (self.weights[1] - self.weights[0]))
        return losses_BK.mean(dim=1)

    def mean(self, outputs: Tensor, target: Tensor) -> Tensor:
        if self.fused is None or self.weights is not None:
            return self.losses(outputs, target).mean()
        return self.fused(outputs, self._smooth(target))

    def _smooth(self, target: Tensor) -> Tensor:
        return target * (1 - self.smoothing) + self.smoothing / 2 if self.smoothing else target


class OfNumbers(PointLoss):
    """Mean over the T targets of L(f, z). Target: float (B, T), in the units of the outputs.

    `fused` is a torch function with that result. With `total` the T losses are added up, and so are the gradients of
    the samples of a batch, as in a sum of squared errors. The value stays the mean over the samples, so that batches
    and splits of any size compare.
    """

    def __init__(
        self,
        each: Callable[[Tensor, Tensor], Tensor],
        fused: Callable[[Tensor, Tensor], Tensor] | None = None,
        *,
        total: bool = False,
    ) -> None:
        self.each = each
        self.fused = fused
        self.total = total

    def losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        losses_BT = self.each(outputs, target)
        return losses_BT.sum(dim=1) if self.total else losses_BT.mean(dim=1)

    def mean(self, outputs: Tensor, target: Tensor) -> Tensor:
        if self.fused is not None:
            return self.fused(outputs, target)
        mean = self.losses(outputs, target).mean()
        if self.total and torch.is_grad_enabled():
            return mean + (len(outputs) - 1) * (mean - mean.detach())  # the second term is 0; its gradient is not
        return mean
