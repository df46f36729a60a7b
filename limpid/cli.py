"""The terminal: parses, calls the workbench, prints. Every command imports its part when it runs, not before.

Exit codes: 0 done; 2 something given cannot be used; 3 a finding as grave as --fail-on; 4 training diverged; 5 another
process writes the run; 6 the disk is full; 130 stopped by Ctrl-C; 143 stopped by SIGTERM.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from limpid.commands import (
    auditing,
    doctoring,
    ensembles,
    explaining,
    lists,
    racing,
    rates,
    recipes,
    transfer,
    tuning,
    use,
)
from limpid.commands.options import Json, Quiet, RunFolder, given_config
from limpid.errors import ConfigError, LimpidError
from limpid.fork_server import expect_workers
from limpid.population_words import WORDS

# Unknown options, missing arguments and the like. typer exports no name for this parent of BadParameter.
UsageProblem: Any = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="limpid",
    help="Deep learning you can see through: train, inspect and use neural networks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def train(
    source: Annotated[str | None, typer.Argument(help="built-in name, file, folder or archive")] = None,
    # what goes in
    target: Annotated[list[str] | None, typer.Option(help="column to predict (repeat for several)")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="column to leave out (repeatable)")] = None,
    types: Annotated[list[str] | None, typer.Option(help="COLUMN=number|category|boolean|date (repeatable)")] = None,
    header: Annotated[bool | None, typer.Option(help="whether the first row holds names; else inferred")] = None,
    task: Annotated[str | None, typer.Option(help="classification, binary, multilabel or regression")] = None,
    test: Annotated[str | None, typer.Option(help="separate test file of the same form")] = None,
    split: Annotated[str | None, typer.Option(help="random, group:COLUMN or time:COLUMN")] = None,
    size: Annotated[int | None, typer.Option(help="samples to generate (generators)")] = None,
    noise: Annotated[float | None, typer.Option(help="noise of a generator")] = None,
    data_dir: Annotated[str | None, typer.Option(help="folder with local copies of named data sets")] = None,
    image_size: Annotated[int | None, typer.Option(help="side of the images in pixels")] = None,
    skip_bad: Annotated[bool | None, typer.Option("--skip-bad", help="leave out unreadable images")] = None,
    form: Annotated[str | None, typer.Option(help="table, series, sequences, text, texts, pairs or captions")] = None,
    window: Annotated[int | None, typer.Option(help="series: steps that the network sees")] = None,
    horizon: Annotated[int | None, typer.Option(help="series: steps ahead that it predicts")] = None,
    context: Annotated[int | None, typer.Option(help="text: tokens of a sample")] = None,
    tokens: Annotated[str | None, typer.Option(help="text: char, word or bpe")] = None,
    # what computes, and how it learns
    model: Annotated[str | None, typer.Option("--model", "-m", help="architecture; see `limpid models`")] = None,
    pretrained: Annotated[bool | None, typer.Option("--pretrained", help="start from published weights")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="run folder whose weights are taken over")] = None,
    freeze: Annotated[str | None, typer.Option(help="backbone, number of leading blocks, or pattern of names")] = None,
    hidden: Annotated[str | None, typer.Option(help="widths of an MLP's hidden layers, such as 128,64")] = None,
    dropout: Annotated[float | None, typer.Option(help="share of hidden units dropped")] = None,
    loss: Annotated[str | None, typer.Option(help="cross_entropy, bce, mse, mae or huber")] = None,
    optimizer: Annotated[str | None, typer.Option(help="by name; `limpid optimizers` lists them")] = None,
    lr: Annotated[float | None, typer.Option(help="learning rate, the peak under a schedule")] = None,
    schedule: Annotated[str | None, typer.Option(help="course of the rate; see `limpid schedules`")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="strength of weight decay")] = None,
    epochs: Annotated[int | None, typer.Option(help="passes over the training split")] = None,
    batch_size: Annotated[int | None, typer.Option(help="samples per step")] = None,
    patience: Annotated[int | None, typer.Option(help="epochs without improvement before stopping")] = None,
    seed: Annotated[int | None, typer.Option(help="of split, weights, order and augmentation")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, bf16 or float32")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps")] = None,
    # everything else, and where it is written
    recipe: Annotated[str | None, typer.Option(help="settings to begin with; see `limpid recipes`")] = None,
    # several networks in one run
    seeds: Annotated[int | None, typer.Option(help="networks that differ by their seed; their mean answers")] = None,
    folds: Annotated[int | None, typer.Option(help="cross-validation: parts of the data that validate in turn")] = None,
    bag: Annotated[int | None, typer.Option(help="networks on resampled rows; scored by the rows left out too")] = None,
    sizes: Annotated[
        str | None, typer.Option(help="learning curve: shares of the training rows (0.1,0.3,1), or how many (5)")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(help="what trains them: auto, stacked, stacks, processes, one-by-one, ray or an address"),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with options by section")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value (repeatable)")] = None,
    out: Annotated[str | None, typer.Option(help="run folder to write")] = None,
    resume: Annotated[Path | None, typer.Option(help="run folder to continue from its last checkpoint")] = None,
    tensorboard: Annotated[str | None, typer.Option(help="folder of a TensorBoard mirror")] = None,
    mlflow: Annotated[str | None, typer.Option(help="tracking URI of an MLflow mirror")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network on your data, record it, and report its score.

    Options that are not given are chosen from the data and printed. `limpid options` lists all of them for --set.
    """
    named = {name: value for name, value in locals().items() if value not in (None, [])}
    if named.keys() & set(WORDS):
        expect_workers(on, max(seeds or 0, folds or 0, bag or 0))
    flags = _pop(named, "source", "model", "recipe", "config", "set_", "resume", "json", "quiet")
    from limpid.reporting.terminal import Screen

    given = given_config(named, flags.get("config"), flags.get("set_", ()))
    screen = Screen(quiet=quiet, json=json)
    from limpid.workbench import train as run_training

    with_model = {name: flags[name] for name in ("model", "recipe") if name in flags}
    if "resume" in flags:
        if named or "source" in flags or with_model or "set_" in flags or "config" in flags:
            raise ConfigError("--resume continues a run with the options that it has; give no others.")
        run = run_training(resume=flags["resume"], observer=screen)
    else:
        run = run_training(flags.get("source"), config=given, observer=screen, **with_model)
    screen.result(run)


