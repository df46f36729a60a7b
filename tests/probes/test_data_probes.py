"""Probes of data on small sick and healthy data sets, from the source to the finding, without training."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

from limpid.data.dataset import ResidentRows, Split
from limpid.doctor.checks import CHECKS
from limpid.doctor.diagnosis import judge
from limpid.doctor.evidence import Evidence
from limpid.opening import wire_new
from limpid.practice.examination import subject_of
from limpid.probes.data_columns import Answer, Column, gain_of
from limpid.probes.data_domain import association, auc_between, distances
from limpid.probes.data_gradients import measure as measure_gradients
from limpid.probes.data_tokens import measure_padding
from limpid.probes.probe import measure
from limpid.probes.registry import PROBES
from limpid.probes.subject import Subject

OURS = ("inputs", "columns", "targets", "pictures", "tokens", "shift", "shift_test_check", "row_gradients", "padding")
CODES = ("D01", "D02", "D03", "D04", "D10", "D11", "D12", "D13", "D16", "D17", "D18", "D19")
SEEDS = range(5)


def found(source: Any, y: Any = None, *, model: Any = None, change: Any = None, **options: Any) -> set[str]:
    """Codes of what is warned of before training."""
    wiring, given = wire_new(source, y, model, None, {"training__threads": 1, "epochs": 1, "device": "cpu", **options})
    subject = subject_of(wiring)
    if change is not None:
        subject = change(subject)
    rows = [{"kind": "probe", **row} for row in measure(subject, [p for p in PROBES if p.name in OURS])]
    diagnosis = judge(Evidence(wiring.header(given), rows), [CHECKS[code] for code in CODES])
    return {finding.code for finding in diagnosis.findings if finding.level != "note"}


def table(seed: int, num: int = 800) -> dict[str, Any]:
    """Eight columns that tell the class together, none of them alone."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((num, 8))
    y = x[:, :4].sum(axis=1) + 0.5 * random.standard_normal(num) > 0
    return {**{f"x{i}": x[:, i] for i in range(8)}, "y": np.where(y, "yes", "no")}


def mlp(options: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"target": "y", "model": "mlp", "hidden": (8,), **(options or {})}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_healthy_table_is_silent(seed: int) -> None:
    random = np.random.default_rng(seed)
    flags = (random.random(800) < 0.01).astype(int)
    assert found(pl.DataFrame({**table(seed), "vip": flags}), **mlp()) == set()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_leaking_column_is_named(seed: int) -> None:
    rows = table(seed)
    wrong = np.random.default_rng(seed).random(800) < 0.05
    rows["paid"] = np.where((rows["y"] == "yes") ^ wrong, "late", "never")
    assert found(pl.DataFrame(rows), **mlp()) == {"D10"}


@pytest.mark.parametrize("seed", SEEDS)
def test_numbers_of_sorted_rows_are_named(seed: int) -> None:
    rows = pl.DataFrame(table(seed)).sort("y").with_columns(pl.Series("place", 3 + 2 * np.arange(800)))
    assert found(rows, **mlp()) == {"D11"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_column_in_other_units_matters_only_where_nothing_scales_it(seed: int) -> None:
    rows = pl.DataFrame({**table(seed), "x0": 1e4 * table(seed)["x0"]})
    assert found(rows, **mlp({"data__scale": "none"})) == {"D02"}
    assert found(rows, **mlp()) == set()


def test_a_network_that_normalises_first_may_have_any_units() -> None:
    rows = table(0)
    x = np.stack([rows[f"x{i}"] for i in range(8)], axis=1).astype(np.float32) * 1e3
    own = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 1))
    y = (rows["y"] == "yes").astype(int)
    assert found(x, y, model=own, data__scale="none") == set()
    assert found(x, y, model=nn.Linear(8, 1), data__scale="none") == {"D02"}


def test_inputs_divided_twice() -> None:
    x = np.random.default_rng(0).random((300, 20)).astype(np.float32)
    y = np.arange(300) % 3
    assert found(x / 255, y, model="mlp", data__scale="none") == {"D03"}
    assert found(x, y, model="mlp", data__scale="none") == set()


