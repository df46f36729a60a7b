"""Commands that use a trained network: predict and export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from limpid.commands.options import Quiet, RunFolder


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (predict, export):
        app.command()(command)


def predict(
    run: RunFolder,
    source: Annotated[str, typer.Argument(help="table, image, folder, archive or array of new samples")],
    out: Annotated[Path | None, typer.Option(help="file to write: .csv, .parquet, .json or .jsonl")] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="print the likeliest classes of each sample, in percent")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Answer for new samples with a run's best network."""
    from limpid.workbench import predict as predict_samples

    predictions = predict_samples(run, source, out=out)
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


def export(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="folder to write; default: RUN/export")] = None,
    format_: Annotated[list[str] | None, typer.Option("--format", help="safetensors, torch, onnx (repeatable)")] = None,
) -> None:
    """Write a run's best network for use elsewhere, each format checked against the live network."""
    from limpid.workbench import export as export_network

    formats = tuple(format_ or ("safetensors", "torch", "onnx"))
    for result in export_network(run, out or run / "export", formats=formats):
        print(result)
