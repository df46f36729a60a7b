"""What Limpid's defaults are worth: `python -m bench.scores --data DIR [--seeds 3] [names ...]`.

Each data set is trained with nothing chosen, and scikit-learn's linear model and gradient boosting are fitted on the
same training rows (categories one-hot; standardised for the linear model). Every seed draws its own split, and all
three are scored on its test rows. Prints a markdown table: mean score over the seeds with the half width of its 95 %
interval (Student's t), and seconds of a fit.

Shapes: N rows, F features.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

import limpid
from limpid.data.dataset import Dataset, Split
from limpid.objectives.intervals import mean_interval
from limpid.spec import DataSpec

Score = tuple[float, float]  # accuracy or R^2, seconds
LINEAR_IMAGES = 10_000  # training images for the logistic regression, which would take many minutes on all
RIDGE_PENALTIES = np.logspace(-2, 3, 11)


@dataclass(frozen=True)
class Case:
    """One data set: where it is ("{data}" is the data folder), and the options of `limpid.load_data` that it needs."""

    source: str
    options: dict[str, str] = field(default_factory=dict)


CASES = {
    "digits": Case("digits"),
    "iris": Case("iris"),
    "wine": Case("wine"),
    "breast-cancer": Case("breast-cancer"),
    "diabetes": Case("diabetes"),
    "titanic": Case("{data}/tables/titanic.csv", {"target": "survived", "drop": "alive"}),
    "penguins": Case("{data}/tables/penguins.csv", {"target": "species"}),
    "mpg": Case("{data}/tables/mpg.csv", {"target": "mpg"}),
    "adult": Case("{data}/tables/adult-train.csv", {"target": "14", "test": "{data}/tables/adult-test.csv"}),
    "mnist": Case("mnist"),
}


def main() -> None:
    """Train and fit everything that was named, and print the table row by row."""
    parser = argparse.ArgumentParser(prog="python -m bench.scores", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CASES)}, or image archives and folders; default all")
    parser.add_argument("--data", type=Path, default=os.environ.get("LIMPID_DATA"), help="data folder (LIMPID_DATA)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C", help="option for Limpid, not a default")
    parser.add_argument("--alone", action="store_true", help="Limpid only")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("--data DIR is missing, and LIMPID_DATA is not set")
    warnings.filterwarnings("ignore", module="sklearn")  # a linear model that stops at its last iteration is scored too
    given = {key.replace(".", "__"): value for key, _, value in (text.partition("=") for text in arguments.set)}
    print("| data | score | Limpid | s | linear | s | boosting | s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in arguments.names or CASES:
        case = CASES.get(name, Case(name))
        source = case.source.format(data=arguments.data)
        options = {key: value.format(data=arguments.data) for key, value in case.options.items()}
        if source == "mnist":
            options["data_dir"] = str(arguments.data)
        title = ""
        columns: dict[str, list[Score]] = {"Limpid": [], "linear": [], "boosting": []}
        for seed in range(arguments.seeds):
            title, score, seconds = limpid_score(source, options | given, seed)
            columns["Limpid"].append((score, seconds))
            if not arguments.alone:
                data = limpid.load_data(source, seed=seed, data__encode="onehot", **options)
                images = LINEAR_IMAGES if data.spec.kind == "image" else None
                columns["linear"].append(fit_score(data, linear_model(data.spec), seed, images))
                columns["boosting"].append(fit_score(data, boosting(data.spec, seed), seed))
        cells = [name, title]
        for column in columns.values():
            cells += [mean_text([score for score, _ in column]), seconds_text([seconds for _, seconds in column])]
        print(f"| {' | '.join(cells)} |", flush=True)


def limpid_score(source: str, options: dict[str, Any], seed: int) -> tuple[str, float, float]:
    """Name of the score, its value on the test rows, and seconds of everything from reading the file to the report."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = limpid.train(source, seed=seed, out=str(Path(folder) / "run"), **options)
        result = run.events("result")[-1]
    return result["score"], result[result["score"]], time.perf_counter() - started


def fit_score(data: Dataset, model: Any, seed: int, most: int | None = None) -> Score:
    """Fit a scikit-learn model on the training rows, or so many of them at most; its score on the test rows, and
    seconds of the fit alone."""
    test = data.test()
    assert test is not None
    x_NF, y_N = rows_of(data.train)
    chosen = np.random.default_rng(seed).permutation(len(y_N))[:most]  # images of a folder lie class by class
    started = time.perf_counter()
    model.fit(x_NF[chosen], y_N[chosen])
    seconds = time.perf_counter() - started
    return float(model.score(*rows_of(test))), seconds


def rows_of(split: Split) -> tuple[NDArray[Any], NDArray[Any]]:
    """(N, F) numbers, images flattened, and (N,) targets."""
    import torch

    (inputs,) = split.rows.take(torch.arange(len(split)))
    return inputs.flatten(1).numpy(), split.target.numpy().reshape(-1)


def linear_model(spec: DataSpec) -> Any:
    """Ridge with a cross-validated penalty, or logistic regression as it comes, on standardised features."""
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = spec.task == "regression"
    model = RidgeCV(RIDGE_PENALTIES) if regression else LogisticRegression(max_iter=1000)
    return make_pipeline(StandardScaler(), model)


def boosting(spec: DataSpec, seed: int) -> Any:
    """Gradient boosting as it comes."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    make: Callable[..., Any] = HistGradientBoostingClassifier
    if spec.task == "regression":
        make = HistGradientBoostingRegressor
    return make(random_state=seed)


def mean_text(scores: list[float]) -> str:
    """Mean and half width of its 95 % interval; the mean alone for a single seed."""
    if not scores:
        return ""
    if len(scores) == 1:
        return f"{scores[0]:.4f}"
    low, high = mean_interval(np.asarray(scores))
    return f"{fmean(scores):.4f} ± {(high - low) / 2:.4f}"


def seconds_text(seconds: list[float]) -> str:
    """Mean seconds."""
    return f"{fmean(seconds):.1f}" if seconds else ""


if __name__ == "__main__":
    main()
