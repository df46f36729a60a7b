"""Commands that use what a network has learned for other data: features and advise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from limpid.commands.options import Json, Quiet

Target = Annotated[list[str] | None, typer.Option(help="column to predict (repeat for several)")]
Side = Annotated[int | None, typer.Option(help="side of the images in pixels")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (features, advise):
        app.command()(command)


def features(
    network: Annotated[str, typer.Argument(help="run folder, or name of a model")],
    source: Annotated[str, typer.Argument(help="data with labels, as for train")],
    out: Annotated[Path, typer.Option(help="file to write: .npz (with the splits), .csv or .parquet")],
    layer: Annotated[str, typer.Option(help="layer, or codes: what the last layer sees")] = "codes",
    random: Annotated[bool, typer.Option("--random", help="a named model with random weights")] = False,
    target: Target = None,
    image_size: Side = None,
    quiet: Quiet = False,
) -> None:
    """Write what a layer says of every sample, to train another classifier on.

    Then, for instance: limpid train FILE --model svm.
    """
    from limpid.deploy.features import extract, open_source, write_features

    found = extract(open_source(network, source, _config(target, image_size, random=random)), layer)
    write_features(found, out)
    if not quiet:
        rows = ", ".join(f"{len(x):,} {name}" for name, (x, _) in found.splits.items())
        shape = " x ".join(map(str, found.shape))
        width = next(iter(found.splits.values()))[0].shape[1]
        print(f"{width:,} numbers of layer {layer} ({shape}) for {rows} rows in {out}")


def advise(
    source: Annotated[str, typer.Argument(help="data with labels, as for train")],
    model: Annotated[str | None, typer.Option("--model", "-m", help="architecture with published weights")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="run folder whose network is to be used")] = None,
    target: Target = None,
    image_size: Side = None,
    json: Json = False,
) -> None:
    """Measure how many rows there are and how far a trained network helps, and say which of four plans to take."""
    from limpid.deploy.advice import advise as give_advice
    from limpid.deploy.features import open_source
    from limpid.errors import ConfigError

    if (model is None) == (from_ is None):
        raise ConfigError("Give the network to start from: --model NAME (with published weights) or --from RUN.")
    network = from_ or model or ""
    advice = give_advice(open_source(network, source, _config(target, image_size, random=False)))
    if json:
        from dataclasses import asdict

        from limpid.reporting.progress import json_line

        print(json_line(asdict(advice)))
        return
    for line in advice.lines():
        print(line)
    weights = f"--from {from_}" if from_ else f"--model {model} --pretrained"
    if advice.plan.number == 3:
        print(f"  limpid features {network} {source} --layer {advice.early_layer} --out codes.npz")
        print("  limpid train codes.npz --model svm")
    else:
        print("  " + " ".join(("limpid train", source, weights, *advice.plan.options)))


def _config(target: list[str] | None, image_size: int | None, *, random: bool) -> Any:
    from limpid.config import Config
    from limpid.config_reader import with_options

    given = {"target": target, "image_size": image_size, "pretrained": not random}
    return with_options(Config(), {name: value for name, value in given.items() if value is not None})