def drawn(seed: int, num: int = 300) -> np.ndarray[Any, Any]:
    """Photographs of a kind: smooth, with light from above; bytes (N, 24, 24, 3)."""
    random = np.random.default_rng(seed)
    x = np.cumsum(np.cumsum(random.standard_normal((num, 24, 24, 1)), axis=1), axis=2) * 2
    light = np.linspace(60, 0, 24)[None, :, None, None] + np.linspace(0, 25, 24)[None, None, :, None]
    x = 110 + x + light + 8 * random.standard_normal((num, 1, 1, 3))
    return np.clip(x, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", SEEDS)
def test_regrouped_channels(seed: int) -> None:
    x, y = drawn(seed), np.arange(300) % 3
    assert found(x.reshape(-1, 3, 24, 24), y, model="conv4-relu pool fc") == {"D04"}
    assert found(x.transpose(0, 3, 1, 2).copy(), y, model="conv4-relu pool fc") == set()


def turned(change: Any) -> Any:
    """The subject with a changed test split."""

    def turn(subject: Subject) -> Subject:
        assert subject.dataset is not None
        test = subject.dataset.test()
        assert test is not None
        assert isinstance(test.rows, ResidentRows)
        rows = ResidentRows((change(test.rows.tensors[0]).contiguous(),))
        other = Split(rows, test.target, test.origin, test.index)
        return replace(subject, dataset=replace(subject.dataset, make_test=lambda: other))

    return turn


def symptom_of_test(change: Any) -> str:
    x, y = drawn(0, 500).transpose(0, 3, 1, 2).copy(), np.arange(500) % 2
    wiring, given = wire_new(x, y, "conv4-relu pool fc", None, {"training__threads": 1, "data__test_share": 0.3})
    subject = turned(change)(subject_of(wiring))
    rows = [{"kind": "probe", **row} for row in measure(subject, [p for p in PROBES if p.name == "shift_test"])]
    findings = judge(Evidence(wiring.header(given), rows), [CHECKS["D12"]]).findings
    return findings[0].symptom if findings else ""


def test_a_turned_test_split_is_called_turned() -> None:
    assert symptom_of_test(lambda x: x) == ""
    assert "turned by 90 degrees anticlockwise" in symptom_of_test(lambda x: x.rot90(1, (-2, -1)))
    assert "turned by 90 degrees clockwise" in symptom_of_test(lambda x: x.rot90(-1, (-2, -1)))
    assert "inverted" in symptom_of_test(lambda x: 255 - x)
    assert "brightness" in symptom_of_test(lambda x: (x.int() + 70).clamp(0, 255).to(torch.uint8))


@pytest.mark.parametrize("seed", SEEDS)
def test_validation_rows_on_another_scale(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = 5 + 3 * random.standard_normal((600, 10)), np.arange(600) % 2
    z = (x[:400] - x[:400].mean(0)) / x[:400].std(0)
    parts = {"x_train": z.astype(np.float32), "y_train": y[:400], "x_valid": x[400:500].astype(np.float32)}
    rest = {"y_valid": y[400:500], "x_test": z[:100].astype(np.float32), "y_test": y[500:]}
    assert found({**parts, **rest}, model="mlp") == {"D13"}
    alike = {**parts, **rest, "x_valid": random.standard_normal((100, 10)).astype(np.float32)}
    assert found(alike, model="mlp") == set()


@pytest.mark.parametrize("seed", SEEDS)
def test_targets_a_hundred_times_too_large(seed: int) -> None:
    random = np.random.default_rng(seed)
    x = random.standard_normal((1500, 6)).astype(np.float32)
    y = x.sum(axis=1) + 0.3 * random.standard_normal(1500)
    assert found(x, y.astype(np.float32), model="mlp", task="regression") == set()
    y[random.random(1500) < 0.005] *= 100
    assert "D19" in found(x, y.astype(np.float32), model="mlp", task="regression")


def test_a_last_layer_that_cannot_answer() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((300, 6)).astype(np.float32)
    own = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1), nn.ReLU())
    assert "D16" in found(x, x.sum(axis=1), model=own, task="regression")


