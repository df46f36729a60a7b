"""From what was asked of a search to its folder and its data: a new one, or one to go on with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from torch import nn

import limpid
from limpid.config import Config, RecordConfig
from limpid.config_reader import config_from_dict, with_options
from limpid.device import prepare_cpu
from limpid.errors import ConfigError, RecordError
from limpid.opening import RUNS, wire_new
from limpid.population.executors import find_executor
from limpid.population.ground import Ground
from limpid.record.run import Run, new_run_path
from limpid.search.architecture import architecture_space
from limpid.search.default_space import default_space
from limpid.search.folder import SearchFolder
from limpid.search.plan import SearchPlan, check_counts, judged_by, refuse_unsearchable, rises
from limpid.search.pruners import build_pruner
from limpid.search.samplers import build_sampler
from limpid.search.space import Space
from limpid.search.space_file import load_space, space_of


def begin(
    source: Any,
    y: Any,
    model: str | nn.Module | None,
    config: Config | None,
    options: dict[str, Any],
    *,
    space: str | Path | Mapping[str, Any] | Space | None,
    architectures: bool,
    budget: int,
    metric: str | None,
    sampler: str,
    pruner: str,
    seeds: int,
    on: str | None,
) -> tuple[SearchFolder, Ground]:
    """Check all that was asked, and make the folder of a new search: after this, nothing given can be wrong.

    Raises ConfigError, DataError or ModelError with nothing written.
    """
    check_counts(budget, seeds)
    if isinstance(model, nn.Module):
        raise ConfigError("A search builds every network anew, which needs a named model or a pattern of layers.")
    read = _read_space(space)
    if architectures and read is not None:
        raise ConfigError("--architectures is a space of its own, beside which there is no --space. Leave one out.")
    wiring, given = wire_new(source, y, model, config, options)
    refuse_unsearchable(wiring.config, wiring.dataset)
    spec = wiring.dataset.spec
    if read is None:
        read = architecture_space(given, spec) if architectures else default_space(given, spec)
    metric = judged_by(metric, wiring, read.paths)
    base = with_options(given, {"training__monitor": metric})
    base = base.model_copy(update={"record": RecordConfig(report=given.record.report)})
    read.check(base, spec)
    seed, epochs = wiring.config.training.seed, wiring.config.training.epochs
    assert epochs is not None
    plan = SearchPlan(budget, sampler, pruner, seeds, seed, metric, rises(metric, wiring.config), epochs)
    build_sampler(sampler, seed, read, budget)
    build_pruner(pruner, epochs)
    find_executor(on or given.training.on)
    header: dict[str, Any] = {
        "created": datetime.now().astimezone().isoformat(),
        "limpid": limpid.__version__,
        "kind": "search",
    }
    header |= wiring.header(base) | plan.to_header() | {"space": read.to_dict()}
    header["config"]["training"]["monitor"] = metric
    out = given.record.out
    path = Path(out) if out else new_run_path(RUNS, spec.name, "search", datetime.now())
    ground = Ground(given.data.source if _is_place(source) else source, y, seed=seed)
    ground.hold(base, wiring.dataset)
    return SearchFolder(Run.create(path, header)), ground


def go_on(path: Path, source: Any, y: Any, budget: int | None) -> tuple[SearchFolder, Ground]:
    """The folder and the data of a search that was begun, perhaps with a larger budget.

    Raises RecordError where it is no search, or the data are not at hand or not the same, ConfigError for a budget that
    it cannot use.
    """
    if Run.open(path).header.get("kind") != "search":
        raise RecordError(f"{path} is no search. Continue a training with: limpid train --resume {path}")
    if budget is not None:
        check_counts(budget, 0)
    folder = SearchFolder(Run.open(path, write=True))
    run = folder.run
    try:
        if budget is not None:
            _refuse_beyond_grid(folder, budget)
        base = config_from_dict(run.header["given"], origin=f"{path}/run.json")
        source = base.data.source if source is None else source
        if source is None:
            raise RecordError(f"{path} searched on data handed over in Python; hand over the same data.")
        prepare_cpu(base.training.threads)
        ground = Ground(source, y, seed=folder.plan.seed)
        if ground.dataset(base).fingerprint != run.header["fingerprint"]:
            raise RecordError(f"{path}: the data are not those that were searched on; restore them.")
        if not folder.concluded or (budget is not None and budget != folder.budget):
            folder.go_on(budget)
        return folder, ground
    except BaseException:
        run.close()
        raise


def _refuse_beyond_grid(folder: SearchFolder, budget: int) -> None:
    """Raise ConfigError for more trials than a grid has, which was laid out for the budget that it began with."""
    plan = folder.plan
    most = build_sampler(plan.sampler, plan.seed, folder.space, plan.budget).most
    if most is not None and budget > plan.budget:
        raise ConfigError(
            f"--budget {budget}: the grid of {folder.path} was laid out for {plan.budget} trials and has {most} "
            "points. Search anew with a larger --budget, or with --sampler quasi-random, which can be extended."
        )


def _read_space(space: str | Path | Mapping[str, Any] | Space | None) -> Space | None:
    if space is None or isinstance(space, Space):
        return space
    return space_of(space, origin="space=") if isinstance(space, Mapping) else load_space(space)


def _is_place(source: Any) -> bool:
    """Whether the data are named by the configuration, not handed over."""
    return source is None or isinstance(source, str | Path | Config)
