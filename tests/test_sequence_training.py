"""Sequence models trained by `train` to the figures that the ledger asks for, beside simple rivals."""

from __future__ import annotations

import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limpid.deploy.forecast import forecast_run
from limpid.deploy.generate import write_for
from limpid.objectives.bleu import bleu
from limpid.workbench import train

DATA = Path(os.environ.get("LIMPID_DATA", ""))
needs_data = pytest.mark.skipif(not (DATA / "series").is_dir(), reason="LIMPID_DATA is not set")


def result_of(run: Any) -> dict[str, Any]:
    return run.events("result")[-1]


def bigram_loss(train_text: str, test_text: str) -> float:
    """Nats per character of add-one bigram counts."""
    kinds = sorted(set(train_text))
    pairs, firsts = Counter(zip(train_text, train_text[1:], strict=False)), Counter(train_text[:-1])
    losses = [
        -math.log((pairs[a, b] + 1) / (firsts[a] + len(kinds))) for a, b in zip(test_text, test_text[1:], strict=False)
    ]
    return sum(losses) / len(losses)


@pytest.mark.spec("A48", "A51")
@pytest.mark.parametrize("model", ["gpt", "gru"])
def test_a_character_model_beats_pairs_of_characters(model: str, tmp_path: Path) -> None:
    """Sentences in which the third word depends on the first: pairs of characters do not see that far."""
    rng = np.random.default_rng(0)
    animals, verbs = ["cat", "cow", "dog", "duck"], ["purrs", "moos", "barks", "quacks"]
    picks = rng.integers(0, 4, (700, 2))
    text = "".join(f"the {animals[i]} {['now', 'then', 'often', 'here'][j]} {verbs[i]}.\n" for i, j in picks)
    (tmp_path / "animals.txt").write_text(text)
    small: dict[str, Any] = {"width": 32, "heads": 2, "layers": 2} if model == "gpt" else {"units": 48}
    options = {"epochs": 5, "batch_size": 8, "data__context": 32, "record__report": False}
    run = train(tmp_path / "animals.txt", model=model, model__options=small, out=str(tmp_path / "run"), **options)
    border = len(text) - round(0.05 * len(text))
    assert result_of(run)["loss"] < 0.7 * bigram_loss(text[:border], text[border:])


@pytest.mark.slow
@needs_data
@pytest.mark.spec("A48")
def test_a_character_model_beats_pairs_of_characters_on_shakespeare(tmp_path: Path) -> None:
    path = DATA / "text" / "tinyshakespeare.txt"
    run = train(path, model="gpt", out=str(tmp_path / "run"), training__steps=1000, batch_size=12)
    text = path.read_text()
    border = len(text) - round(0.05 * len(text))
    assert result_of(run)["loss"] < bigram_loss(text[:border], text[border:]) - 0.3


@pytest.mark.slow
@pytest.mark.spec("A49")
@pytest.mark.parametrize(
    ("source", "model"),
    [
        ("reversed", "seq2seq"),
        ("reversed", "transformer"),
        ("number-words", "seq2seq"),
        ("number-words", "transformer"),
    ],
)
def test_toy_translation_is_exact(source: str, model: str, tmp_path: Path) -> None:
    run = train(source, model=model, out=str(tmp_path / "run"), record__report=False)
    assert result_of(run)["exact_match"] >= 0.95  # with given targets
    if source == "reversed":
        rng = np.random.default_rng(5)
        words = ["".join(rng.choice(list("abcdefgh"), int(n))) for n in rng.integers(3, 9, 200)]
        written, _ = write_for(run, words)  # and from its own words
        assert np.mean([text == word[::-1] for text, word in zip(written, words, strict=True)]) >= 0.95
        assert bleu([list(text) for text in written], [[list(word[::-1])] for word in words]) > 95


@pytest.mark.slow
@pytest.mark.spec("A50")
def test_scenes_are_described(tmp_path: Path) -> None:
    run = train("scenes", out=str(tmp_path / "run"), record__report=False)
    assert run.header["config"]["model"]["name"] == "captioner"
    assert result_of(run)["exact_match"] >= 0.9


@pytest.mark.slow
@needs_data
@pytest.mark.spec("A51")
def test_airline_forecast_beats_the_last_value(tmp_path: Path) -> None:
    path = DATA / "series" / "airline-passengers.csv"
    run = train(path, model="lstm", out=str(tmp_path / "run"), data__form="series", record__report=False)
    errors = forecast_run(run).errors
    assert errors["the network"] < errors["the last value"]
    assert errors["the network"] == pytest.approx(result_of(run)["mae"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.spec("A51")
@pytest.mark.parametrize(("source", "score", "least"), [("tones", "accuracy", 0.9), ("notes", "token_accuracy", 0.4)])
def test_tones_and_melodies_are_learned(source: str, score: str, least: float, tmp_path: Path) -> None:
    run = train(source, model="gru", out=str(tmp_path / "run"), record__report=False)
    assert result_of(run)[score] > least


@pytest.mark.slow
@pytest.mark.spec("A45")
def test_sums_are_learned_by_a_linear_recurrence(tmp_path: Path) -> None:
    options = {"units": 1, "nonlinearity": "identity", "cell": "written", "pool": "last"}
    # The default rate is one for wide networks; a single unit has far to go with it.
    run = train("sequence-sum", model="rnn", model__options=options, out=str(tmp_path / "run"), epochs=60, lr=0.03)
    assert result_of(run)["r2"] > 0.999