def test_the_raw_titanic_is_seen_through(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    survived = random.random(700) < 0.4
    frame = pl.DataFrame(
        {
            "survived": survived.astype(int),
            "sex": np.where(random.random(700) < 0.25, survived, ~survived).astype(str),
            "age": random.integers(1, 80, 700),
            "fare": random.exponential(30, 700).round(2),
            "alive": np.where(survived, "yes", "no"),
        }
    )
    frame.write_csv(tmp_path / "titanic.csv")
    assert found(str(tmp_path / "titanic.csv"), target="survived") == {"D10"}


class Tagger(nn.Module):
    """Labels for every token; with or without a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(12, 6), nn.Linear(6, 4)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        out: Tensor = self.head(self.embed(tokens_BT)).movedim(2, 1)
        return out


def test_loss_on_padding() -> None:
    torch.manual_seed(0)
    tokens = torch.randint(1, 12, (16, 5))
    padded = nn.functional.pad(tokens, (0, 15))
    target = torch.randint(0, 4, (16, 20))

    def loss(outputs: Tensor, target_BT: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs.float(), target_BT, ignore_index=-100)

    sick = measure_padding(Subject(Tagger(), loss, (padded,), target))
    masked = measure_padding(Subject(Tagger(), loss, (padded,), target.masked_fill(padded == 0, -100)))
    assert sick is not None
    assert masked is not None
    assert CHECKS["D17"].rule(Evidence({}, [{"kind": "probe", "name": "padding", "values": sick}])).findings  # type: ignore[union-attr]
    assert masked.get("loss_on_padding", 0.0) == 0.0


def test_gradients_of_rows_equal_those_of_one_row_at_a_time() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    x, y = torch.randn(200, 5), torch.randint(0, 3, (200,))
    x[7] *= 50
    probe = measure_gradients(Subject(network, nn.functional.cross_entropy, (x,), y))
    sizes = []
    for i in range(200):
        network.zero_grad()
        nn.functional.cross_entropy(network(x[i : i + 1]), y[i : i + 1]).backward()
        weight, bias = network[2].weight.grad, network[2].bias.grad
        assert isinstance(weight, Tensor)
        assert isinstance(bias, Tensor)
        sizes.append(math.hypot(weight.norm().item(), bias.norm().item()))
    largest = sorted(sizes, reverse=True)[:2]
    assert probe is not None
    assert probe["top_share"] == pytest.approx(sum(largest) / sum(sizes), rel=1e-4)


def test_a_column_of_noise_gains_nothing_however_many_values_it_has() -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 2000)
    half = random.permutation(2000) % 2
    answer = Answer("y", y, None, 2)
    assert gain_of(Column("code", None, random.integers(0, 500, 2000)), answer, half) < 0.06
    assert gain_of(Column("y", None, y), answer, half) == 1.0
    numbers = Answer("y", None, random.standard_normal(2000))
    assert gain_of(Column("x", random.standard_normal(2000), None), numbers, half) < 0.02


def test_distances_and_association_are_scipys() -> None:
    from scipy import stats

    random = np.random.default_rng(0)
    first, second = random.standard_normal((150, 3)), random.standard_normal((90, 3)) + [0, 0.3, 1]
    gap_F, p_F = distances(first, second)
    for j in range(3):
        known = stats.ks_2samp(first[:, j], second[:, j], method="asymp")
        assert gap_F[j] == pytest.approx(known.statistic)
        assert p_F[j] == pytest.approx(known.pvalue, rel=0.2, abs=1e-4)
    one, two = random.integers(0, 4, 300), random.integers(0, 4, 200)
    table_2K = np.stack([np.bincount(one, minlength=4), np.bincount(two, minlength=4)])
    assert association(one, two)[1] == pytest.approx(stats.chi2_contingency(table_2K)[1], abs=0.02)


def test_the_domain_classifier_is_wrong_no_more_often_than_it_says() -> None:
    ps = []
    for seed in range(100):
        random = np.random.default_rng(seed)
        ps.append(auc_between(random.standard_normal((200, 12)), random.standard_normal((60, 12)))[1])
    assert np.mean(np.array(ps) < 0.05) <= 0.12
    assert min(ps) > 1e-3
    random = np.random.default_rng(0)
    assert auc_between(random.standard_normal((200, 12)), random.standard_normal((60, 12)) * 2)[0] > 0.8  # squares
