"""The public verbs: each wires the folders in the order of the flow, or opens a finished run and reads it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

import limpid
from limpid.config import Config, RecordConfig
from limpid.config_reader import config_from_dict, with_options
from limpid.data.dataset import Dataset
from limpid.data.sources import load_data as _load_data
from limpid.data.sources import named_sources
from limpid.device import prepare_cpu
from limpid.errors import ConfigError, RecordError
from limpid.execution import execute
from limpid.members import as_ensemble, join
from limpid.models.registry import takes_codes
from limpid.recipe import build_on, load_recipe
from limpid.record.run import Run, new_run_path, refuse_occupied
from limpid.start import load_start
from limpid.training.checkpoint import TrainingState, decode
from limpid.training.randomness import own_randomness
from limpid.training.rate_finder import RateCurve, search_rate
from limpid.wiring import Wiring, wire

if TYPE_CHECKING:
    from limpid.deploy.export import ExportResult
    from limpid.deploy.forecast import Forecast
    from limpid.deploy.predictor import Predictions
    from limpid.reporting.comparison import Comparison

RUNS = Path("runs")


def load_data(source: Any, *, y: Any = None, seed: int = 0, **options: Any) -> Dataset:
    """Read, split and prepare data without training: `limpid.load_data("adult.csv", target="income")`.

    Args:
        source: built-in name, file, folder, archive, arrays, tensors, frame, torch Dataset, or (X, y).
        y: targets, if `source` holds only the inputs.
        seed: of the split.
        **options: of section `data`, such as target=, drop=, types=, test=, split=.

    Raises DataError when the data cannot be used, ConfigError for an unknown option.
    """
    config = with_options(Config(), options)
    return _load_data(source, config.data, seed=seed, takes_codes=takes_codes("mlp"), y=y)


def train(
    source: Any = None,
    *,
    y: Any = None,
    model: str | nn.Module | None = None,
    config: Config | None = None,
    resume: str | Path | None = None,
    observer: Any = None,
    **options: Any,
) -> Run:
    """Train one network and record it: `run = limpid.train("adult.csv", target="income")`.

    Args:
        source: data (see `load_data`), or a `Config` that names them in data.source.
        y: targets, if `source` holds only the inputs.
        model: name of an architecture, or any module that maps the inputs to (B, num_outputs).
        config: every knob; the other arguments override it.
        resume: folder of a run to continue from its last checkpoint, bit for bit as if it had never stopped; data
            and module that were handed over as objects must be handed over again.
        observer: shows progress; None is silent.
        **options: short names (lr=, epochs=, target=, ...) or section__key=; and recipe=, the name of settings that all
            others override.

    Returns the finished run; its folder holds the record, the weights and report.html.

    Raises:
        ConfigError, DataError, ModelError: something given cannot be used; nothing has been written.
        NonFiniteLoss: training diverged; the run folder holds the last good weights.
        Stopped: Ctrl-C or SIGTERM; the run folder holds a checkpoint to resume from.
    """
    if resume is not None:
        module = model if isinstance(model, nn.Module) else None
        return execute(*_reopen(Path(resume), source, y, module, options), observer)
    wiring, given = _wire(source, y, model, config, options)
    if wiring.config.training.members > 1:
        wiring = as_ensemble(wiring)
    return execute(wiring, _new_run(wiring, given), None, observer)


def find_rate(
    source: Any = None,
    *,
    y: Any = None,
    model: str | nn.Module | None = None,
    config: Config | None = None,
    lowest: float = 1e-6,
    highest: float = 10.0,
    num_steps: int = 200,
    **options: Any,
) -> RateCurve:
    """Suggest a learning rate by a short training with rising rates, of which nothing is kept; arguments of `train`."""
    wiring, _ = _wire(source, y, model, config, options)
    with own_randomness(wiring.config.training.seed), wiring.fast_roads():
        return search_rate(wiring.parts, wiring.plan, lowest=lowest, highest=highest, num_steps=num_steps)


def _wire(
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
    _refuse_early(given.record)
    start = load_start(given.model.start) if given.model.start else None
    return wire(given, _load(source, given, y, module), module=module, start=start), given


def predict(
    run: Run | str | Path, source: Any, *, out: str | Path | None = None, module: nn.Module | None = None
) -> Predictions:
    """Answers of a run's best network for new raw samples: a table, image, folder, archive or array.

    `out` also writes them as .csv, .parquet, .json or .jsonl. `module` is needed when the run trained one of your own.
    """
    from limpid.deploy.predictor import load_predictor
    from limpid.deploy.tables_out import check_path, write_table

    if out is not None:
        check_path(out)
    predictions = load_predictor(_open(run), module=module).predict(source)
    if out is not None:
        write_table(predictions.to_frame(), out)
    return predictions


def ensemble(*runs: Run | str | Path, out: str | Path | None = None, source: Any = None, y: Any = None) -> Run:
    """The best networks of several runs, of any architectures, as the one network of a new run: the mean of answers.

    Args:
        runs: at least two, trained on the same data.
        out: folder of the new run.
        source, y: the data, where the first run had them handed over in Python; they are needed for its score.

    Raises ConfigError when the runs do not answer the same question.
    """
    opened = [_open(run) for run in runs]
    if len(opened) < 2:
        raise ConfigError("An ensemble takes at least two runs.")
    config = config_from_dict(opened[0].header["config"], origin=f"{opened[0].path}/run.json")
    record = RecordConfig(out=None if out is None else str(out), report=config.record.report)
    config = config.model_copy(update={"record": record})
    _refuse_early(record)
    source = config.data.source if source is None else source
    wiring = join(wire(config, _load(source, config, y, None)), opened)
    return execute(wiring, _new_run(wiring, config), None, None)


def generate(run: Run | str | Path, prompt: str = "", *, length: int = 500, **sampling: Any) -> str:
    """The prompt, continued by a language model: `limpid.generate("runs/...", "ROMEO:", temperature=0.8)`.

    Args:
        length: tokens to add.
        **sampling: temperature=, top_k=, top_p=, seed=; see deploy/sampling.py.
    """
    from limpid.deploy.generate import generate_text
    from limpid.deploy.sampling import Sampling

    return generate_text(_open(run), prompt, length=length, how=Sampling(**sampling))


def translate(run: Run | str | Path, source: Any) -> tuple[list[str], list[str]]:
    """What a network of pairs or captions writes for each source, and remarks; see deploy/generate.py."""
    from limpid.deploy.generate import write_for

    return write_for(_open(run), source)


def forecast(
    run: Run | str | Path, source: str | Path | None = None, *, steps: int | None = None, coverage: float = 0.9
) -> Forecast:
    """The series of a run, or the one in the table `source`, continued beyond its end, with an interval."""
    from limpid.deploy.forecast import forecast_run

    return forecast_run(_open(run), source, steps=steps, coverage=coverage)


def export(
    run: Run | str | Path,
    out: str | Path,
    *,
    formats: Sequence[str] = ("safetensors", "torch", "onnx"),
    module: nn.Module | None = None,
) -> list[ExportResult]:
    """Write the best network in other formats, each checked against the live one on the same raw samples."""
    from limpid.deploy.export import export_run

    return export_run(_open(run), Path(out), formats=tuple(formats), module=module)


def report(run: Run | str | Path, path: str | Path | None = None) -> Path:
    """Write the run's report, one self-contained HTML file, and return its path."""
    from limpid.reporting.html import write_report

    return write_report(_open(run), None if path is None else Path(path))


