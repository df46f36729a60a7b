"""A search against a loop of single runs, what it records, and what it promises about the test split."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import polars as pl
import pytest
import torch

import limpid
from limpid.config_reader import load_config, with_options
from limpid.data.dataset import Dataset
from limpid.deploy.trained import best_weights
from limpid.errors import ConfigError, RecordError
from limpid.reporting.search_screen import SearchScreen
from limpid.search.result import SearchResult

SPACE = {
    "optim": {"lr": {"low": 1e-4, "high": 1.0, "scale": "log"}},
    "training": {"batch_size": {"choices": [16, 32]}},
}
SMALL = {"model": "mlp", "hidden": (8,), "epochs": 3, "size": 120, "training__threads": 1, "record__report": False}


def tuned(out: Path, **options: Any) -> SearchResult:
    return limpid.tune("moons", **{"space": SPACE, "budget": 4, "seeds": 2, "out": str(out), **SMALL, **options})


def test_a_search_is_a_loop_of_single_runs_that_keeps_the_best(tmp_path) -> None:
    search = tuned(tmp_path / "search", seeds=0)
    assert len(search.trials) == 4
    figures = []
    for trial in search.trials:
        options = {path.replace(".", "__"): value for path, value in trial["params"].items()}
        run = limpid.train("moons", **SMALL, **options, out=str(tmp_path / str(trial["number"])))
        figures.append(min(row["loss"] for row in run.events("metric") if row["split"] == "valid"))
    assert figures == pytest.approx([trial["figure"] for trial in search.trials], rel=1e-4)
    won = figures.index(min(figures))
    assert search.best == search.trials[won]["params"]
    assert search.winner["figure"] == search.trials[won]["figure"]

    alone = limpid.Run.open(tmp_path / str(won))
    (step, weights), (best_step, best) = best_weights(alone), best_weights(search.best_run)
    assert step == best_step
    assert all(torch.allclose(best[name], weights[name], atol=1e-5) for name in weights)
    mine, theirs = search.best_run.events("result")[0], alone.events("result")[0]
    assert {key: mine[key] for key in ("split", "step", "epoch", "n", "accuracy")} == {
        key: theirs[key] for key in ("split", "step", "epoch", "n", "accuracy")
    }


def test_the_winner_is_a_run_like_any_other_and_a_configuration(tmp_path) -> None:
    search = tuned(tmp_path / "search")
    best = search.best_run
    answers = limpid.predict(best, torch.zeros(3, 2).numpy())
    assert len(answers.to_frame()) == 3
    assert limpid.report(best).is_file()
    assert best.header["trial"] == search.winner["trial"]
    config = load_config(search.best_config)
    again = limpid.train(config=with_options(config, {"out": str(tmp_path / "again"), "record__report": False}))
    assert again.header["config"] == best.header["config"] | {"record": again.header["config"]["record"]}
    first, second = (run.events("result")[0] for run in (best, again))
    assert first["accuracy"] == second["accuracy"]
    assert first["loss"] == pytest.approx(second["loss"], rel=1e-4)


def test_finalists_are_paired_over_seeds_that_had_no_part_in_choosing(tmp_path) -> None:
    search = tuned(tmp_path / "search", budget=5)
    winner, finals = search.winner, search.finals
    ranked = sorted(search.trials, key=lambda row: row["figure"])[:3]
    assert {row["trial"] for row in finals} == {row["number"] for row in ranked}
    assert {row["seed"] for row in finals} == {1, 2}
    assert len(finals) == 3 * 2
    means = {
        trial["number"]: math.fsum(row["figure"] for row in finals if row["trial"] == trial["number"]) / 2
        for trial in ranked
    }
    assert winner["trial"] == min(means, key=means.__getitem__)
    assert winner["figure"] == pytest.approx(min(means.values()))
    assert winner["lead"] == pytest.approx(means[winner["trial"]] - means[winner["second"]])
    one, two = ([row["figure"] for row in finals if row["trial"] == n] for n in (winner["trial"], winner["second"]))
    gaps = [a - b for a, b in zip(one, two, strict=True)]
    half = 12.7062 * abs(gaps[0] - gaps[1]) / 2  # Student's quantile for one degree of freedom
    assert winner["lead_interval"] == pytest.approx([winner["lead"] - half, winner["lead"] + half], rel=1e-4)
    assert winner["tied"] == (winner["lead_interval"][0] <= 0 <= winner["lead_interval"][1])


def test_the_record_is_complete(tmp_path) -> None:
    search = tuned(tmp_path / "search")
    header = search.run.header
    assert header["kind"] == "search"
    assert (header["budget"], header["sampler"], header["pruner"], header["metric"]) == (4, "random", "none", "loss")
    assert header["higher_is_better"] is False
    assert header["data"]["num_valid"] > 0
    assert [knob["path"] for knob in header["space"]["knobs"]] == ["optim.lr", "training.batch_size"]
    for row in (*search.trials, *search.finals):
        epochs = [entry for entry in search.run.events("metric") if entry["member"] == row["number"]]
        assert [entry["loss"] for entry in epochs if entry["split"] == "valid"] == row["figures"]
        assert len(epochs) == 2 * row["epochs"]
        assert row["state"] == "finished"
        assert row["figure"] == min(row["figures"])
    kinds = [row["kind"] for row in search.run.events()]
    assert kinds.index("winner") > max(i for i, kind in enumerate(kinds) if kind == "member")
    assert kinds[-1] == "end"

    study = optuna.load_study(
        study_name=None,
        storage=optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(str(search.path / "study.log"))
        ),
    )
    assert [trial.number for trial in study.trials] == [row["number"] for row in search.trials]
    for trial, row in zip(study.trials, search.trials, strict=True):
        assert trial.params == row["params"]
        assert trial.value == row["figure"]
        assert trial.state == optuna.trial.TrialState.COMPLETE


def test_the_test_split_is_read_once_and_for_the_winner(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    looks = Dataset.test

    def spied(self: Dataset) -> Any:
        split = looks(self)
        reads.append(0 if split is None else len(split))
        return split

    monkeypatch.setattr(Dataset, "test", spied)
    search = tuned(tmp_path / "search")
    assert reads == [search.run.header["data"]["num_test"]]


def test_the_same_seed_gives_the_same_search(tmp_path) -> None:
    def told(search: SearchResult) -> str:
        rows = [{key: row[key] for key in ("number", "params", "figures")} for row in (*search.trials, *search.finals)]
        return json.dumps([rows, search.winner["params"], search.winner["figures"]])

    first, second = (tuned(tmp_path / name, training__seed=3) for name in "ab")
    assert told(first) == told(second)
    assert told(first) != told(tuned(tmp_path / "c", training__seed=4))


@pytest.mark.parametrize("on", ["stacked", pytest.param("processes", marks=pytest.mark.slow)])
def test_every_executor_finds_the_same(tmp_path, on: str) -> None:
    alone, together = tuned(tmp_path / "a", on="one-by-one"), tuned(tmp_path / "b", on=on)
    assert [row["params"] for row in alone.trials] == [row["params"] for row in together.trials]
    assert [row["figure"] for row in alone.trials] == pytest.approx(
        [row["figure"] for row in together.trials], rel=1e-3
    )
    assert alone.best == together.best


@pytest.mark.parametrize("sampler", ["grid", "quasi-random", "two-stage", "tpe", "evolution"])
def test_every_sampler_searches(tmp_path, sampler: str) -> None:
    search = tuned(tmp_path / "search", sampler=sampler, budget=6, seeds=0, epochs=1)
    assert len(search.trials) == 6
    assert len({json.dumps(row["params"]) for row in search.trials}) == 6
    assert [row["stage"] for row in search.trials].count("tightened") == (3 if sampler == "two-stage" else 0)


def test_a_pruner_lets_go_and_nothing_of_it_wins(tmp_path) -> None:
    search = tuned(tmp_path / "search", pruner="halving", budget=9, seeds=0, epochs=9, on="one-by-one")
    pruned = [row for row in search.trials if row["state"] == "pruned"]
    assert pruned
    assert all(row["epochs"] < 9 and "by halving" in row["reason"] for row in pruned)
    assert search.trials[search.winner["trial"]]["state"] == "finished"


def test_the_metric_decides_and_picks_the_epoch(tmp_path) -> None:
    search = tuned(tmp_path / "search", metric="accuracy", seeds=0)
    assert search.run.header["higher_is_better"] is True
    assert search.winner["figure"] == max(row["valid"]["accuracy"] for row in search.trials)
    assert all(row["monitor"] == "accuracy" and row["figure"] == max(row["figures"]) for row in search.trials)


def test_losses_of_different_kinds_are_not_compared(tmp_path) -> None:
    space = {"objective": {"label_smoothing": {"low": 0.0, "high": 0.3}}}
    search = limpid.tune("digits", space=space, budget=1, seeds=0, epochs=1, model="linear", out=str(tmp_path / "s"))
    assert search.run.header["metric"] == "accuracy"


def test_data_handed_over_in_python(tmp_path) -> None:
    x = torch.randn(80, 3, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    options = {"space": SPACE, "budget": 2, "seeds": 1, "hidden": (4,), "epochs": 2, "training__threads": 1}
    search = limpid.tune(x.numpy(), y=y.numpy(), model="mlp", out=str(tmp_path / "s"), **options)
    assert len(search.trials) == 2
    with pytest.raises(RecordError, match="handed over in Python"):
        limpid.tune(resume=search.path, budget=3)
    with pytest.raises(RecordError, match="not those"):
        limpid.tune(x.numpy() + 1, y=y.numpy(), resume=search.path, budget=3)
    assert len(limpid.tune(x.numpy(), y=y.numpy(), resume=search.path, budget=3).trials) == 3


def test_a_module_of_ones_own_cannot_be_searched(tmp_path) -> None:
    with pytest.raises(ConfigError, match="builds every network anew"):
        limpid.tune("moons", model=torch.nn.Linear(2, 1), out=str(tmp_path / "s"))
    assert not (tmp_path / "s").exists()


def test_a_column_that_leaks_the_target_is_told_before_the_search(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200)
    frame = {"age": rng.normal(size=200) + label, "outcome": np.where(label == 1, "yes", "no"), "label": label}
    path = tmp_path / "people.csv"
    pl.DataFrame(frame).write_csv(path)
    with contextlib.closing(SearchScreen()) as screen:
        search = limpid.tune(
            str(path), target="label", model="mlp", epochs=1, budget=2, seeds=0, out=str(tmp_path / "search"),
            observer=screen,
        )  # fmt: skip
    found = [row for row in search.run.events("finding") if row["code"] == "D10"]
    assert [row["where"] for row in found] == ["outcome"]
    shown = capsys.readouterr().out
    assert shown.index("warning D10") < shown.index("trial  ")
    assert limpid.diagnose(search.path).findings[0].code == "D10"
    longer = limpid.tune(resume=search.path, budget=3)
    assert [row["where"] for row in longer.run.events("finding") if row["code"] == "D10"] == ["outcome"]
