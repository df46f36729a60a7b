"""Probes of trained networks: groups that fail, one telling corner, too much regularisation, and too few rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import limpid
from limpid.doctor.checks import CHECKS
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.practice.post_mortem import rewired, trained_subject
from limpid.probes import data_size, shortcut, slices, train_error, unregularised
from limpid.probes.subject import Subject
from limpid.record.run import Run

QUICK: dict[str, Any] = {"training__threads": 1, "record__report": False, "device": "cpu"}


def trained(source: Any, y: Any, out: Path, **options: Any) -> tuple[Run, Subject]:
    run = limpid.train(source, y=y, out=str(out), **{**QUICK, **options})
    return run, trained_subject(rewired(run, source, y))


def found(code: str, run: Run, name: str, values: Any) -> list[Finding]:
    evidence = Evidence.of(run)
    evidence.rows.append({"kind": "probe", "name": name, "values": values})
    verdict = CHECKS[code].rule(evidence)
    assert verdict is not None
    return list(verdict.findings)


def two_columns(size: int = 1200, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    x = random.standard_normal((size, 3)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.int64)


@pytest.mark.spec("H8")
def test_a_group_with_tossed_labels_is_found(tmp_path: Path) -> None:
    x, y = two_columns()
    tossed = np.where(x[:, 2] > 0.9, np.random.default_rng(1).integers(0, 2, len(y)), y)
    x[:, 2] = x[:, 2] > 0.9
    run, subject = trained(x, tossed, tmp_path / "sick", model="mlp", hidden=(16,), epochs=8)
    values = slices.measure(subject)
    assert values is not None
    assert values["slices"][0]["name"] == "x2 > 0"
    assert [finding.level for finding in found("G08", run, "slices", values)] == ["warning"]
    run, subject = trained(x, y, tmp_path / "healthy", model="mlp", hidden=(16,), epochs=8)
    assert found("G08", run, "slices", slices.measure(subject)) == []


def pictures(size: int = 600) -> tuple[Any, Any]:
    """A bright bar that lies or stands somewhere in noise."""
    random = np.random.default_rng(0)
    x = random.integers(0, 160, (size, 1, 12, 12)).astype(np.uint8)
    y = random.integers(0, 2, size)
    for picture, label, place in zip(x, y, random.integers(2, 10, size), strict=True):
        picture[(0, place) if label else (0, slice(None), place)] = 200
    return x, y


def test_a_corner_that_tells_the_class_is_found(tmp_path: Path) -> None:
    x, y = pictures()
    marked = x.copy()
    marked[:, 0, :2, :2] = (100 * y + 80)[:, None, None]
    run, subject = trained(marked, y, tmp_path / "sick", model="mlp", hidden=(32,), epochs=5)
    values = shortcut.measure(subject)
    assert values is not None
    assert values["parts"][0]["name"] == "rows 0 to 1, columns 0 to 1"
    (finding,) = found("G13", run, "shortcut", values)
    assert finding.level == "warning"
    run, subject = trained(x, y, tmp_path / "healthy", epochs=3)
    assert found("G13", run, "shortcut", shortcut.measure(subject)) == []


def test_too_much_dropout_is_found_by_its_free_twin(tmp_path: Path) -> None:
    x, y = two_columns()
    small = {"model": "mlp", "hidden": (16,), "epochs": 4}
    run, subject = trained(x, y, tmp_path / "sick", dropout=0.95, **small)
    before = {name: tensor.clone() for name, tensor in subject.network.state_dict().items()}
    values = unregularised.measure(subject)
    assert values is not None
    assert values["options"] == ["model.dropout"]
    assert values["error"] > values["free_error"] + 0.05
    (finding,) = found("G09", run, "unregularised", values)
    assert (finding.sure, finding.treatments) == ("confirmed", ("less-dropout",))
    assert all(torch.equal(before[name], tensor) for name, tensor in subject.network.state_dict().items())
    _, mild = trained(x, y, tmp_path / "mild", dropout=0.1, **small)
    assert unregularised.measure(mild) is None  # not worth two trainings


@pytest.mark.spec("H8")
def test_the_error_falls_with_the_number_of_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((900, 30)).astype(np.float32)
    y = (x @ random.standard_normal(30) > 0).astype(np.int64)
    options = {"model": "mlp", "hidden": (32,), "epochs": 15, "dropout": 0.0, "data__valid_share": 0.4}
    _, subject = trained(x, y, tmp_path / "run", **options)
    values = data_size.measure(subject)
    assert values is not None
    assert [size["rows"] for size in values["sizes"]] == [round(share * subject.dataset.spec.num_train + 0.49)
                                                          for share in data_size.SHARES]  # fmt: skip
    scores = [size["score"] for size in values["sizes"]]
    assert scores[2] > scores[0] + 0.02
    assert values["steps"] > 100


def test_what_cannot_be_built_anew_has_no_such_probe(tmp_path: Path) -> None:
    x, y = two_columns(200)
    network = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    run = limpid.train(x, y=y, model=network, out=str(tmp_path / "run"), epochs=1, **QUICK)
    subject = trained_subject(rewired(run, x, y, network))
    assert data_size.measure(subject) is None
    assert unregularised.measure(subject) is None


def test_training_rows_are_answered_as_by_hand(tmp_path: Path) -> None:
    x, y = two_columns(300)
    run, subject = trained(x, y, tmp_path / "run", model="mlp", hidden=(8,), epochs=3, dropout=0.5)
    values = train_error.measure(subject)
    assert values is not None
    train = subject.dataset.train if subject.dataset else None
    assert train is not None
    network = subject.network.eval()
    with torch.no_grad():
        outputs = network(*train.rows.take(torch.arange(len(train))))
    assert values["n"] == len(train)
    assert values["accuracy"] == pytest.approx(((outputs > 0).float() == train.target).double().mean().item())
    loss = torch.nn.functional.binary_cross_entropy_with_logits(outputs, train.target)
    assert values["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert run.events("end")
