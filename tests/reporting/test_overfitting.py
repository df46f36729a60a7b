"""The remedies against memorising are listed when the gap is large, and only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from limpid.record.run import Run
from limpid.reporting.overfitting import overfitting_advice
from limpid.reporting.reading import Reading


def reading(train_losses: list[float], valid_losses: list[float], **header: Any) -> Reading:
    rows = {
        name: [{"epoch": i, "loss": loss} for i, loss in enumerate(losses, 1)]
        for name, losses in (("train", train_losses), ("valid", valid_losses))
    }
    return Reading(run=None, header=header, data={"kind": "image"}, **rows)  # type: ignore[arg-type]


@pytest.mark.spec("G18")
def test_a_large_gap_lists_augmentation_l2_and_dropout() -> None:
    config = {"model": {"dropout": 0.1}, "optim": {"weight_decay": 0.01}}
    found = reading([2.0, 1.0, 0.5, 0.1], [2.0, 1.2, 1.5, 2.5], config=config)
    lines = overfitting_advice(found)
    assert "after epoch 2 the validation loss rose from 1.2 to 2.5" in lines[0]
    words = [line.split("  ")[1] for line in lines[1:]]
    assert [word.strip() for word in words] == ["varied data", "L2 penalty", "dropout", "early stop"]
    assert "augment" in lines[1]
    assert "now 0.01" in lines[2]
    assert "now 0.1" in lines[3]


@pytest.mark.parametrize(
    ("train_losses", "valid_losses"),
    [
        ([2.0, 1.0, 0.5], [2.1, 1.1, 0.6]),  # a good fit
        ([2.0, 1.9, 1.8], [2.0, 1.9, 1.85]),  # too small a network
        ([2.0, 0.5, 0.01], [1.0, 0.6, 0.5]),  # a gap, but validation gains
        ([2.0, 1.0, 3.0], [2.0, 1.0, 3.5]),  # a rate that is too high: both rise
        ([2.0, 0.5, 0.1], [1.0, 0.50, 0.55]),  # the wobble of a small split
        ([2.0, 1.0], []),  # no validation
        ([], []),
    ],
)
def test_otherwise_nothing_is_said(train_losses: list[float], valid_losses: list[float]) -> None:
    assert overfitting_advice(reading(train_losses, valid_losses)) == []


def test_a_user_reads_them_after_a_run_that_memorised(limpid: Any, tmp_path: Path) -> None:
    data = ["moons", "--size", "60", "--noise", "2.0", "--set", "record.report=false"]
    model = ["--model", "mlp", "--hidden", "256,256", "--dropout", "0", "--weight-decay", "0"]
    course = ["--lr", "0.01", "--schedule", "constant", "--epochs", "60"]
    done = limpid("train", *data, *model, *course, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "The network memorises" in done.out
    assert "--dropout 0.5" in done.out
    kept = Run.open(tmp_path / "run")
    assert list(kept.events("result"))


def test_a_run_that_fits_well_is_left_in_peace(limpid: Any, tmp_path: Path) -> None:
    options = ["--model", "mlp", "--epochs", "8", "--set", "record.report=false"]
    done = limpid("train", "digits", *options, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "memorises" not in done.out
