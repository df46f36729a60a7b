"""Every perceptron, linear model and companion as a run: trained, scored, resumed, predicted with and exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import limpid
from limpid.catalogue.linear_family import PARTS
from limpid.deploy.trained import load_trained

# Model, data, least score of the test split (accuracy or R^2), options.
RUNS: list[tuple[str, str, float, dict[str, Any]]] = [
    ("perceptron", "linear", 0.97, {}),
    ("perceptron", "digits", 0.88, {}),
    ("mark1", "digits", 0.75, {}),
    ("linear", "xor", 0.9, {"features": "poly2"}),
    ("least-squares", "diabetes", 0.25, {}),
    ("ridge", "diabetes", 0.25, {}),
    ("ridge", "digits", 0.88, {}),
    ("svm", "digits", 0.9, {}),
    ("svm", "annulus", 0.99, {"features": "polar"}),
    ("knn", "digits", 0.95, {}),
    ("knn", "diabetes", 0.2, {"k": 20}),
]


def test_every_part_is_run() -> None:
    assert {name for name, *_ in RUNS} == {part.name for part in PARTS}


@pytest.mark.spec("A63")
@pytest.mark.parametrize(("name", "data", "least", "options"), RUNS, ids=[f"{n}-{d}" for n, d, *_ in RUNS])
def test_trains_scores_predicts_and_exports(
    name: str, data: str, least: float, options: dict[str, Any], tmp_path: Path
) -> None:
    given = {f"model__{key}": value for key, value in options.items()}
    given |= {"epochs": 10} if name in ("perceptron", "mark1") else {"epochs": 40} if name == "linear" else {}
    run = limpid.train(data, model=name, out=str(tmp_path / "run"), record__report=False, **given)
    (result,) = run.events("result")
    assert result[result["score"]] >= least
    trained = load_trained(run)
    dataset = limpid.load_data(data)
    inputs = dataset.train.rows.take(torch.arange(16))
    with torch.no_grad():
        outputs = trained.network(*inputs)
    assert torch.isfinite(outputs).all()
    (exported,) = limpid.export(run, tmp_path / "out", formats=["safetensors"])
    assert exported.max_difference <= exported.tolerance
    raw = inputs[0].numpy()
    predictions = limpid.predict(run, raw)
    assert len(predictions.values if hasattr(predictions, "values") else predictions) == 16


@pytest.mark.parametrize(
    ("name", "data"), [("perceptron", "digits"), ("ridge", "diabetes"), ("svm", "linear"), ("knn", "digits")]
)
def test_a_run_that_stops_within_an_epoch_goes_on_as_if_it_had_not(name: str, data: str, tmp_path: Path) -> None:
    """Sums, rows and weights that an epoch has gathered so far live in the checkpoint."""
    import shutil

    options = {
        "batch_size": 256,
        "epochs": 2,
        "training__checkpoint_steps": 1,
        "training__keep": 1000,
        "record__report": False,
    }
    whole = limpid.train(data, model=name, out=str(tmp_path / "whole"), **options)
    cut = tmp_path / "cut"
    shutil.copytree(whole.path, cut)
    for folder in (cut / "checkpoints").iterdir():
        if int(folder.name.partition("-")[0]) > 3:
            shutil.rmtree(folder)
    lines = [line for line in (cut / "events.jsonl").read_text().splitlines() if '"end"' not in line]
    (cut / "events.jsonl").write_text("\n".join(lines) + "\n")
    resumed = limpid.train(resume=cut)
    first, second = load_trained(whole).network.state_dict(), load_trained(resumed).network.state_dict()
    assert {key for key in first if not torch.equal(first[key], second[key])} == set()
    assert np.isfinite([tensor.double().sum().item() for tensor in first.values()]).all()


@pytest.mark.parametrize("name", ["perceptron", "least-squares", "ridge", "svm", "knn"])
def test_as_estimators(name: str) -> None:
    """The estimators compute in float64, whatever the weights were solved in."""
    from sklearn.datasets import load_diabetes, load_iris

    X, y = load_iris(return_X_y=True)
    assert limpid.Classifier(model=name).fit(X, y).score(X, y) > 0.75
    if name not in ("perceptron", "svm"):
        X, y = load_diabetes(return_X_y=True)
        assert limpid.Regressor(model=name).fit(X, y).score(X, y) > 0.4
