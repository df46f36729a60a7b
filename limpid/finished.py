"""The public verbs on a trained run: each opens the record and hands it to the part that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpid.record.run import Run, open_run

if TYPE_CHECKING:
    from torch import nn

    from limpid.deploy.export import ExportResult
    from limpid.deploy.forecast import Forecast
    from limpid.deploy.predictor import Predictions
    from limpid.reporting.comparison import Comparison


def predict(
    run: Run | str | Path,
    source: Any,
    *,
    out: str | Path | None = None,
    skip_bad: bool = False,
    module: nn.Module | None = None,
) -> Predictions:
    """Answers of a run's best network for new raw samples: a table, image, folder, archive or array.

    `out` also writes them as .csv, .parquet, .json or .jsonl. `skip_bad` leaves out image files that cannot be used,
    and names them in the answer's remarks. `module` is needed when the run trained one of your own.
    """
    from limpid.deploy.predictor import load_predictor
    from limpid.deploy.tables_out import check_path, write_table

    if out is not None:
        check_path(out, source)
    predictions = load_predictor(open_run(run), module=module).predict(source, skip_bad=skip_bad)
    if out is not None:
        write_table(predictions.to_frame(), out)
    return predictions


def generate(run: Run | str | Path, prompt: str = "", *, length: int = 500, **sampling: Any) -> str:
    """The prompt, continued by a language model: `limpid.generate("runs/...", "ROMEO:", temperature=0.8)`.

    Args:
        length: tokens to add.
        **sampling: temperature=, top_k=, top_p=, seed=; see deploy/sampling.py.
    """
    from limpid.deploy.generate import generate_text
    from limpid.deploy.sampling import Sampling

    return generate_text(open_run(run), prompt, length=length, how=Sampling(**sampling))


def translate(run: Run | str | Path, source: Any) -> tuple[list[str], list[str]]:
    """What a network of pairs or captions writes for each source, and remarks; see deploy/generate.py."""
    from limpid.deploy.generate import write_for

    return write_for(open_run(run), source)


def forecast(
    run: Run | str | Path, source: str | Path | None = None, *, steps: int | None = None, coverage: float = 0.9
) -> Forecast:
    """The series of a run, or the one in the table `source`, continued beyond its end, with an interval."""
    from limpid.deploy.forecast import forecast_run

    return forecast_run(open_run(run), source, steps=steps, coverage=coverage)


def export(
    run: Run | str | Path,
    out: str | Path,
    *,
    formats: Sequence[str] = ("safetensors", "torch", "onnx"),
    module: nn.Module | None = None,
) -> list[ExportResult]:
    """Write the best network in other formats, each checked against the live one on the same raw samples."""
    from limpid.deploy.export import export_run

    return export_run(open_run(run), Path(out), formats=tuple(formats), module=module)


def report(run: Run | str | Path, path: str | Path | None = None) -> Path:
    """Write the run's report, one self-contained HTML file, and return its path."""
    from limpid.reporting.html import write_report

    return write_report(open_run(run), None if path is None else Path(path))


def explain(
    run: Run | str | Path,
    *,
    row: int = 0,
    out: str | Path | None = None,
    source: Any = None,
    y: Any = None,
    module: nn.Module | None = None,
) -> Path:
    """Write what the best network makes of a row: a page (explanation.html of the run, or `out`) and its numbers.

    Args:
        row: of the validation split, from 0.
        source, y, module: the data and the network, where the run had them handed over in Python.

    Returns the path of the page; the numbers are beside it, with the ending .json.
    """
    from limpid.interpret.sample import open_sample
    from limpid.interpret.views import VIEWS
    from limpid.reporting.explanation import write_explanation

    run = open_run(run)
    network, sample = open_sample(run, row, source=source, y=y, module=module)
    views = {name: view(network, sample) for name, view in VIEWS.items()}
    return write_explanation(run, sample.facts(), views, None if out is None else Path(out), picture=sample.picture())


def compare(*runs: Run | str | Path) -> Comparison:
    """Scores of several runs side by side, and paired verdicts with intervals against the first.

    Networks are judged on the same rows, recipes that were trained with several seeds over those seeds.
    """
    from limpid.reporting.comparison import compare_runs

    return compare_runs([open_run(run) for run in runs])
