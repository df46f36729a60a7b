"""Losses of many members and their gradients by the outputs: for the two usual losses of classes written out.

    one of K classes   L = -sum_k t_k log softmax(z)_k               dL/dz = softmax(z) - t
    yes or no          L = -t log sigmoid(z) - (1 - t) log sigmoid(-z)      dL/dz = sigmoid(z) - t

with the targets t smoothed. Of a step of a few small networks, autograd takes a third for these formulas.

Shapes: M members, B samples of each, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor
from torch.nn import functional

from limpid.objectives.objective import Binary, Classification, Objective
from limpid.objectives.point_loss import CrossEntropy, YesOrNo

Slopes = tuple[Tensor, Tensor]  # mean loss of each member (M,), and the gradient of each by its outputs (M, B, K)


def write_losses_out(objectives: Sequence[Objective]) -> Callable[[Tensor, Tensor], Slopes] | None:
    """What maps outputs (M, B, K) and targets to losses and slopes; None where the losses of these members are others.

    Targets: int64 (M, B), or of yes and no float (M, B, 1).
    """
    points = [getattr(objective, "point", None) for objective in objectives]
    classes = [point for point in points if isinstance(point, CrossEntropy) and point.weights is None]
    if len(classes) == len(objectives) and all(isinstance(one, Classification) for one in objectives):
        return partial(_of_classes, smoothing=[point.smoothing for point in classes])
    answers = [point for point in points if isinstance(point, YesOrNo) and point.weights is None]
    fused = functional.binary_cross_entropy_with_logits
    plain = all(point.fused is fused and not point.smoothing for point in answers)
    if len(answers) == len(objectives) and plain and all(isinstance(one, Binary) for one in objectives):
        return _of_yes_or_no
    return None


def _of_classes(outputs_MBK: Tensor, targets_MB: Tensor, smoothing: Sequence[float]) -> Slopes:
    # Over the innermost of few classes a softmax takes five times as long as over a dimension further out.
    log_p_MKB = outputs_MBK.float().transpose(1, 2).log_softmax(dim=1)
    index_M1B = targets_MB.unsqueeze(1)
    losses_MB = log_p_MKB.gather(1, index_M1B).squeeze(1).neg_()
    slopes_MKB = log_p_MKB.exp()
    if any(smoothing):
        s_M1 = log_p_MKB.new_tensor(smoothing).unsqueeze(1)
        losses_MB = (1 - s_M1) * losses_MB - s_M1 * log_p_MKB.mean(dim=1)
        share_M11 = (s_M1 / log_p_MKB.shape[1]).unsqueeze(2)
        slopes_MKB -= share_M11
        slopes_MKB.scatter_add_(1, index_M1B, (s_M1.unsqueeze(2) - 1).expand(index_M1B.shape))
    else:
        slopes_MKB.scatter_(1, index_M1B, -1.0, reduce="add")
    return losses_MB.mean(dim=1), slopes_MKB.div_(targets_MB.shape[1]).transpose(1, 2)


def _of_yes_or_no(outputs_MB1: Tensor, targets_MB1: Tensor) -> Slopes:
    outputs_MB1 = outputs_MB1.float()
    losses_MB1 = functional.binary_cross_entropy_with_logits(outputs_MB1, targets_MB1, reduction="none")
    slopes_MB1 = outputs_MB1.sigmoid().sub_(targets_MB1).div_(targets_MB1.shape[1])
    return losses_MB1.mean(dim=(1, 2)), slopes_MB1
