"""One run of several networks: the same as each trained alone, averaged, scored, kept cheaply and resumed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from scipy import stats

import limpid
from limpid.config_reader import config_from_dict, with_options
from limpid.data.bootstrap import bootstrap_index, resample
from limpid.deploy.trained import best_weights, load_trained
from limpid.errors import ConfigError, NonFiniteLoss, Stopped
from limpid.finished import predict
from limpid.population import ensembles
from limpid.population.executors import train_population
from limpid.population.held_out import average_of_some
from limpid.record import files
from limpid.record.run import Run
from limpid.reporting.population import Spread, read_population
from limpid.reporting.reading import read_run
from limpid.start import Start
from limpid.training.history import History, Silence
from limpid.training.loop import fit
from limpid.training.randomness import own_randomness
from limpid.wiring import wire

OPTIONS: dict[str, Any] = {
    "model": "mlp", "hidden": (6,), "epochs": 2, "device": "cpu", "precision": "float32", "training__matmul": "default",
    "training__threads": 1, "training__on": "one-by-one", "size": 200, "record__report": False,
}  # fmt: skip


def test_seeds_are_single_runs_side_by_side(tmp_path: Path) -> None:
    run = limpid.train("moons", seeds=3, out=tmp_path / "run", **OPTIONS)
    alone = limpid.train("moons", out=tmp_path / "alone", **OPTIONS)
    step, weights = best_weights(Run.open(run.path / "members" / "1"))
    expected_step, expected = best_weights(alone)
    assert step == expected_step
    assert all(torch.equal(weights[name], expected[name]) for name in expected)

    rows, results = run.events("member"), run.events("member_result")
    assert [(row["number"], row["seed"], row["path"]) for row in rows] == [
        (i, i - 1, f"members/{i}") for i in (1, 2, 3)
    ]
    assert run.members == rows
    x = np.load(run.path / "predictions.npz")["index"]
    assert len(x) == results[0]["n"]
    assert results[0]["loss"] == pytest.approx(alone.events("result")[0]["loss"], rel=1e-6)
    assert len({row["loss"] for row in results}) == 3
    ensemble = load_trained(run)
    sample = torch.randn(7, 2)
    members = [load_trained(run.path / row["path"]).network(sample).sigmoid() for row in rows]
    torch.testing.assert_close(ensemble.network(sample).sigmoid(), torch.stack(members).mean(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["bagging", "snapshot"])
def test_members_are_what_the_plain_loop_makes_of_their_rows_and_first_weights(kind: str, tmp_path: Path) -> None:
    """The twin: parts wired by hand, the loop, and for snapshots the weights that the member before ended with."""
    options = {**OPTIONS, "epochs": 4, "training__members": 2, "training__ensemble": kind}
    run = limpid.train("moons", out=tmp_path / "run", **options)
    data, resolved = limpid.load_data("moons", size=200), config_from_dict(run.header["config"])
    alone = {"training__members": 1, "training__epochs": 2 if kind == "snapshot" else 4}
    start: Start | None = None
    for number in range(2):
        seeded = with_options(resolved, {**alone, "seed": number, "training__restore_best": kind == "bagging"})
        rows = data.train
        if kind == "bagging":
            rows = resample(rows, bootstrap_index(len(rows), number))
        wiring = wire(seeded, replace(data, train=rows), start=start)
        with own_randomness(number):
            fit(wiring.parts, wiring.plan, History(), Silence())
        expected = wiring.network.state_dict()
        if kind == "snapshot":
            start = Start("the one before", {name: tensor.clone() for name, tensor in expected.items()}, data.spec)
        _, weights = best_weights(Run.open(run.path / "members" / str(number + 1)))
        assert all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.mark.parametrize("kind", ["seeds", "bag", "folds"])
def test_the_way_of_training_makes_no_difference(kind: str, tmp_path: Path) -> None:
    """Sums in another order: measured up to 7e-6 in the weights after 240 steps."""
    for on in ("one-by-one", "stacked"):
        limpid.train("moons", out=tmp_path / on, **{**OPTIONS, kind: 3, "training__on": on})
    (_, one), (_, other) = best_weights(Run.open(tmp_path / "one-by-one")), best_weights(Run.open(tmp_path / "stacked"))
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-4, atol=1e-5)


def test_the_spread_is_students(tmp_path: Path) -> None:
    values = [0.91, 0.93, 0.9, 0.95]
    spread = Spread.of(values, "accuracy")
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (spread.mean, spread.deviation) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (spread.low, spread.high) == pytest.approx((low, high))
    assert Spread.of([0.99, 1.0, 1.0], "accuracy").high == 1.0
    agreeing = Spread.of([0.9, 0.9], "accuracy", judged=100)  # by chance, as shares of 100 rows may
    assert agreeing.high - 0.9 == pytest.approx(stats.t.ppf(0.975, 1) * (0.01 / np.sqrt(12)) / np.sqrt(2))
    folds = Spread.of(values, overlap=1 / 3)  # Nadeau and Bengio: sqrt(1/4 + 1/3) in place of sqrt(1/4)
    assert folds.high - folds.mean == pytest.approx((high - np.mean(values)) * np.sqrt(1 + 4 / 3))
    assert np.isnan(Spread.of([0.5]).low)
    run = limpid.train("moons", seeds=3, out=tmp_path / "run", **OPTIONS)
    population = read_population(read_run(run))
    assert population is not None
    row = population.to_row("accuracy")
    assert row["valid"]["mean"] == pytest.approx(np.mean([one["valid"]["accuracy"] for one in run.events("member")]))
    assert row["members_score"]["n"] == 3


@pytest.mark.spec("G9")
def test_the_out_of_bag_score_asks_only_members_that_have_not_seen_a_row(tmp_path: Path) -> None:
    run = limpid.train("moons", bag=4, out=tmp_path / "run", **OPTIONS)
    data = limpid.load_data("moons", size=200)
    (x_NF,), target_N = data.train.rows.tensors, data.train.target.flatten()
    members = [load_trained(run.path / "members" / str(i)).network for i in range(1, 5)]
    expected, right = {}, []
    for i in range(len(x_NF)):
        asked = [m for m, network in enumerate(members) if i not in bootstrap_index(len(x_NF), m)]
        if asked:
            answers = [members[m](x_NF[i : i + 1]).sigmoid().item() for m in asked]
            expected[int(data.train.index[i])] = np.mean(answers)
            right.append((np.mean(answers) > 0.5) == bool(target_N[i]))
    kept = np.load(run.path / "out_of_bag.npz")
    assert kept["index"].tolist() == list(expected)
    np.testing.assert_allclose(kept["probabilities"][:, 1], list(expected.values()), atol=1e-5)
    (row,) = run.events("held_out")
    assert (row["name"], row["n"], row["of"]) == ("out_of_bag", len(expected), len(x_NF))
    assert row["accuracy"] == pytest.approx(np.mean(right))


@pytest.mark.parametrize("task", ["classification", "binary", "regression"])
def test_where_all_members_answer_their_mean_is_that_of_the_ensemble(task: Any) -> None:
    from limpid.models.ensemble import average

    outputs_MNK = torch.randn(4, 9, 1 if task == "binary" else 3)
    rows, mean_NK = average_of_some(list(outputs_MNK), [torch.arange(9)] * 4, 9, task)
    assert rows.tolist() == list(range(9))
    torch.testing.assert_close(mean_NK, average(outputs_MNK, task), rtol=1e-5, atol=1e-6)


def test_a_failed_member_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def second_fails(host: Any, ground: Any, **how: Any) -> None:
        class Failing:
            next, epochs = host.next, host.epochs

            def done(self, member: Any, outcome: Any) -> None:
                if member.number == 1 or everything:
                    outcome = replace(outcome, state="failed", reason="its loss became NaN", weights=None)
                host.done(member, outcome)

        train_population(Failing(), ground, **how)

    everything = False
    monkeypatch.setattr(ensembles, "train_population", second_fails)
    run = limpid.train("moons", seeds=3, out=tmp_path / "run", **OPTIONS)
    assert [row["state"] for row in run.events("member")] == ["finished", "failed", "finished"]
    assert [row["number"] for row in run.events("member_result")] == [1, 3]
    both = load_trained(run).network
    sample = torch.randn(5, 2)
    members = [load_trained(run.path / "members" / i).network(sample).sigmoid() for i in "13"]
    torch.testing.assert_close(both(sample).sigmoid(), torch.stack(members).mean(0), rtol=1e-5, atol=1e-6)
    assert any("1 member(s) failed" in row["text"] for row in run.events("note"))
    everything = True
    with pytest.raises(NonFiniteLoss, match="None of the 2 members.*became NaN"):
        limpid.train("moons", seeds=2, out=tmp_path / "none", **OPTIONS)


def test_more_members_force_no_more_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    for members in (2, 6):
        seen: Counter[str] = Counter()
        monkeypatch.setattr(files, "operation_hook", lambda operation, path, seen=seen: seen.update([operation]))
        limpid.train("moons", seeds=members, out=tmp_path / str(members), **OPTIONS)
        counts.append(seen["fsync"])
    monkeypatch.setattr(files, "operation_hook", None)
    assert counts[0] == counts[1]


@pytest.mark.parametrize("harm", ["nothing", "weights", "header"])
def test_a_resumed_run_trains_only_what_is_missing(harm: str, tmp_path: Path) -> None:
    class StopAfterTwo:
        def __init__(self) -> None:
            self.ended: list[int] = []

        def wired(self, wiring: Any, run: Any) -> None: ...
        def step(self, step: int, loss: float) -> None: ...
        def close(self) -> None: ...
        def finding(self, finding: Any) -> None: ...
        def epoch(self, row: Any, valid_row: Any) -> None: ...
        def way(self, text: str) -> None: ...
        def member(self, row: Any, ended: int, count: int) -> None:
            self.ended.append(row["number"])
            if self.ended == [1, 2]:
                os.kill(os.getpid(), signal.SIGTERM)

    whole = limpid.train("moons", seeds=4, out=tmp_path / "whole", **OPTIONS)
    with pytest.raises(Stopped, match="2 of 4 members have ended and are kept.*--resume"):
        limpid.train("moons", seeds=4, out=tmp_path / "cut", observer=StopAfterTwo(), **OPTIONS)
    first = tmp_path / "cut" / "members" / "1"
    if harm == "header":
        (first / "run.json").write_bytes(b"")
    if harm == "weights":
        (file,) = first.glob("checkpoints/*/best.safetensors")
        file.write_bytes(file.read_bytes()[:-1])
    again = StopAfterTwo()
    resumed = limpid.train(resume=tmp_path / "cut", observer=again)
    assert again.ended == ([3, 4] if harm == "nothing" else [1, 3, 4])
    (_, one), (_, other) = best_weights(whole), best_weights(resumed)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"folds": 3, "bag": 2}, "folds = 3 and bag = 2 do not go together"),
        ({"seeds": 3, "folds": 2}, "do not go together"),
        ({"sizes": 3, "bag": 2}, "do not go together"),
        ({"seeds": 2, "training__on": "stakced"}, "on=stakced.*Did you mean stacked"),
        ({"folds": 1}, "folds = 1: expected a whole number, 2 or more"),
        ({"bag": 1}, "2 or more"),
        ({"seeds": 0}, "1 or more"),
        ({"sizes": "0.5"}, "at least two shares"),
        ({"sizes": "0.5,2"}, "at least two shares"),
        ({"sizes": "few"}, "at least two shares"),
        ({"training__members": 3, "training__ensemble": "folds"}, "goes with data.fold = 0/3"),
        ({"training__sizes": (0.5, 1.0), "training__members": 2}, "not with bagging"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(asked: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        limpid.train("moons", out=tmp_path / "run", **(OPTIONS | asked))
    assert caught.value.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_the_terminal_and_the_report_speak_of_every_member(tmp_path: Path, limpid: Any) -> None:
    quick = (
        "--set",
        "training.threads=1",
        "--epochs",
        "2",
        "--size",
        "200",
        "--hidden",
        "6",
        "--out",
        tmp_path / "run",
    )
    done = limpid("train", "moons", "--seeds", "3", "--on", "one-by-one", *quick)
    assert done.code == 0, done.err
    assert [line.split("  ")[0] for line in done.out.splitlines() if line.startswith("member ")] == [
        f"member {i} of 3" for i in (1, 2, 3)
    ]
    for words in ("validation accuracy", "test accuracy of each", "of the mean of 3 networks", "another seed would"):
        assert words in done.out
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Every member" in report
    assert "<h2>Members</h2>" in report
    assert predict(tmp_path / "run", np.zeros((2, 2), np.float32)).probabilities is not None
    refused = limpid("train", "moons", "--folds", "3", "--bag", "2")
    assert refused.code == 2
    assert "do not go together" in refused.err
    assert "Traceback" not in refused.err


def test_what_the_data_show_is_told_before_several_are_trained(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200)
    people = pl.DataFrame({"age": rng.normal(size=200) + label, "outcome": label * 2 + 5, "label": label})
    run = limpid.train(people, target="label", seeds=2, out=tmp_path / "run", **{**OPTIONS, "size": None})
    kinds = [row["kind"] for row in run.events()]
    assert [row["where"] for row in run.events("finding") if row["code"] == "D10"] == ["outcome"]
    assert kinds.index("finding") < kinds.index("member")
    alone = {**OPTIONS, "size": None, "record__doctor": False}
    assert not limpid.train(people, target="label", seeds=2, out=tmp_path / "off", **alone).events("finding")
