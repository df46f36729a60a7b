"""From what the user asked for to a wired run and its folder: a new one, or one to go on with."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from torch import nn

import limpid
from limpid.config import Config, RecordConfig
from limpid.config_reader import config_from_dict, with_options
from limpid.data.dataset import Dataset
from limpid.data.sources import load_data
from limpid.device import prepare_cpu
from limpid.errors import ConfigError, RecordError
from limpid.models.registry import most_tokens, takes_codes
from limpid.recipe import build_on, load_recipe
from limpid.record.run import Run, new_run_path, refuse_occupied
from limpid.start import load_start
from limpid.training.checkpoint import TrainingState, decode
from limpid.wiring import Wiring, wire

RUNS = Path("runs")


def wire_new(
    source: Any, y: Any, model: str | nn.Module | None, config: Config | None, options: dict[str, Any]
) -> tuple[Wiring, Config]:
    """The wiring of a new run, and the configuration as given."""
    if isinstance(source, Config):
        source, config = None, source
    module = model if isinstance(model, nn.Module) else None
    recipe = options.pop("recipe", None)
    given = with_options(config or Config(), options)
    prepare_cpu(given.training.threads)
    if isinstance(model, str):
        given = with_options(given, {"model__name": model})
    elif model is not None and module is None:
        raise ConfigError(f"model={model!r}: expected a name, as `limpid models` lists them, or an nn.Module object.")
    if isinstance(source, str | Path):
        given = with_options(given, {"data__source": str(source)})
    given = given if recipe is None else build_on(load_recipe(recipe).config, given)
    source = given.data.source if source is None else source
    if source is None:
        raise ConfigError("Nothing to train on: give a data source, for example limpid.train('digits').")
    refuse_early(given.record)
    start = load_start(given.model.start) if given.model.start else None
    return wire(given, read_data(source, given, y, module), module=module, start=start), given


def read_data(source: Any, config: Config, y: Any, module: nn.Module | None) -> Dataset:
    codes = module is None and reads_codes(config)
    tokens = most_tokens("") if module is not None else reads_tokens(config)
    return load_data(source, config.data, seed=config.training.seed, takes_codes=codes, most_tokens=tokens, y=y)


def reads_codes(config: Config) -> bool:
    """Whether categories are read as codes for embeddings, because the named model takes them so."""
    return takes_codes("mlp" if config.model.name == "auto" else config.model.name)


def reads_tokens(config: Config) -> int:
    """How many tokens of a labelled text the named model reads, unless data.context says how many."""
    return most_tokens("fasttext" if config.model.name == "auto" else config.model.name)


def refuse_early(config: RecordConfig) -> None:
    """Notice before the data are read what would otherwise spoil the run's first or last moment."""
    if config.out:
        refuse_occupied(Path(config.out))
    if config.tensorboard or config.mlflow:
        from limpid.reporting.mirrors import require

        require(tensorboard=bool(config.tensorboard), mlflow=bool(config.mlflow))


def new_run(wiring: Wiring, given: Config) -> Run:
    header = {"created": datetime.now().astimezone().isoformat(), "limpid": limpid.__version__}
    header |= wiring.header(given)
    if given.record.out:
        return Run.create(Path(given.record.out), header)
    return Run.create(new_run_path(RUNS, wiring.dataset.spec.name, wiring.config.model.name, datetime.now()), header)


def recorded_data(run: Run, source: Any, y: Any, module: nn.Module | None) -> tuple[Config, Dataset]:
    """The config of a run, and the very data that it was trained on.

    Raises RecordError where the data or the network are not at hand, or the data are not the same.
    """
    config = config_from_dict(run.header["config"], origin=f"{run.path}/run.json")
    source = config.data.source if source is None else source
    if source is None:
        raise RecordError(f"{run.path} was trained on data handed over in Python; hand over the same data.")
    if config.model.name.startswith("module:") and module is None:
        raise RecordError(f"{run.path} was trained with a module of your own; hand it over as model=.")
    dataset = read_data(source, config, y, module)
    if dataset.fingerprint != run.header["fingerprint"]:
        place = f"at {source}" if isinstance(source, str | Path) else "handed over"
        raise RecordError(f"{run.path}: the data {place} are not those that the run was trained on; restore them.")
    return config, dataset


def reopen(
    path: Path, source: Any, y: Any, module: nn.Module | None, options: dict[str, Any]
) -> tuple[Wiring, Run, TrainingState | None]:
    """The wiring, the run opened for writing and the state of its last valid checkpoint (None: from the start)."""
    if options:
        raise ConfigError(f"A resumed run keeps its options; {', '.join(options)} cannot be changed.")
    if Run.open(path).header.get("kind") == "search":
        raise RecordError(f"{path} is a search. Go on with it, or extend it: limpid tune --resume {path}")
    run = Run.open(path, write=True)
    try:
        config, dataset = recorded_data(run, source, y, module)
        checkpoint = run.latest_checkpoint()
        start = load_start(config.model.start) if config.model.start and checkpoint is None else None
        wiring = wire(config, dataset, module=module, start=start)
        for text in checkpoint.skipped if checkpoint else ():
            run.add("note", text=text)
        run.truncate_after(checkpoint.step if checkpoint else -1)
        several = config.training.members > 1 or bool(config.training.sizes)  # the members are what is resumed
        return wiring, run, decode(checkpoint) if checkpoint and not several else None
    except BaseException:
        run.close()
        raise
