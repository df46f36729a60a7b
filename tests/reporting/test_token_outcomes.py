"""Runs that predict tokens: what is right at each place, the surprising sequences as text, the paired verdict."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from limpid.record.run import Run
from limpid.reporting.html import render_report
from limpid.reporting.reading import read_run
from limpid.reporting.row_verdict import judge
from limpid.reporting.token_outcomes import place_figure, surprising_rows
from limpid.spec import DataSpec
from tests.reporting.conftest import add_curves, finish, header

TARGET = np.array([[4, 5, 6, -100], [5, 5, 4, 6], [6, 4, -100, -100]])
GUESS = np.array([[4, 5, 5, 4], [5, 6, 4, 6], [4, 4, 6, 6]])


def write_run(folder: Path, losses: list[float], kind: str = "char", merges: str = "") -> Run:
    vocabulary = {"kind": kind, "tokens": [] if merges else ["a", "b", "<c>"], "lower": False, "merges": merges}
    facts = {"name": "prose", "kind": "text", "task": "tokens", "input_shape": (4,), "output_shape": (4,)}
    spec = DataSpec(**facts, num_outputs=7, vocabulary=7, preparation={"kind": "text", "vocabulary": vocabulary})  # type: ignore[arg-type]
    with Run.create(folder, header(spec)) as run:
        add_curves(run, "perplexity")
        arrays = {"target": TARGET, "prediction": GUESS, "losses": np.array(losses), "index": np.arange(3)}
        np.savez(folder / "predictions.npz", **arrays)  # type: ignore[arg-type]
        run.add("predictions", split="test", file="predictions.npz")
        finish(run, "perplexity", 4.2, 3.9, 4.6, 3, chance_loss=math.log(5.0))
    return Run.open(folder)


def test_share_of_right_tokens_at_each_place_without_padding(tmp_path: Path) -> None:
    figure = place_figure(read_run(write_run(tmp_path / "run", [1.0, 2.0, 3.0])))
    assert figure is not None
    (trace,) = figure["data"]
    expected = []
    for t in range(4):
        asked = [(row[t], guess[t]) for row, guess in zip(TARGET, GUESS, strict=True) if row[t] >= 0]
        expected.append(100 * sum(true == guess for true, guess in asked) / len(asked))
    assert trace["x"] == [1, 2, 3, 4]
    assert trace["y"] == pytest.approx(expected)
    assert trace["customdata"] == [3, 3, 2, 1]


def test_surprising_sequences_come_as_text_worst_first(tmp_path: Path) -> None:
    rows = surprising_rows(read_run(write_run(tmp_path / "run", [1.0, float("nan"), 3.0])))
    assert [row.position for row in rows] == [1, 2, 0]
    assert [(row.true, row.predicted) for row in rows] == [("bba<c>", "b<c>a<c>"), ("<c>a", "aa"), ("ab<c>", "abb")]
    words = surprising_rows(read_run(write_run(tmp_path / "words", [1.0, 2.0, 3.0], kind="word")))
    assert words[0].true == "<c> a"


def test_byte_pairs_are_read_from_their_own_state(tmp_path: Path) -> None:
    merges = '{"model": {"vocab": {"<pad>": 0, "<unk>": 1, "<start>": 2, "<end>": 3, "th": 4, "\u0120e": 5, "x": 6}}}'
    rows = surprising_rows(read_run(write_run(tmp_path / "run", [3.0, 2.0, 1.0], kind="bpe", merges=merges)))
    assert rows[0].true == "th ex"


def test_the_report_shows_them_escaped_beside_the_perplexity_of_knowing_nothing(tmp_path: Path) -> None:
    page = render_report(read_run(write_run(tmp_path / "run", [1.0, 2.0, 3.0])))
    assert "Right tokens by place" in page
    assert "bba&lt;c&gt;" in page
    assert "knowing nothing" in page
    assert ">5<" in page or "5.0" in page


def test_two_runs_are_compared_by_the_loss_of_each_sequence(tmp_path: Path) -> None:
    first = read_run(write_run(tmp_path / "first", [1.0, 2.0, 3.0]))
    second = read_run(write_run(tmp_path / "second", [0.5, 1.4, 2.6]))
    verdict = judge(first, second, "first", "second")
    assert verdict.score == "loss"
    assert verdict.difference == pytest.approx(-0.5)
    assert verdict.word == "better"
    assert judge(first, first, "first", "again").word == "cannot tell"
