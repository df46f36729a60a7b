"""Trainings that differ in one thing, from the same seed: how they are asked for, and what each of them ends with.

A twin is a whole training without a run folder. It starts from the first weights, batch order and split that its
sibling has, and is judged on validation rows alone; no test split is made or read here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from limpid.config import Config
from limpid.practice.yardstick import Judgement


@dataclass(frozen=True)
class Twin:
    """A training that is asked for.

    Attributes:
        config: resolved, with a treatment or without.
        seed: of first weights, batch order and augmentation; the split stays the run's.
        figure: that it is judged by; see `figure_for`.
        share: of the steps that are taken, the course of the rate squeezed into them.
        like: the untreated configuration whose first weights are taken over where shapes allow.
    """

    config: Config
    seed: int
    figure: str
    share: float = 1.0
    like: Config | None = None

    @property
    def key(self) -> str:
        """Equal for twins of which one training answers for all."""
        return json.dumps([self.config.model_dump(mode="json"), self.seed, self.share, self.figure], sort_keys=True)


@dataclass(frozen=True)
class Outcome:
    """What one twin ends with.

    Attributes:
        judgement: of its best weights on the validation rows.
        steps: updates that were taken.
        seconds: of its training; its share, where twins were trained together.
        failed: the loss became NaN or infinite; the best weights before that are judged.
        rows: what the twin's record would hold, if it was examined.
        header: of that record.
        asked: names of the probes that were asked for.
    """

    judgement: Judgement
    steps: int
    seconds: float
    failed: bool
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    header: Mapping[str, Any] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
