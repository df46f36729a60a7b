"""How to use a network that was trained on other data: measure how many rows there are and how far it helps, then plan.

                 similar data                              different data
    few rows     1 a linear classifier on the codes        3 a linear classifier on an earlier layer
    many rows    2 fine-tune the whole network             4 start from its weights, train everything

(Yosinski et al. 2014, arXiv 1411.1792; the four plans as lectures on convolutional networks teach them.)

Size is counted in training rows per class. Similarity is measured: the share of the mistakes of a linear classifier on
the raw inputs that the same classifier on the network's codes does not make,

    similarity = 1 - error(codes) / error(raw)            from 0 (the codes say no more than the pixels) to 1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from limpid.data.bootstrap import resample
from limpid.data.dataset import Split
from limpid.deploy.features import CODES, Source, activations, named_targets
from limpid.errors import ConfigError
from limpid.models.blocks import blocks_of

Size = Literal["small", "large"]
Likeness = Literal["similar", "different"]

# Rows per class. Between the few hundred of the usual transfer sets and the 5000 of CIFAR-10, which a network can learn
# from nothing; by a factor of two or three either way a rule of thumb.
LARGE_FROM = 1000
# A quarter of the mistakes gone. Codes of unrelated or random networks remove less in our trials, or add some.
SIMILAR_FROM = 0.25
MOST_ROWS = 1500  # of the training split that are looked at: the standard error of an accuracy is then 1 % or less
FOLDS = 5
RAW_SIDE = 32  # pixels of a side to which raw images are averaged, at most
MOST_FEATURES = 4096  # of an earlier layer; larger maps are averaged over places


@dataclass(frozen=True)
class Plan:
    """One of the four ways: what to do, why, and the options of `limpid train` that do it."""

    number: int
    what: str
    why: str
    options: tuple[str, ...]


PLANS: dict[tuple[Size, Likeness], Plan] = {
    ("small", "similar"): Plan(
        1,
        "train a linear classifier on the codes, and nothing else",
        "few rows would over-fit the whole network, and its top features already fit these data",
        ("--freeze backbone",),
    ),
    ("large", "similar"): Plan(
        2,
        "fine-tune the whole network",
        "there are rows enough not to over-fit, and the features are near what is needed",
        ("--set optim.layer_decay=0.8",),
    ),
    ("small", "different"): Plan(
        3,
        "train a linear classifier or SVM on the activations of an earlier layer",
        "few rows would over-fit the whole network, and its top features belong to other data; early ones are general",
        (),
    ),
    ("large", "different"): Plan(
        4,
        "start from its weights and train everything",
        "there are rows enough to learn all features anew, and borrowed weights are still the better start",
        (),
    ),
}


def plan(size: Size, similarity: Likeness) -> Plan:
    """The plan of this size and similarity.

    >>> [plan(size, likeness).number for size in ("small", "large") for likeness in ("similar", "different")]
    [1, 3, 2, 4]
    """
    return PLANS[size, similarity]


@dataclass(frozen=True)
class Advice:
    """What was measured, and the plan that follows. Errors are mean cross-validated ones, 0 to 1."""

    rows_per_class: float
    similarity: float
    error_raw: float
    error_codes: float
    error_early: float
    early_layer: str
    plan: Plan

    def lines(self) -> list[str]:
        """For people."""
        size = "few" if self.rows_per_class < LARGE_FROM else "many"
        return [
            f"size: {self.rows_per_class:,.0f} training rows per class ({size}: the border is {LARGE_FROM:,})",
            f"similarity: {self.similarity:.2f} (the border is {SIMILAR_FROM}): a linear classifier errs on "
            f"{self.error_raw:.1%} from the raw inputs, on {self.error_codes:.1%} from the codes, "
            f"on {self.error_early:.1%} from layer {self.early_layer}",
            f"plan {self.plan.number}: {self.plan.what}",
            f"because {self.plan.why}",
        ]


def advise(source: Source) -> Advice:
    """Measure size and similarity on the training split, and choose the plan.

    Raises ConfigError for tasks without classes.
    """
    spec, split = source.dataset.spec, source.dataset.train
    if spec.task not in ("classification", "binary"):
        raise ConfigError(f"Advice is for classes, and the task of {spec.name} is {spec.task}.")
    rows_per_class = len(split) / max(spec.num_outputs, 2)
    some = _some_rows(split)
    labels = named_targets(some, spec)
    num_outputs = source.spec.num_outputs
    blocks = blocks_of(source.network, num_outputs)
    early_layer = blocks[max(len(blocks) // 2 - 1, 0)].name
    errors = [_error(features, labels) for features in (
        _raw(some),
        activations(source.network, CODES, some, num_outputs).flatten(1).numpy(),
        activations(source.network, early_layer, some, num_outputs, reduce=_pooled).numpy(),
    )]  # fmt: skip
    raw, codes, early = (mean for mean, _ in errors)
    similarity = float(np.clip(1.0 - codes / max(raw, 1e-9), 0.0, 1.0))
    doubt = float(np.hypot(errors[1][1], errors[2][1]))
    likeness: Likeness = "similar" if similarity >= SIMILAR_FROM and codes <= early + 2 * doubt else "different"
    chosen = plan("small" if rows_per_class < LARGE_FROM else "large", likeness)
    return Advice(rows_per_class, similarity, raw, codes, early, early_layer, chosen)


def _some_rows(split: Split) -> Split:
    """At most MOST_ROWS rows of a split, evenly spread."""
    step = -(-len(split) // MOST_ROWS)
    return resample(split, torch.arange(0, len(split), step)) if step > 1 else split


def _raw(split: Split) -> NDArray[np.float32]:
    """The inputs as they are, images averaged down to RAW_SIDE pixels."""
    x = split.rows.take(torch.arange(len(split)))[0].float()
    return _pooled(x, RAW_SIDE).numpy()


def _pooled(x: Tensor, side: int = 4) -> Tensor:
    """Flat features; maps (N, C, H, W) are averaged to `side` x `side` places where they would be too many."""
    if x.ndim == 4 and x[0].numel() > MOST_FEATURES:
        x = F.adaptive_avg_pool2d(x, (min(side, x.shape[2]), min(side, x.shape[3])))
    return x.flatten(1)


def _error(x_NF: NDArray[np.float32], labels: NDArray[Any]) -> tuple[float, float]:
    """Mean error of a regularised linear classifier over the folds, and its standard error."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    least = int(np.unique(labels, return_counts=True)[1].min())
    if least < 2:
        raise ConfigError("Advice needs at least two rows of every class.")
    folds = StratifiedKFold(min(FOLDS, least), shuffle=True, random_state=0)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    scores = cross_val_score(probe, x_NF, labels, cv=folds)
    error = 1.0 - float(scores.mean())
    return error, float(np.sqrt(max(error * (1.0 - error), 1e-9) / len(labels)))
