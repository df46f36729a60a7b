"""A short training of a fresh wiring: the real step, the real batches, and the loss of fixed rows when it is over."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from itertools import count
from typing import Any

import torch
from torch import Tensor

from limpid.probes.subject import Subject
from limpid.training.randomness import own_randomness

Rows = tuple[tuple[Tensor, ...], Tensor]


class ShortRun:
    """A run of the subject's own kind with some options changed.

    Args:
        subject: whose data, architecture and configuration are taken; its network is not touched.
        options: that differ, by name.
        seed: of first weights, order of rows and dropout, beside the subject's own.
        weights: to begin with, instead of first ones.
    """

    def __init__(
        self, subject: Subject, options: Mapping[str, Any], seed: int, weights: Mapping[str, Tensor] | None = None
    ) -> None:
        assert subject.rewire is not None and subject.config is not None
        self.subject, self.seed = subject, seed
        own_seed = subject.config.training.seed + seed
        self.wiring = subject.rewire({"training__seed": own_seed, **options})
        if weights is not None:
            self.wiring.network.load_state_dict(weights)

    def train(self, num_steps: int, *, share: float | None = None) -> bool:
        """So many updates along the wiring's own schedule, or all at this share of the peak rate.

        Returns False when the loss became NaN or infinite.
        """
        parts, plan = self.wiring.parts, self.wiring.plan
        peak_lrs = [group["lr"] for group in parts.optimizer.param_groups]
        batches = self._batches()
        parts.model.train()
        with own_randomness(self.seed):
            try:
                for step in range(num_steps):
                    for group, peak_lr in zip(parts.optimizer.param_groups, peak_lrs, strict=True):
                        group["lr"] = peak_lr * (share or parts.schedule(min(step, plan.num_steps - 1)))
                    for number in range(plan.accumulate):
                        parts.step(
                            parts.model,
                            parts.objective,
                            parts.optimizer,
                            next(batches),
                            context=self.subject.context,
                            clip_norm=plan.clip_norm,
                            weight=1 / plan.accumulate,
                            update=number == plan.accumulate - 1,
                            guard=True,
                        )
            except FloatingPointError:
                return False
        return True

    @torch.no_grad()
    def loss(self, rows: Rows | None = None) -> float | None:
        """Mean loss of the subject's rows, or of these, in evaluation mode; None for NaN and infinity."""
        inputs, target = rows or (self.subject.inputs, self.subject.target)
        network = self.wiring.network.eval()
        with self.subject.context or nullcontext():
            outputs = network(*inputs)
        loss = float(self.wiring.objective.loss(outputs.float(), target))
        return loss if math.isfinite(loss) else None

    def valid_rows(self) -> Rows | None:
        """The first batch of the validation split."""
        loader = self.wiring.parts.valid
        batch = None if loader is None else next(iter(loader.epoch(0)))
        return None if batch is None else (batch.inputs, batch.target)

    def _batches(self) -> Iterator[Any]:
        """The batches of one epoch after another."""
        for epoch in count():
            yield from self.wiring.parts.train.epoch(epoch)


def can_run(subject: Subject) -> bool:
    """Whether short runs of this subject can be made: a named architecture that learns by steps."""
    config = subject.config
    return subject.rewire is not None and config is not None and config.optim.name != "none" and bool(config.optim.lr)


def begins_elsewhere(subject: Subject) -> bool:
    """Whether the run began with weights that a new wiring does not have."""
    return subject.config is not None and bool(subject.config.model.start)
