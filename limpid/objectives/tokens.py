"""The next token at every place of a sequence: language models, translation, captions, tags.

Shapes: B sequences, T places, V tokens of the vocabulary.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.objectives.intervals import Interval, mean_interval
from limpid.objectives.objective import Objective

IGNORED = -100  # target of a place that does not count: padding


class NextToken(Objective):
    """One of V tokens at each of T places. Target: int64 (B, T), IGNORED where nothing is asked.

    L = mean over all places that count of -log softmax(z)_t

    Outputs of a whole split, (N, T, V), would not fit in memory. What is kept of them for evaluation is a float32
    (B, T, 2): the loss (0 where nothing is asked) and the likeliest token of each place.
    """

    score = "perplexity"

    def __init__(self, counts: tuple[int, ...], num_tokens: int, smoothing: float) -> None:
        self.smoothing = smoothing
        frequency_V = torch.tensor(counts or (1,) * num_tokens, dtype=torch.float64).clamp(min=0.5)
        self.prior = (frequency_V / frequency_V.sum()).log().float()

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        logits = outputs.float().flatten(0, 1)
        return F.cross_entropy(logits, target.flatten(), ignore_index=IGNORED, label_smoothing=self.smoothing)

    def losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Mean loss of each sequence's places, (B,)."""
        return _mean_over_places(self._place_losses(outputs, target, self.smoothing), target)

    def keep(self, outputs: Tensor, target: Tensor) -> Tensor:
        losses_BT = self._place_losses(outputs, target, 0.0)
        return torch.stack((losses_BT, outputs.argmax(dim=2).float()), dim=2)

    def kept_loss(self, kept: Tensor, target: Tensor) -> Tensor:
        return kept[..., 0].double().sum().float() / (target != IGNORED).sum()

    def kept_losses(self, kept: Tensor, target: Tensor) -> Tensor:
        return _mean_over_places(kept[..., 0], target)

    def predict(self, outputs: Tensor) -> Tensor:
        """The likeliest token of each place, int64 (B, T), from what was kept."""
        return outputs[..., 1].long()

    def probabilities(self, outputs: Tensor) -> None:
        return None

    def metrics(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        asked = target != IGNORED
        right = (self.predict(outputs) == target) | ~asked
        return {
            "perplexity": math.exp(min(self.kept_loss(outputs, target).item(), 700.0)),
            "token_accuracy": right[asked].double().mean().item(),
            "exact_match": right.all(dim=1).double().mean().item(),
        }

    def interval(self, outputs: Tensor, target: Tensor) -> Interval:
        """Of the perplexity, from the spread of the mean losses of the sequences."""
        low, high = mean_interval(self.kept_losses(outputs, target).cpu().numpy())
        return math.exp(low), math.exp(high)

    def prior_outputs(self, target: Tensor) -> Tensor:
        return self.prior.to(target.device).expand(*target.shape, -1)

    def _place_losses(self, outputs: Tensor, target: Tensor, smoothing: float) -> Tensor:
        return F.cross_entropy(
            outputs.float().transpose(1, 2), target, ignore_index=IGNORED, label_smoothing=smoothing, reduction="none"
        )


def _mean_over_places(losses_BT: Tensor, target_BT: Tensor) -> Tensor:
    return losses_BT.sum(dim=1) / (target_BT != IGNORED).sum(dim=1).clamp(min=1)
