"""Cross-validation: each fold is a plain run on its rows, each row is answered once, and unlike encodings average."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import limpid
from limpid.deploy.trained import best_weights, load_trained
from limpid.errors import ConfigError, ModelError
from limpid.finished import predict
from limpid.models.translation import translated
from limpid.record.run import Run

OPTIONS: dict[str, Any] = {
    "hidden": (6,), "epochs": 2, "device": "cpu", "precision": "float32", "training__matmul": "default",
    "training__threads": 1, "training__on": "one-by-one", "record__report": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbers with gaps, rare categories that some folds never see, dates, and a number and a class to predict."""
    rng = np.random.default_rng(0)
    lines = ["a,b,colour,day,amount,kind"]
    for i in range(150):
        a = "" if rng.random() < 0.15 else f"{rng.normal(50, 9):.3f}"
        colour = "violet" if i in (3, 90) else rng.choice(["red", "green", "blue", ""])
        day = f"2024-{rng.integers(1, 13):02d}-{rng.integers(1, 28):02d}"
        amount = float(a or 50) * 2 + rng.normal() + (5 if colour == "red" else 0)
        lines.append(f"{a},{rng.normal():.3f},{colour},{day},{amount:.3f},{'high' if amount > 100 else 'low'}")
    path = tmp_path_factory.mktemp("data") / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("target", ["kind", "amount"])
@pytest.mark.parametrize("model", ["mlp", "linear"])  # codes for embeddings, and one-hot columns
def test_members_of_unlike_encodings_answer_as_one(target: str, model: str, table: Path, tmp_path: Path) -> None:
    options = {**OPTIONS, "target": target, "drop": ["amount" if target == "kind" else "kind"], "model": model}
    options |= {"hidden": None} if model == "linear" else {}
    run = limpid.train(str(table), folds=3, out=tmp_path / "run", **options)
    single = [Run.open(run.path / row["path"]) for row in run.events("member")]
    encoders = [one.header["data"]["preparation"]["encoder"]["columns"] for one in single]
    fills = {column["fill"] for columns in encoders for column in columns if column["name"] == "a"}
    assert len(fills) == 3, "each fold has a median of its own"
    together, alone = predict(run, table), [predict(one, table) for one in single]
    if target == "kind":
        expected = np.mean([one.probabilities for one in alone], axis=0)
        np.testing.assert_allclose(together.probabilities, expected, rtol=1e-4, atol=1e-5)
    else:
        expected = np.mean([one.decisions for one in alone], axis=0)
        np.testing.assert_allclose(together.decisions, expected, rtol=1e-4)
        means = [one.header["data"]["target_mean"] for one in single]
        assert means[0] != means[1], "and a target scale of its own"


def test_members_of_unlike_vocabularies_answer_as_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words, moods = [f"w{i}" for i in range(60)], (["bad", "poor", "awful"], ["good", "fine", "great"])
    lines = [f"{' '.join([*rng.choice(words, 5), rng.choice(moods[i % 2])])},{i % 2 == 1}" for i in range(90)]
    path = tmp_path / "texts.csv"
    path.write_text("\n".join(["text,good", *lines]) + "\n")
    options = {**OPTIONS, "hidden": None, "form": "texts", "target": "good"}
    run = limpid.train(str(path), folds=3, out=tmp_path / "run", **options)
    single = [Run.open(run.path / row["path"]) for row in run.members]
    assert len({tuple(one.header["data"]["preparation"]["vocabulary"]["tokens"]) for one in single}) == 3
    expected = np.mean([predict(one, path).probabilities for one in single], axis=0)
    np.testing.assert_allclose(predict(run, path).probabilities, expected, rtol=1e-4, atol=1e-6)


def test_folds_of_a_series_learn_from_what_went_before(tmp_path: Path) -> None:
    steps = np.arange(120)
    path = tmp_path / "series.csv"
    path.write_text("\n".join(["value", *(f"{np.sin(step / 3) + 0.01 * step:.4f}" for step in steps)]) + "\n")
    options = {**OPTIONS, "hidden": None, "form": "series", "target": "value", "window": 8, "horizon": 2}
    run = limpid.train(str(path), folds=3, out=tmp_path / "run", **options)
    kept: list[int] = []
    for number in (1, 2, 3):
        data = limpid.load_data(str(path), form="series", target="value", window=8, horizon=2, data__fold=f"{number}/3")
        train, valid = data.train.index.tolist(), data.valid.index.tolist()
        assert max(train) + 2 < min(valid) + 1, "all that it predicts in training lies before what it is judged by"
        kept += valid
        assert data.spec.num_train == run.members[number - 1]["rows"]
    assert len(kept) == len(set(kept))
    found = np.load(run.path / "out_of_fold.npz")["index"].tolist()
    assert set(found) <= set(kept)
    assert {row["name"] for row in run.events("held_out")} == {"out_of_fold"}
    bagged = limpid.train(str(path), bag=2, out=tmp_path / "bag", **options)
    assert not bagged.events("held_out"), "windows that a member has not seen overlap those that it has"
    assert any("no out-of-bag score" in row["text"] for row in bagged.events("note"))


