"""Verdicts that must come out one way, and the honesty of the rest."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from limpid.record.run import Run
from limpid.reporting.comparison import compare_runs
from limpid.spec import DataSpec

Answers = Callable[..., Run]


@pytest.fixture
def answers(make_empty: Callable[..., Run], make_spec: Callable[..., DataSpec]) -> Answers:
    """A run of two classes over 400 rows that is wrong on the given rows."""

    def make(name: str, wrong: range, **changes: object) -> Run:
        target = np.arange(400) % 2
        prediction = target.copy()
        prediction[list(wrong)] ^= 1
        with make_empty(name, spec=make_spec(("no", "yes")), **changes) as run:
            index = np.arange(400) if "seed" not in changes else np.arange(400)[::-1]
            np.savez(run.path / "predictions.npz", target=target, prediction=prediction, index=index)
            accuracy = float((target == prediction).mean())
            run.add("result", split="test", step=1, epoch=1, n=400, loss=0.1, score="accuracy", accuracy=accuracy,
                    interval={"accuracy": [accuracy - 0.02, accuracy + 0.02]})  # fmt: skip
            run.add("predictions", split="test", file="predictions.npz")
            run.add("end", status="finished", step=1, seconds=2.0)
        return Run.open(run.path)

    return make


def test_identical_runs_cannot_be_told_apart(answers: Answers) -> None:
    (verdict,) = compare_runs([answers("a", range(30)), answers("b", range(30))]).verdicts
    assert verdict.word == "cannot tell"
    assert verdict.difference == 0
    assert verdict.interval[0] < 0 < verdict.interval[1]
    assert verdict.p_value == 1.0


@pytest.mark.parametrize(("wrong", "word"), [(range(10), "better"), (range(90), "worse")])
def test_clear_differences_are_told(answers: Answers, wrong: range, word: str) -> None:
    (verdict,) = compare_runs([answers("a", range(40)), answers("b", wrong)]).verdicts
    assert verdict.word == word
    assert verdict.difference == pytest.approx((40 - len(wrong)) / 400)
    assert verdict.interval[0] < verdict.difference < verdict.interval[1]
    assert not verdict.interval[0] < 0 < verdict.interval[1]


def test_sentence_carries_the_evidence(answers: Answers) -> None:
    comparison = compare_runs([answers("a", range(40)), answers("b", range(10))])
    assert comparison.verdicts[0].sentence() == (
        "b is better than a: accuracy +7.50 points (95 % interval +4.80 to +10.12 points) on the same 400 rows, "
        "McNemar p = 1.9e-9."
    )
    assert "another seed may change it" in comparison.render()


def test_few_rows_that_differ_are_not_enough(answers: Answers) -> None:
    """Five against none is what a fair coin does once in 16 times."""
    (verdict,) = compare_runs([answers("a", range(5)), answers("b", range(0))]).verdicts
    assert verdict.p_value == pytest.approx(2 / 2**5)
    assert verdict.word == "cannot tell"


def test_pairing_matters(answers: Answers) -> None:
    """Same accuracies as a clear case, but the two are wrong on different rows: 40 against 22 leaves more doubt."""
    (nested,) = compare_runs([answers("a", range(40)), answers("b", range(22))]).verdicts
    (apart,) = compare_runs([answers("c", range(40)), answers("d", range(100, 122))]).verdicts
    assert nested.difference == apart.difference
    assert np.diff(nested.interval) < np.diff(apart.interval)


def test_more_runs_ask_for_more_evidence(answers: Answers) -> None:
    runs = [answers(name, range(wrong)) for name, wrong in (("a", 40), ("b", 34), ("c", 40), ("d", 40))]
    assert compare_runs(runs[:2]).verdicts[0].word == "better"
    among_four = compare_runs(runs).verdicts[0]
    assert among_four.doubt == pytest.approx(0.05 / 3)
    assert among_four.word == "cannot tell"
    assert "98.33 % interval" in among_four.sentence()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fingerprint": "other"}, "different data"),
        ({"kind": "search"}, "b is a search; give its winner, b/best"),
        ({"seed": 1}, "different rows (another seed or split)"),
    ],
)
def test_other_data_or_rows_get_no_verdict(answers: Answers, changes: dict[str, object], reason: str) -> None:
    comparison = compare_runs([answers("a", range(10)), answers("b", range(200), **changes)])
    assert comparison.verdicts[0].word == "not comparable"
    assert reason in comparison.verdicts[0].sentence()
    assert "another seed may change it" not in comparison.render()


def test_unfinished_run_gets_a_row_but_no_verdict(answers: Answers, make_unfinished: Callable[..., Run]) -> None:
    comparison = compare_runs([answers("a", range(10)), make_unfinished(status="stopped")])
    assert comparison.rows[1]["status"] == "stopped"
    assert "unfinished holds no predictions" in comparison.render()


@pytest.mark.parametrize("score", ["r2", "rmse"])
def test_regression_verdicts(make_regression: Callable[..., Run], score: str) -> None:
    runs = [
        make_regression(name, n=200, noise=noise, seed=seed, score=score)
        for name, noise, seed in (("plain", 3.0, 1), ("good", 1.0, 2), ("alike", 3.0, 3))
    ]
    better = compare_runs(runs[:2]).verdicts[0]
    assert better.word == "better"
    assert (better.difference > 0) == (score == "r2")
    assert compare_runs([runs[0], runs[2]]).verdicts[0].word == "cannot tell"
    assert compare_runs([runs[1], runs[0]]).verdicts[0].word == "worse"
    results = [run.events("result")[0][score] for run in runs]
    assert better.difference == pytest.approx(results[1] - results[0], rel=1e-4)


def test_multilabel_verdict(make_empty: Callable[..., Run], make_spec: Callable[..., DataSpec]) -> None:
    draw = np.random.default_rng(0)
    target = draw.integers(0, 2, (300, 3))
    runs = []
    for name, share in (("often wrong", 0.3), ("seldom wrong", 0.05)):
        with make_empty(name, spec=make_spec(("x", "y", "z"), task="multilabel", class_counts=())) as run:
            np.savez(run.path / "predictions.npz", target=target, prediction=target ^ (draw.random((300, 3)) < share))
            run.add("predictions", split="test", file="predictions.npz")
        runs.append(Run.open(run.path))
    (verdict,) = compare_runs(runs).verdicts
    assert verdict.word == "better"
    assert verdict.score == "accuracy"


NO_NORM = {"norm": "none"}  # in a model that has a norm, and not in one that has none


def test_differing_options_are_listed(answers: Answers) -> None:
    runs = [
        answers("a", range(10), config={"optim": {"lr": 0.1, "name": "sgd"}, "record": {"out": "a"}, "model": NO_NORM}),
        answers("b", range(10), config={"optim": {"lr": 0.2, "name": "sgd"}, "record": {"out": "b"}}),
    ]
    assert compare_runs(runs).differences == [{"option": "optim.lr", "a": "0.1", "b": "0.2"}]


def test_json_is_one_strict_line(answers: Answers) -> None:
    text = compare_runs([answers("a", range(10)), answers("b", range(5), fingerprint="other")]).to_json()
    assert "\n" not in text
    values = json.loads(text, parse_constant=pytest.fail)
    assert [row["run"] for row in values["runs"]] == ["a", "b"]
    assert values["verdicts"][0]["word"] == "not comparable"


def test_one_run_is_just_described(answers: Answers) -> None:
    text = compare_runs([answers("a", range(10))]).render()
    assert "accuracy 97.50 %" in text
    assert "95.50 to 99.50 %" in text