def compare(*runs: Run | str | Path) -> Comparison:
    """Scores of several runs side by side; for two on the same rows a paired verdict with an interval."""
    from limpid.reporting.comparison import compare_runs

    return compare_runs([_open(run) for run in runs])


def list_datasets() -> list[dict[str, Any]]:
    """The data sets that have a name."""
    return [{"name": name, "what": what} for name, what in named_sources().items()]


def _open(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else Run.open(Path(run))


def _load(source: Any, config: Config, y: Any, module: nn.Module | None) -> Dataset:
    codes = module is None and takes_codes("mlp" if config.model.name == "auto" else config.model.name)
    return _load_data(source, config.data, seed=config.training.seed, takes_codes=codes, y=y)


def _refuse_early(config: RecordConfig) -> None:
    """Notice before the data are read what would otherwise spoil the run's first or last moment."""
    if config.out:
        refuse_occupied(Path(config.out))
    if config.tensorboard or config.mlflow:
        from limpid.reporting.mirrors import require

        require(tensorboard=bool(config.tensorboard), mlflow=bool(config.mlflow))


def _new_run(wiring: Wiring, given: Config) -> Run:
    header = {"created": datetime.now().astimezone().isoformat(), "limpid": limpid.__version__}
    header |= wiring.header(given)
    if given.record.out:
        return Run.create(Path(given.record.out), header)
    return Run.create(new_run_path(RUNS, wiring.dataset.spec.name, wiring.config.model.name, datetime.now()), header)


def _reopen(
    path: Path, source: Any, y: Any, module: nn.Module | None, options: dict[str, Any]
) -> tuple[Wiring, Run, TrainingState | None]:
    """The wiring, the run opened for writing and the state of its last valid checkpoint (None: from the start)."""
    if options:
        raise ConfigError(f"A resumed run keeps its options; {', '.join(options)} cannot be changed.")
    run = Run.open(path, write=True)
    try:
        config = config_from_dict(run.header["config"], origin=f"{path}/run.json")
        source = config.data.source if source is None else source
        if source is None:
            raise RecordError(
                f"{path} was trained on data handed over in Python; hand over the same data to resume it."
            )
        dataset = _load(source, config, y, module)
        if dataset.fingerprint != run.header["fingerprint"]:
            place = f"at {source}" if isinstance(source, str | Path) else "handed over"
            raise RecordError(f"{path}: the data {place} are not those that the run was trained on; restore them.")
        if config.model.name.startswith("module:") and module is None:
            raise RecordError(f"{path} was trained with a module of your own; hand it over as model= to resume.")
        checkpoint = run.latest_checkpoint()
        start = load_start(config.model.start) if config.model.start and checkpoint is None else None
        wiring = wire(config, dataset, module=module, start=start)
        for text in checkpoint.skipped if checkpoint else ():
            run.add("note", text=text)
        run.truncate_after(checkpoint.step if checkpoint else -1)
        if config.training.members > 1:
            return as_ensemble(wiring), run, None
        return wiring, run, decode(checkpoint) if checkpoint else None
    except BaseException:
        run.close()
        raise
