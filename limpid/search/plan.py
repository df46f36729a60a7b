"""What is asked of a search, beside its data and its space."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from limpid.config import Config
from limpid.data.dataset import Dataset
from limpid.errors import ConfigError, nearest
from limpid.objectives.metrics import LOWER_IS_BETTER
from limpid.wiring import Wiring

BUDGET = 25  # trials: what Goodfellow begins with
SEEDS = 3  # fresh ones for each finalist: the fewest with an interval that is of use
FINALISTS = 3  # configurations that are trained again from fresh seeds
UNITS = {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600}  # seconds


@dataclass(frozen=True)
class SearchPlan:
    """What is asked of a search.

    Attributes:
        budget: trials.
        sampler, pruner: by name.
        seeds: fresh ones, from which each finalist is trained again; 0: the best trial wins as it is.
        seed: of the sampler, of the split, and of every trial.
        metric: validation figure that trials are judged by, in their best epoch.
        higher_is_better: of the metric.
        epochs: that a trial is trained at most, for the pruner.
    """

    budget: int
    sampler: str
    pruner: str
    seeds: int
    seed: int
    metric: str
    higher_is_better: bool
    epochs: int

    def better(self, one: float, other: float) -> bool:
        """Whether one figure is better than another; every number is better than NaN."""
        if one != one or other != other:
            return one == one
        return one > other if self.higher_is_better else one < other

    def to_header(self) -> dict[str, Any]:
        """What run.json says of it."""
        return asdict(self)

    @classmethod
    def from_header(cls, header: dict[str, Any]) -> SearchPlan:
        return cls(**{name: header[name] for name in cls.__dataclass_fields__})


def check_counts(budget: int, seeds: int) -> None:
    """Raise ConfigError for numbers of trials or seeds that make no search."""
    if budget < 1:
        raise ConfigError(f"--budget {budget}: a search needs at least one trial. Give for example --budget {BUDGET}.")
    if seeds < 0:
        raise ConfigError(f"--seeds {seeds}: expected how many seeds each finalist gets, such as 3, or 0 for none.")


def seconds_of(text: str | float | None) -> float | None:
    """`90`, `90s`, `10m`, `1.5h` in seconds; None stays None. Raises ConfigError for anything else.

    >>> seconds_of("10m")
    600.0
    """
    if text is None:
        return None
    form = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h)?\s*", str(text))
    if form is None or not float(form[1]) > 0:
        raise ConfigError(f"--time {text}: expected a time such as 90s, 10m or 1h.")
    return float(form[1]) * UNITS[form[2]]


def judged_by(metric: str | None, base: Wiring, paths: Iterable[str]) -> str:
    """The figure that trials are judged by: the one that is asked for, or the one that picks the best epoch.

    Where knobs (by their `paths`) turn the objective itself, losses of two trials are of different kinds; the task's
    score takes the loss's place.

    Raises ConfigError for a figure that the task does not have, naming the nearest.
    """
    if metric is None:
        turned = any(path.startswith("objective.") for path in paths)
        monitor = base.config.training.monitor
        return base.objective.score if turned and monitor == "loss" else monitor
    objective, target = base.objective, base.dataset.train.target[:2]
    figures = ["loss", *objective.metrics(objective.keep(objective.prior_outputs(target), target), target)]
    name = metric.strip().lower().replace("-", "_").replace(" ", "_")
    if name not in figures:
        hint = nearest(name, figures)
        raise ConfigError(
            f"--metric {metric} is not a figure of {base.dataset.spec.task}."
            + (f" Did you mean {hint}?" if hint else "")
            + f" There are {', '.join(figures)}."
        )
    return name


def rises(metric: str, config: Config) -> bool:
    """Whether more of this figure is better."""
    mode = config.training.mode
    return mode == "max" if mode != "auto" else metric not in LOWER_IS_BETTER


def refuse_unsearchable(config: Config, dataset: Dataset) -> None:
    """Raise ConfigError for what cannot be searched: no validation rows, ensembles."""
    if dataset.valid is None:
        raise ConfigError(
            "A search chooses on validation rows, and there are none: leave data.valid_share open, or give a share."
        )
    if config.training.members > 1:
        raise ConfigError(
            "A search trains single networks. Leave training.members out, and train the winner as an ensemble: "
            "limpid train --config best.toml --set training.members=5."
        )
