"""The public verb of searches: `limpid.tune`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from limpid.config import Config
from limpid.errors import ConfigError
from limpid.fork_server import expect_workers
from limpid.search.opening import begin, go_on
from limpid.search.plan import BUDGET, SEEDS, seconds_of
from limpid.search.result import SearchResult
from limpid.search.search import run_search
from limpid.search.space import Space
from limpid.search.trials import Audience, Silence


def tune(
    source: Any = None,
    *,
    y: Any = None,
    model: str | nn.Module | None = None,
    config: Config | None = None,
    space: str | Path | Mapping[str, Any] | Space | None = None,
    architectures: bool = False,
    budget: int | None = None,
    time: str | float | None = None,
    metric: str | None = None,
    sampler: str | None = None,
    pruner: str | None = None,
    seeds: int | None = None,
    on: str | None = None,
    resume: str | Path | None = None,
    observer: Audience | None = None,
    **options: Any,
) -> SearchResult:
    """Search for better settings: `limpid.tune("adult.csv", target="income", budget=25).best`.

    Every configuration is trained on the training rows and judged on the validation rows. The best three are trained
    again from fresh seeds, which decide; the test rows are read once, for the winner.

    Args:
        source, y, model, config, **options: as for `train`; what they set is not searched, unless `space` says so.
        space: what is searched: a TOML file, the same as nested dicts ({"optim": {"lr": {"low": ..., "high": ...}}}),
            or a Space. None: a few knobs that matter for this model on these data.
        architectures: search the network itself, as a pattern of layers, and its learning rate; `model`, if it is a
            pattern, is where the search begins.
        budget: trials; 25 unless given. With `resume`, a larger one extends the search.
        time: after which no trial begins, and those in training are let go: "90s", "10m", "1h". The finalists' seeds
            come on top.
        metric: validation figure that trials are judged by, in their best epoch; None: the one that `train` picks the
            best epoch by, or the task's score where the space turns the loss itself.
        sampler: random unless given (evolution for architectures); or grid, quasi-random, two-stage, tpe, gp, cma-es,
            evolution.
        pruner: none unless given; or median, halving, hyperband.
        seeds: fresh ones for each finalist, 3 unless given; 0: the best trial wins as it is.
        on: what trains members: auto, stacked, stacks, processes, one-by-one, ray, or a Ray address.
        resume: folder of a search to go on with; data that were handed over in Python must be handed over again.
        observer: is told of each trial (see search/trials.py); None is silent.

    Returns a result with `best` (values of the winner), `best_run`, `best_config`, `trials` and `path`.

    Raises:
        ConfigError, DataError, ModelError: something given cannot be used, and nothing has been written; or no trial
            finished with a figure, and the folder says why.
        Stopped: Ctrl-C or SIGTERM; what ended is kept, and `resume` goes on.
    """
    seconds = seconds_of(time)
    expect_workers(on, budget or BUDGET)
    if resume is not None:
        given: dict[str, Any] = {"model": model, "config": config, "space": space, "metric": metric, "sampler": sampler}
        given |= {"pruner": pruner, "seeds": seeds, **options}
        given["architectures"] = architectures or None
        refused = [name for name, value in given.items() if value is not None]
        if refused:
            raise ConfigError(f"A search that goes on keeps its options; {', '.join(refused)} cannot be changed.")
        folder, ground = go_on(Path(resume), source, y, budget)
    else:
        folder, ground = begin(
            source,
            y,
            model,
            config,
            options,
            space=space,
            architectures=architectures,
            budget=BUDGET if budget is None else budget,
            metric=metric,
            sampler=sampler or ("evolution" if architectures else "random"),
            pruner=pruner or "none",
            seeds=SEEDS if seeds is None else seeds,
            on=on,
        )
    return run_search(folder, ground, on=on, seconds=seconds, audience=observer or Silence())