def test_a_fold_is_a_plain_run_on_its_rows(table: Path, tmp_path: Path) -> None:
    options = {**OPTIONS, "target": "kind", "drop": ["amount"]}
    run = limpid.train(str(table), folds=3, out=tmp_path / "run", **options)
    for number in (1, 2, 3):
        alone = limpid.train(str(table), data__fold=f"{number}/3", out=tmp_path / f"{number}", **options)
        (_, one), (_, other) = best_weights(alone), best_weights(Run.open(run.path / "members" / str(number)))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert (
            alone.header["config"]["training"]["batch_size"]
            == (Run.open(run.path / "members" / str(number)).header["config"]["training"]["batch_size"])
        )


def test_every_row_is_answered_once_by_the_member_that_has_not_seen_it(tmp_path: Path) -> None:
    run = limpid.train("moons", size=120, folds=4, out=tmp_path / "run", **OPTIONS)
    kept = np.load(run.path / "out_of_fold.npz")
    rest = limpid.load_data("moons", size=120, data__fold="0/4").train
    assert sorted(kept["index"].tolist()) == sorted(rest.index.tolist())
    row_of = {row: place for place, row in enumerate(kept["index"].tolist())}
    losses = []
    for number in range(1, 5):
        member = load_trained(run.path / "members" / str(number))
        valid = limpid.load_data("moons", size=120, data__fold=f"{number}/4").valid
        answers = member.network(valid.rows.tensors[0]).sigmoid().flatten()
        places = [row_of[row] for row in valid.index.tolist()]
        np.testing.assert_allclose(kept["probabilities"][places, 1], answers, atol=1e-5)
        losses.append((run.events("member")[number - 1]["valid"]["loss"], len(valid)))
    (row,) = run.events("held_out")
    mean = sum(loss * n for loss, n in losses) / sum(n for _, n in losses)
    assert row["loss"] == pytest.approx(mean, rel=1e-5)
    assert (row["n"], row["of"]) == (len(rest), len(rest))
    test = limpid.load_data("moons", size=120).test()
    assert test is not None
    assert np.load(run.path / "predictions.npz")["index"].tolist() == test.index.tolist()
    assert not set(test.index.tolist()) & set(kept["index"].tolist())


def test_what_has_no_translation_is_refused(table: Path) -> None:
    spec = limpid.load_data(str(table), target="kind", drop=["amount"]).spec
    other = spec.model_copy(update={"classes": ("low", "high")})
    with pytest.raises(ModelError, match="classes of one is"):
        translated(torch.nn.Identity(), other, spec)
    shuffled = dict(spec.preparation["encoder"])
    shuffled["columns"] = [column for column in shuffled["columns"] if column["name"] != "colour"]
    fewer = spec.model_copy(update={"preparation": {**spec.preparation, "encoder": shuffled}, "cardinalities": ()})
    with pytest.raises(ModelError, match=r"'colour' is read as a category.*not at all by their.*--drop colour"):
        translated(torch.nn.Identity(), spec, fewer)

    class Takes(torch.nn.Module):
        def forward(self, x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
            assert not rest, "a member that has dropped the only category gets no codes"
            return x[:, :1]

    numbers, codes = torch.zeros(2, len(spec.feature_names)), torch.ones(2, 1, dtype=torch.int64)
    assert translated(Takes(), fewer, spec)(numbers, codes).shape == (2, 1)
    columns = [dict(column) for column in spec.preparation["encoder"]["columns"]]
    columns[1]["type"] = "category"
    changed = {**spec.preparation, "encoder": {**spec.preparation["encoder"], "columns": columns}}
    with pytest.raises(ModelError, match=r"read as a category by one of them.*--types"):
        translated(torch.nn.Identity(), spec.model_copy(update={"preparation": changed}), spec)


def test_data_without_folds_say_so(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 60)
    with pytest.raises(ConfigError, match=r"data.fold = 0/3 \(--folds\): a running text is one piece"):
        limpid.train(str(text), form="text", folds=3, epochs=1, out=tmp_path / "run")
    x, y = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32), np.arange(40) % 2
    arrays = {"x_train": x, "y_train": y, "x_valid": x, "y_valid": y}
    with pytest.raises(ConfigError, match="hold validation rows"):
        limpid.train(arrays, folds=3, epochs=1, out=tmp_path / "run")
