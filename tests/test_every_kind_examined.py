"""Every kind of data goes through the whole doctor: all probes before training, a training, all probes behind it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from limpid.doctor.diagnosis import Diagnosis
from limpid.workbench import check, diagnose
from tests.small_data import make_small, train_small

CASES = [
    *(("image", task) for task in ("classification", "binary", "regression", "tokens")),
    *(("vector", task) for task in ("classification", "binary", "multilabel", "regression")),
    *(("table", task) for task in ("classification", "regression")),
    ("array", "classification"),
    *(("series", task) for task in ("classification", "regression")),
    *(("text", task) for task in ("classification", "tokens")),
    ("pairs", "tokens"),
    ("captions", "tokens"),
]

QUICK = {("vector", "binary"), ("table", "regression")}
CHECKED = [case if case in QUICK else pytest.param(*case, marks=pytest.mark.slow) for case in CASES]


def sound(diagnosis: Diagnosis) -> bool:
    """Every finding says something, with a number behind it."""
    return all(finding.symptom and not math.isnan(finding.value) for finding in diagnosis.findings)


@pytest.mark.parametrize(("kind", "task"), CHECKED)
def test_a_kind_is_checked_before_training(kind: str, task: str) -> None:
    small = make_small(kind, task)
    diagnosis = check(small.source, y=small.y, **small.options, training__threads=1)
    assert len(diagnosis.statistics) > 8
    assert sound(diagnosis)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "task"), CASES)
def test_a_kind_is_diagnosed_after_training(kind: str, task: str, tmp_path: Path) -> None:
    small = make_small(kind, task)
    run = train_small(small, tmp_path / "run", steps=40)
    diagnosis = diagnose(run.path, source=small.source, y=small.y)
    assert not diagnosis.notes, diagnosis.notes
    assert len(diagnosis.statistics) > 15
    assert sound(diagnosis)


def test_a_column_that_is_not_read_is_named() -> None:
    rng = np.random.default_rng(0)
    people = pl.DataFrame({"id": range(120), "age": rng.normal(size=120), "label": rng.integers(0, 2, 120)})
    diagnosis = check(people, target="label", training__threads=1)
    assert diagnosis.notes == ("id was not read: numbers the rows",)
