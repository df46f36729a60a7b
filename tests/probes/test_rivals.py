"""Rivals answer as their plain definitions do, on every kind of data that has them, and are compared in pairs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import limpid
from limpid.opening import wire_new
from limpid.practice.examination import subject_of
from limpid.probes import quick_rivals, rivals
from limpid.probes.flat_rows import flat_rows
from limpid.probes.naive_forecasts import naive_forecasts
from limpid.probes.rival_score import score_rivals
from limpid.probes.subject import Subject
from tests.small_data import make_small


def subject_for(source: Any, y: Any = None, **options: Any) -> Subject:
    wiring, _ = wire_new(
        source, y, options.pop("model", None), None, {"training__threads": 1, "device": "cpu", **options}
    )
    return subject_of(wiring)


def circles(size: int = 600) -> tuple[Any, Any]:
    """Two columns of which a linear map tells nothing and neighbours everything."""
    x = np.random.default_rng(0).standard_normal((size, 2)).astype(np.float32)
    return x, ((x**2).sum(axis=1) > 1.4).astype(np.int64)


def test_neighbours_and_trees_win_where_a_line_cannot() -> None:
    subject = subject_for(*circles(), model="linear")
    quick, full = quick_rivals.measure(subject), rivals.measure(subject)
    assert quick is not None
    assert full is not None
    assert quick["best"] == "neighbours"
    assert set(full["rivals"]) == {"constant", "linear", "neighbours", "trees"}
    scores = {name: row["score"] for name, row in full["rivals"].items()}
    assert min(scores["neighbours"], scores["trees"]) > 0.9 > scores["linear"] + 0.2
    for row in full["rivals"].values():
        assert row["low"] <= row["score"] <= row["high"]


def test_the_network_is_compared_on_the_same_rows() -> None:
    subject = subject_for(*circles(), model="linear")
    found = rivals.compare(subject)
    assert found is not None
    for name, gain in found["gain"].items():
        assert gain["mean"] == pytest.approx(found["network"]["score"] - found["rivals"][name]["score"], abs=1e-6)
        assert gain["se"] > 0 or gain["mean"] == 0


def test_a_ridge_in_both_forms_is_one() -> None:
    torch.manual_seed(0)
    x, y, asked = torch.randn(30, 30), torch.randn(30, 2), torch.randn(7, 30)
    by_columns = quick_rivals.linear_answers(x, y, asked)
    wide = torch.cat((x, torch.zeros(30, 1)), dim=1)  # one column more than rows: the other form, the same map
    by_rows = quick_rivals.linear_answers(wide, y, torch.cat((asked, torch.zeros(7, 1)), dim=1))
    torch.testing.assert_close(by_columns, by_rows, rtol=1e-3, atol=1e-4)


def test_numbers_are_scored_by_r2_in_pairs() -> None:
    truth = torch.linspace(0, 1, 50)[:, None]
    answers = {"constant": truth.mean(0).expand(50, -1), "perfect": truth}
    found = score_rivals(answers, truth, "regression", rows=50, network=truth + 0.1)
    assert found["best"] == "perfect"
    assert found["rivals"]["constant"]["score"] == pytest.approx(0, abs=1e-6)
    variance = float(truth.var(correction=0))
    assert found["gain"]["perfect"]["mean"] == pytest.approx(-0.01 / variance, rel=1e-5)


KINDS = [
    ("image", "classification"),
    ("vector", "regression"),
    ("vector", "multilabel"),
    ("table", "binary"),
    ("array", "classification"),
    ("series", "classification"),
    ("text", "classification"),
    ("text", "tokens"),
    ("series", "tokens"),
    ("pairs", "tokens"),
    ("captions", "tokens"),
]


@pytest.mark.parametrize(("kind", "task"), KINDS)
def test_every_kind_of_data_has_rivals_or_none(kind: str, task: str) -> None:
    small = make_small(kind, task, size=60)
    subject = subject_for(small.source, small.y, **small.options)
    for probe in (quick_rivals.measure, rivals.measure, rivals.compare):
        found = probe(subject)
        if found is None:
            assert task == "tokens"
            continue
        assert found["best"] in found["rivals"]
        assert all(math.isfinite(row["score"]) for row in found["rivals"].values())


def test_counts_of_tokens_beat_their_frequencies_where_order_matters() -> None:
    subject = subject_for("notes", data__size=200)
    found = rivals.compare(subject)
    assert found is not None
    scores = {name: row["score"] for name, row in found["rivals"].items()}
    assert found["score"] == "loss"
    assert scores["pairs"] < scores["frequencies"] < math.log(subject.spec.num_outputs if subject.spec else 2)
    assert found["network"]["score"] > scores["pairs"]  # it has learned nothing yet


def test_naive_forecasts_repeat_what_was_seen(tmp_path: Any) -> None:
    step = np.arange(400)
    values = np.sin(2 * np.pi * step / 12)
    (tmp_path / "wave.csv").write_text("value\n" + "\n".join(f"{value:.6f}" for value in values))
    subject = subject_for(tmp_path / "wave.csv", target="value", form="series", window=24, horizon=3)
    assert subject.dataset is not None
    assert subject.spec is not None
    valid = subject.dataset.valid
    assert valid is not None
    index = torch.arange(len(valid))
    answers = naive_forecasts(valid, subject.spec, index)
    seen = valid.rows.take(index)[0]
    assert torch.equal(answers["last value"], seen[:, -1:, 0].expand(-1, 3))
    torch.testing.assert_close(answers["last season"], valid.target, rtol=0, atol=1e-4)
    found = rivals.measure(subject)
    assert found is not None
    assert found["rivals"]["last season"]["score"] > 0.999
    not_a_forecast = replace(subject, spec=subject.spec.model_copy(update={"preparation": {}}))
    assert not_a_forecast.spec is not None
    assert naive_forecasts(valid, not_a_forecast.spec, index) == {}


def test_categories_become_columns_of_their_own() -> None:
    dataset = limpid.load_data(make_small("table", "binary").source, target="y")
    flat = flat_rows(dataset.train, dataset.spec, torch.arange(8))
    assert flat is not None
    numbers = len(dataset.spec.feature_names)
    codes = flat[:, numbers:]
    assert torch.equal(codes.sum(dim=1), torch.full((8,), float(len(dataset.spec.cardinalities))))
