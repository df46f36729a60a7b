"""What is wanted of a network: the loss of a batch, the decision, the metrics, and the loss of knowing nothing.

An objective is chosen once, by task, and holds the loss that was named, so that nothing is decided in the step. Losses
are computed in float32 from
logits (whatever the outputs' dtype), which keeps them finite for any finite logit, and never wait for the device.

Shapes: B batch, K classes or labels, T regression targets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from limpid.objectives import metrics
from limpid.objectives.class_weights import log_frequencies
from limpid.objectives.intervals import Interval, interval_of
from limpid.objectives.point_loss import PointLoss


class Objective(ABC):
    """One task: `loss` for the step, the rest for evaluation.

    `score` names the headline metric; `prior` holds the outputs of a network that knows the training split's class
    frequencies (or mean) and nothing else.
    """

    score: str
    prior: Tensor

    @property
    def units(self) -> str:
        """What outputs are in and the loss compares, where that is not the target as it is given, in a sentence."""
        return ""

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Mean loss of a batch, a float32 scalar on the outputs' device."""
        return self.losses(outputs, target).mean()

    @abstractmethod
    def losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Loss of each sample, (B,) float32."""

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """Decisions: class indices, zeros and ones, or values in the target's units."""

    @abstractmethod
    def probabilities(self, outputs: Tensor) -> Tensor | None:
        """(B, number of class or label names), or None for regression."""

    @abstractmethod
    def metrics(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """Every figure of merit, from what was kept of a whole split's outputs, and its targets."""

    def keep(self, outputs: Tensor, target: Tensor) -> Tensor:
        """What evaluation keeps of a batch's outputs: all of them, unless they are too many."""
        return outputs

    def kept_loss(self, kept: Tensor, target: Tensor) -> Tensor:
        """Mean loss of a split, from what was kept."""
        return self.loss(kept, target)

    def kept_losses(self, kept: Tensor, target: Tensor) -> Tensor:
        """Loss of each sample of a split, from what was kept."""
        return self.losses(kept, target)

    def interval(self, kept: Tensor, target: Tensor) -> Interval:
        """95 % interval of the score on this split; NaN where its samples cannot tell."""
        return interval_of(self.score, self.predict(kept).cpu(), target.cpu())

    def chance(self, target: Tensor) -> float:
        """Loss on this target of answering `prior` to everything.

        On the training split that is the entropy of the class frequencies, or 1 for the squared error of a
        standardised target.
        """
        return float(self.loss(self.prior_outputs(target), target))

    def prior_outputs(self, target: Tensor) -> Tensor:
        """`prior` as the answer to each sample of this target."""
        return self.prior.to(target.device).expand(len(target), -1)


class Classification(Objective):
    """One of K classes. Target: int64 (B,), or float probabilities (B, K) from mixing samples."""

    score = "accuracy"

    def __init__(self, point: PointLoss, counts: tuple[int, ...], num_classes: int, weights: Tensor | None) -> None:
        self.point = point
        self.num_classes = num_classes
        self.prior = log_frequencies(counts or (1,) * num_classes, weights)

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        return self.point.mean(outputs.float(), target)

    def losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        return self.point.losses(outputs.float(), target)

    def predict(self, outputs: Tensor) -> Tensor:
        """Class indices, int64 (B,)."""
        return outputs.argmax(dim=1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        return outputs.float().softmax(dim=1)

    def metrics(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        confusion_KK = metrics.confusion_matrix(self.predict(outputs), target, self.num_classes)
        figures = {
            "accuracy": metrics.accuracy(self.predict(outputs), target),
            "balanced_accuracy": metrics.balanced_accuracy(confusion_KK),
            "macro_f1": metrics.macro_f1(confusion_KK),
            "log_loss": metrics.log_loss(outputs, target),
        }
        if self.num_classes > 5:
            figures["top5_error"] = metrics.top_k_error(outputs, target, 5)
        return figures


class Binary(Objective):
    """Two classes by one logit. Target: float (B, 1), 1 for the positive class."""

    score = "accuracy"

    def __init__(self, point: PointLoss, counts: tuple[int, ...], weights: Tensor | None) -> None:
        self.point = point
        prior_2 = log_frequencies(counts or (1, 1), weights)
        self.prior = prior_2[1:] - prior_2[:1]

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        return self.point.mean(outputs.float(), target)

    def losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        return self.point.losses(outputs.float(), target)

    def predict(self, outputs: Tensor) -> Tensor:
        """Indices of the two classes, int64 (B,)."""
        return (outputs.squeeze(1) > 0).long()

    def probabilities(self, outputs: Tensor) -> Tensor:
        """(B, 2): of the negative and of the positive class."""
        p_B1 = outputs.float().sigmoid()
        return torch.cat((1 - p_B1, p_B1), dim=1)

    def metrics(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        guess_B, truth_B = self.predict(outputs), target.squeeze(1).long()
        return {
            "accuracy": metrics.accuracy(guess_B, truth_B),
            "balanced_accuracy": metrics.balanced_accuracy(metrics.confusion_matrix(guess_B, truth_B, 2)),
            "f1": metrics.f1(guess_B, truth_B),
            "auc": metrics.auc(outputs, target),
            "log_loss": metrics.binary_log_loss(outputs, target),
        }


class Multilabel(Objective):
    """Any of K labels, each by its own logit. Target: float (B, K) of zeros and ones."""

    score = "accuracy"

    def __init__(self, point: PointLoss, counts: tuple[int, ...], num_train: int, num_labels: int) -> None:
        self.point = point
        positive_K = torch.tensor(counts, dtype=torch.float64) if counts else torch.zeros(num_labels).double()
        total = num_train if counts else 0
        self.prior = ((positive_K + 0.5) / (total - positive_K + 0.5)).log().float()

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        return self.point.mean(outputs.float(), target)

    def losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        return self.point.losses(outputs.float(), target)

    def predict(self, outputs: Tensor) -> Tensor:
        """Zeros and ones, int64 (B, K)."""
        return (outputs > 0).long()

    def probabilities(self, outputs: Tensor) -> Tensor:
        return outputs.float().sigmoid()

    def metrics(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        guess_BK, truth_BK = self.predict(outputs), target.long()
        f1s = [metrics.f1(guess_BK[:, k], truth_BK[:, k]) for k in range(target.shape[1])]
        return {
            "accuracy": metrics.accuracy(guess_BK, truth_BK),
            "exact_match": (guess_BK == truth_BK).all(dim=1).double().mean().item(),
            "macro_f1": sum(f1s) / len(f1s),
            "log_loss": metrics.binary_log_loss(outputs, target),
        }


class Regression(Objective):
    """T numbers. Decisions and metrics are in the target's own units. Target: float (B, T).

    With `overlap` > 1 so many successive samples of a split share values, as windows of a series do.

    The network works in units of the standardised target, z = (y - mean) / std. With `log_rate` its outputs are
    logarithms of the answer instead, and the loss gets the target as it is.
    """

    score = "r2"

    def __init__(
        self, point: PointLoss, mean_T: Tensor, std_T: Tensor, *, log_rate: bool = False, overlap: int = 1
    ) -> None:
        self.point, self.overlap = point, overlap
        self.mean_T = mean_T
        self.std_T = torch.where(std_T > 0, std_T, 1.0)
        self.log_rate = log_rate
        self.prior = mean_T.log() if log_rate else torch.zeros_like(mean_T)

    @property
    def units(self) -> str:
        if self.log_rate:
            return "The network answers with logarithms."
        if len(self.mean_T) > 1:
            return "The network answers, and is judged, in standard deviations of each target from its mean."
        return (
            "The network answers, and is judged, in standard deviations of the target from its mean: "
            f"(y - {self.mean_T.item():.4g}) / {self.std_T.item():.4g}."
        )

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        return self.point.mean(outputs.float(), self._scaled(target))

    def losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        return self.point.losses(outputs.float(), self._scaled(target))

    def predict(self, outputs: Tensor) -> Tensor:
        """Values in the target's units, float32 (B, T)."""
        if self.log_rate:
            return outputs.float().exp()
        self._follow(outputs)
        return outputs.float() * self.std_T + self.mean_T

    def probabilities(self, outputs: Tensor) -> None:
        return None

    def metrics(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        values_BT = self.predict(outputs)
        return {
            "r2": metrics.r2(values_BT, target),
            "rmse": metrics.rmse(values_BT, target),
            "mae": metrics.mae(values_BT, target),
        }

    def interval(self, kept: Tensor, target: Tensor) -> Interval:
        return interval_of(self.score, self.predict(kept).cpu(), target.cpu(), overlap=self.overlap)

    def _scaled(self, target_BT: Tensor) -> Tensor:
        if self.log_rate:
            return target_BT
        self._follow(target_BT)
        return (target_BT - self.mean_T) / self.std_T

    def _follow(self, tensor: Tensor) -> None:
        if self.mean_T.device != tensor.device:
            self.mean_T, self.std_T = self.mean_T.to(tensor.device), self.std_T.to(tensor.device)