@app.command()
def report(run: RunFolder, out: Annotated[Path | None, typer.Option(help="HTML file to write")] = None) -> None:
    """Write a run's report as one self-contained HTML file."""
    from limpid.record.run import Run
    from limpid.reporting.html import write_report

    print(write_report(Run.open(run), out))


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="run folders")],
    json: Json = False,
) -> None:
    """Put runs side by side, with a verdict on each against the first: better, worse, or cannot tell.

    Two networks are judged on the same rows. Runs of several members, and runs that differ in nothing but their seed,
    are judged as recipes: paired by seed, with an interval, and with how many more seeds it would take.
    """
    from limpid.record.run import Run
    from limpid.reporting.comparison import compare_runs

    comparison = compare_runs([Run.open(path) for path in runs])
    print(comparison.to_json() if json else comparison.render())


doctoring.add_to(app)
auditing.add_to(app)
explaining.add_to(app)
use.add_to(app)
ensembles.add_to(app)
tuning.add_to(app, train)
transfer.add_to(app)
rates.add_to(app)
racing.add_to(app)
recipes.add_to(app)
lists.add_to(app)


def _pop(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values.pop(name) for name in names if name in values}


def main() -> None:
    """Run the command line; one message and an exit code instead of a traceback."""
    try:
        if app(standalone_mode=False) == 130:  # typer turns a KeyboardInterrupt into this
            raise KeyboardInterrupt
        sys.stdout.flush()
    except LimpidError as error:
        _leave(str(error), error.exit_code)
    except UsageProblem as error:
        _leave(_with_hint(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        _leave("Interrupted; what is on disk is valid.", 130)
    except OSError as error:
        _leave_without_output(error)


def _leave_without_output(error: OSError) -> None:
    """What could not be printed ends the command, and so does a file that the system refuses and nobody spoke of."""
    if error.filename is not None:
        _leave(
            f"{error.filename}: {error.strerror}. What is on disk is valid.", 6 if error.errno == errno.ENOSPC else 2
        )
    broken = isinstance(error, BrokenPipeError)  # the reader of our output, such as `head`, has had enough
    if not (broken or error.errno == errno.ENOSPC):
        raise error
    _to_nowhere()
    if broken:
        sys.exit(0)
    _leave("The output could not be written, because the disk is full. What is on disk is valid.", 6)


def _to_nowhere() -> None:
    """What is left to be printed is thrown away."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run() -> None:
    """The console script: `main`, and then out at once.

    Every file is closed and flushed by then; taking torch apart object by object would add half a second.
    """
    code: object = 0
    try:
        main()
    except SystemExit as done:
        code = done.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1 if code else 0)


def _with_hint(error: Any) -> str:
    """The complaint about the arguments, with the option that was probably meant."""
    message = str(error.format_message())
    option = getattr(error, "option_name", None)
    if option is None or "Did you mean" in message or error.ctx is None:
        return message
    from limpid.errors import nearest

    hint = nearest(option, [name for parameter in error.ctx.command.params for name in parameter.opts])
    return f"{message} Did you mean {hint}?" if hint else f"{message} See {error.ctx.command_path} --help."


def _leave(message: str, code: int) -> None:
    if message:
        from limpid.reporting.terminal import print_error

        print_error(message)
    sys.exit(code)


if __name__ == "__main__":
    run()
