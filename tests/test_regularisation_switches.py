"""Regularisers that are a switch of one run: a table on the same few digits, and the gap that they are to close."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limpid.record.run import Run
from limpid.reporting.reading import read_run
from limpid.reporting.sections import headline
from limpid.workbench import train

OPTIONS: dict[str, Any] = {
    "model": "mlp", "hidden": (64, 32), "epochs": 15, "lr": 0.005, "dropout": 0.0, "device": "cpu",
    "precision": "float32", "training__matmul": "default", "weight_decay": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Many digits 0 to 4 without noise, and 150 noisy ones 5 to 9, which are the small set of the table."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("digits")
    data, rng = load_digits(), np.random.default_rng(0)
    x = data.images.reshape(-1, 64).astype(np.float32)
    low, high = np.flatnonzero(data.target < 5), np.flatnonzero(data.target >= 5)
    noisy = x + rng.normal(0, 4, x.shape).astype(np.float32)
    few, rest = high[:150], high[150:]
    names = np.array([f"d{k}" for k in data.target])
    np.savez(folder / "low.npz", x=x[low], y=names[low])
    np.savez(
        folder / "few.npz", x_train=noisy[few[:110]], y_train=names[few[:110]], x_valid=noisy[few[110:]],
        y_valid=names[few[110:]], x_test=noisy[rest], y_test=names[rest],
    )  # fmt: skip
    return {"low": folder / "low.npz", "few": folder / "few.npz"}


@pytest.mark.spec("G9", "G15")
def test_bagging_and_frozen_early_layers_are_switches_of_one_table(digits: dict[str, Path], tmp_path: Path) -> None:
    source = train(str(digits["low"]), out=tmp_path / "source", **{**OPTIONS, "epochs": 8})
    switches: dict[str, dict[str, Any]] = {
        "nothing": {},
        "bagging (G9)": {"training__members": 5},
        "dropout (G8)": {"dropout": 0.5},
        "frozen early layer of another task (G15)": {"start": str(source.path), "freeze": "1"},
    }
    table = {}
    for number, (name, options) in enumerate(switches.items()):
        run = train(str(digits["few"]), out=tmp_path / str(number), **{**OPTIONS, **options})
        result = run.events("result")[0]
        table[name] = (result["accuracy"], result["loss"])
        assert result["split"] == "test"
    print("\n".join(f"{name:45} accuracy {a:.3f}  loss {b:.3f}" for name, (a, b) in table.items()))
    assert len({*table.values()}) == len(switches)  # every switch changes the outcome
    assert all(accuracy > 0.4 for accuracy, _ in table.values())
    assert table["bagging (G9)"][1] < table["nothing"][1]  # Breiman's point: averaging steadies what over-fits


@pytest.mark.spec("G1")
def test_the_report_always_shows_both_losses_and_the_gap(digits: dict[str, Path], tmp_path: Path) -> None:
    run = train(str(digits["few"]), out=tmp_path / "run", **OPTIONS)
    rows = {row["split"]: row for row in run.events("metric") if row.get("epoch") == run.events("result")[0]["epoch"]}
    (card,) = [card for card in headline(read_run(Run.open(run.path))) if card["name"] == "gap"]
    gap = rows["valid"]["loss"] - rows["train"]["loss"]
    assert float(card["value"]) == pytest.approx(gap, rel=0.01)
    assert "training loss" in card["detail"]
    assert "validation loss" in card["detail"]
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert card["detail"] in page
    assert "Gap between training and validation" in page
