"""The likeliest classes of each sample, in percent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from limpid.deploy.predictions import Predictions
from limpid.errors import ConfigError
from limpid.spec import DataSpec

DOGS = ("Arctic fox", "Eskimo dog", "Papillon", "Pomeranian", "Samoyed", "Siberian husky", "white wolf", "other")
SHARES = np.array([[0.010, 0.006, 0.057, 0.027, 0.16, 0.004, 0.0041, 0.7319]], dtype=np.float32)
SPEC = DataSpec(name="dogs", kind="image", task="classification", input_shape=(3, 8, 8), num_outputs=8, classes=DOGS)


@pytest.mark.spec("C21")
def test_classes_in_percent_best_first() -> None:
    predictions = Predictions(SPEC, ["dog.jpg"], ["other"], SHARES)
    assert predictions.top_lines(8) == [
        "dog.jpg: other 73 %, Samoyed 16 %, Papillon 5.7 %, Pomeranian 2.7 %, Arctic fox 1.0 %, Eskimo dog 0.6 %, "
        "white wolf 0.4 %, Siberian husky 0.4 %"
    ]
    assert [label for label, _ in predictions.top(3)[0]] == ["other", "Samoyed", "Papillon"]
    assert predictions.top(99) == predictions.top(8), "there are no more"


def test_rows_are_numbered_and_numbers_have_no_classes() -> None:
    predictions = Predictions(SPEC, range(1), ["other"], SHARES)
    assert predictions.top_lines(1) == ["row 0: other 73 %"]
    numbers = SPEC.model_copy(update={"task": "regression", "name": "ages"})
    with pytest.raises(ConfigError, match="ages has no classes to rank.*Leave out --top"):
        Predictions(numbers, range(1), np.zeros(1, dtype=np.float32), None).top(5)


@pytest.mark.spec("H19")
def test_predict_prints_probabilities_that_sum_to_one_and_a_top_table(limpid: Callable[..., Any]) -> None:
    limpid("train", "iris", "--set", "training.epochs=2", "--out", "first", "--quiet")
    np.save("new.npy", np.array([[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 5.0, 1.8]], dtype=np.float32))
    header, *rows = limpid("predict", "first", "new.npy", "--quiet").out.strip().splitlines()
    assert header.split(",")[-3:] == ["p_setosa", "p_versicolor", "p_virginica"]
    for row in rows:
        assert sum(map(float, row.split(",")[-3:])) == pytest.approx(1, abs=1e-6)
    lines = limpid("predict", "first", "new.npy", "--top", "2", "--quiet").out.strip().splitlines()
    for row, line in zip(rows, lines, strict=True):
        number, decision, *shares = row.split(",")
        best = sorted(zip(map(float, shares), ("setosa", "versicolor", "virginica"), strict=True), reverse=True)
        assert line.startswith(f"row {number}: {decision} {100 * best[0][0]:.0f} %, {best[1][1]} ")
