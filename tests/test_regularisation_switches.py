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
    "precision": "float32", "training__matmul": "default", "weight_decay": 0.0, "record__doctor": False,
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
@pytest.mark.slow
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


CONV = "conv8-relu conv16-relu fc64-relu -> fc"


def table_of(switches: dict[str, dict[str, Any]], source: Path, folder: Path, **common: Any) -> dict[str, float]:
    """Test loss with each switch on the same data, first weights and order."""
    table = {}
    for number, (name, options) in enumerate(switches.items()):
        run = train(str(source), out=folder / str(number), **{**common, **options})
        table[name] = run.events("result")[0]["loss"]
    print("\n".join(f"{name:30} test loss {loss:.4f}" for name, loss in table.items()))
    return table


@pytest.fixture(scope="module")
def small_images(digits: dict[str, Path]) -> Path:
    """The small set as images of 8 x 8 pixels."""
    arrays = dict(np.load(digits["few"]))
    path = digits["few"].with_name("images.npz")
    shaped = {key: x.reshape(-1, 1, 8, 8) if key.startswith("x") else x for key, x in arrays.items()}
    np.savez(path, **shaped)
    return path


@pytest.mark.spec("G10", "G11", "G12", "G13")
def test_batch_norm_augmentation_noise_and_pooling_are_switches_of_one_table(
    small_images: Path, tmp_path: Path
) -> None:
    switches: dict[str, dict[str, Any]] = {
        "nothing": {},
        "batch norm (G10)": {"model": "conv8-bn-relu conv16-bn-relu fc64-relu -> fc"},
        "augmentation (G11)": {"augment__crop": 1, "augment__rotation": 10.0},
        "input noise (G12)": {"regularize__input_noise": 0.3},
        "pooling (G13)": {"model": "conv8-relu-pool conv16-relu-pool fc64-relu -> fc"},
    }
    common = {**OPTIONS, "model": CONV, "augment__crop": 0}
    del common["hidden"]
    table = table_of(switches, small_images, tmp_path, **common)
    assert len({*table.values()}) == len(switches), "every switch changes the outcome"
    assert all(loss < 2.5 for loss in table.values())
    # Which of them helps is a matter of the data: a pixel's shift of 8 x 8 pixels costs more than it teaches.
    assert min(table.values()) < table["nothing"]


@pytest.mark.spec("G20")
@pytest.mark.slow
def test_early_termination_ridge_and_dropout_on_the_same_data(digits: dict[str, Path], tmp_path: Path) -> None:
    common = {**OPTIONS, "hidden": (256, 128), "epochs": 60, "training__restore_best": False}
    switches: dict[str, dict[str, Any]] = {
        "nothing": {},
        "early termination": {"patience": 3, "training__restore_best": True},
        "ridge": {"regularize__l2": 0.05},
        "dropout": {"dropout": 0.2},
    }
    table = table_of(switches, digits["few"], tmp_path, **common)
    assert len({*table.values()}) == len(switches)
    # Dropout slows these 110 rows down as much as it steadies them; the other two hold back.
    assert max(table["early termination"], table["ridge"]) < table["nothing"]


@pytest.mark.slow
@pytest.mark.spec("G14")
def test_auxiliary_classifiers_are_a_switch(tmp_path: Path) -> None:
    """GoogLeNet of 2014 on sixteen pictures: the gradient of its first layer grows, and so do its steps."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (32, 3, 96, 96), dtype=np.uint8)
    y = np.arange(32) % 2
    x[y == 1, :, :48] //= 4
    np.savez(tmp_path / "halves.npz", x=x, y=y)
    losses = []
    for weight in (0.0, 0.3):
        run = train(
            str(tmp_path / "halves.npz"), model="googlenet-2014", model__auxiliary=weight, epochs=2, batch_size=8,
            out=tmp_path / str(weight), device="cpu", precision="float32", lr=1e-3, optimizer="adam",
        )  # fmt: skip
        rows = [row for row in run.events("metric") if row["split"] == "train"]
        losses.append(rows[-1]["loss"])
    assert losses[1] > losses[0] + 0.1, "the losses of both heads are added in training"


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
