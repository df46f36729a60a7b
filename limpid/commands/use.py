"""Commands that use a trained network: predict, generate, forecast and export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from limpid.commands.options import Quiet, RunFolder
from limpid.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (predict, generate, forecast, export):
        app.command()(command)


def predict(
    run: RunFolder,
    source: Annotated[str, typer.Argument(help="table, image, folder, archive or array of new samples")],
    out: Annotated[Path | None, typer.Option(help="file to write: .csv, .parquet, .json or .jsonl")] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="print the likeliest classes of each sample, in percent")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave out images that cannot be used")] = False,
    quiet: Quiet = False,
) -> None:
    """Answer for new samples with a run's best network."""
    from limpid.finished import predict as predict_samples

    predictions = predict_samples(run, source, out=out, skip_bad=skip_bad)
    if top is not None:
        print("\n".join(predictions.top_lines(top)))
    elif out is None:
        from limpid.deploy.tables_out import neutralised

        sys.stdout.write(neutralised(predictions.to_frame()).write_csv())
    elif not quiet:
        print(f"{len(predictions.names):,} predictions in {out}")
    if not quiet:
        for line in predictions.remarks():
            print(line, file=sys.stderr)


def generate(
    run: RunFolder,
    prompt: Annotated[str | None, typer.Option(help="text that a language model goes on from")] = None,
    source: Annotated[
        str | None, typer.Option(help="text to translate, or a file with one on each line; for captions images")
    ] = None,
    length: Annotated[int, typer.Option(min=1, help="tokens to add to the prompt")] = 500,
    temperature: Annotated[float, typer.Option(help="below 1 likelier tokens, above 1 odder; 0: the likeliest")] = 1.0,
    top_k: Annotated[int, typer.Option(help="draw from the k likeliest tokens only; 0: from all")] = 0,
    top_p: Annotated[float, typer.Option(help="draw from the fewest tokens of this probability only")] = 1.0,
    seed: Annotated[int, typer.Option(help="of the draws")] = 0,
    quiet: Quiet = False,
) -> None:
    """Write with a run's best network: go on from a prompt, translate, or describe images."""
    if source is not None:
        if prompt is not None:
            raise ConfigError("--prompt is for language models and --source for translation and captions: give one.")
        from limpid.finished import translate

        texts, remarks = translate(run, source)
        print("\n".join(texts))
        if not quiet:
            for line in remarks:
                print(line, file=sys.stderr)
        return
    from limpid.finished import generate as generate_text

    how = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    print(generate_text(run, prompt or "", length=length, **how))


def forecast(
    run: RunFolder,
    source: Annotated[Path | None, typer.Argument(help="table that ends where the forecast begins")] = None,
    steps: Annotated[int | None, typer.Option(help="steps ahead; default: the horizon of training")] = None,
    coverage: Annotated[float, typer.Option(help="share of true values that the interval is to hold")] = 0.9,
    out: Annotated[Path | None, typer.Option(help="file to write: .csv, .parquet, .json or .jsonl")] = None,
    quiet: Quiet = False,
) -> None:
    """Continue a series beyond its end, with an interval, and say how simple forecasts would have done."""
    from limpid.deploy.tables_out import check_path, write_table
    from limpid.finished import forecast as forecast_series

    if out is not None:
        check_path(out, source)
    made = forecast_series(run, source, steps=steps, coverage=coverage)
    if out is None:
        sys.stdout.write(made.to_frame().write_csv(float_precision=6))
    else:
        write_table(made.to_frame(), out)
    if not quiet:
        for line in made.remarks():
            print(line, file=sys.stderr)


def export(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="folder to write; default: RUN/export")] = None,
    format_: Annotated[list[str] | None, typer.Option("--format", help="safetensors, torch, onnx (repeatable)")] = None,
) -> None:
    """Write a run's best network for use elsewhere, each format checked against the live network."""
    from limpid.finished import export as export_network

    formats = tuple(format_ or ("safetensors", "torch", "onnx"))
    for result in export_network(run, out or run / "export", formats=formats):
        print(result)
