"""What goes wrong in a search, and what is said of it: trials that fail, time that is over, words that are unknown."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import limpid
from limpid.errors import ConfigError
from limpid.population import one_by_one
from limpid.population.executors import train_population
from limpid.population.ground import Ground
from limpid.population.host import Host
from limpid.population.lone import train_member
from limpid.population.member import Member, Outcome
from limpid.record.run import Run
from limpid.reporting.search_screen import SearchScreen
from limpid.search import search as search_module
from limpid.search.finalists import FIRST_FINAL
from limpid.search.result import SearchResult

SMALL = {"model": "linear", "epochs": 2, "size": 60, "training__threads": 1, "record__report": False}
RATES = {"optim": {"lr": {"low": 1e-3, "high": 1e-1, "scale": "log"}}}
WILD = {"optim": {"name": {"choices": ["sgd"]}, "lr": {"choices": [0.01, 1e30]}}}
COMMAND = ("tune", "moons", "--model", "linear", "--epochs", "1", "--size", "60", "--set", "training.threads=1")


def tuned(out: Path, **options: Any) -> SearchResult:
    return limpid.tune("moons", **{"space": RATES, "budget": 3, "seeds": 0, "out": str(out), **SMALL, **options})


def test_a_trial_that_diverges_is_a_state_with_a_reason(tmp_path) -> None:
    search = tuned(tmp_path / "s", space=WILD, budget=6, model="mlp", hidden=(4, 4))
    states = {row["params"]["optim.lr"]: row["state"] for row in search.trials}
    assert states == {0.01: "finished", 1e30: "failed"}
    failed = [row for row in search.trials if row["state"] == "failed"]
    assert all("NaN or infinite" in row["reason"] for row in failed)
    assert search.best["optim.lr"] == 0.01


def test_all_trials_fail(tmp_path) -> None:
    space = {"optim": {"name": {"choices": ["sgd"]}, "lr": {"low": 1e29, "high": 1e30}}}
    with pytest.raises(ConfigError, match=r"all 3 trials failed, the first because: .*NaN.*smaller learning rates"):
        tuned(tmp_path / "s", space=space, model="mlp", hidden=(4, 4))
    run = Run.open(tmp_path / "s")
    assert [row["state"] for row in run.events("member")] == ["failed"] * 3
    assert run.events("end")[0]["status"] == "failed"
    assert not (tmp_path / "s" / "best").exists()


def test_a_metric_that_is_nan_everywhere(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(host: Host, ground: Ground, **how: Any) -> None:
        while (member := host.next()) is not None:
            host.done(member, Outcome(member.number, "finished", monitor="auc", figure=math.nan, epochs=2))

    monkeypatch.setattr(search_module, "train_population", train)
    with pytest.raises(ConfigError, match="auc on the validation rows is never a number"):
        tuned(tmp_path / "s", metric="auc")


def test_a_finalist_whose_seeds_fail_does_not_win(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(member: Member, *given: Any, **how: Any) -> Outcome:
        """Trials in truth; the best of them has failing seeds."""
        if member.number < FIRST_FINAL:
            return train_member(member, *given, **how)
        trials = [row for row in Run.open(tmp_path / "s").events("member") if row["stage"] == "search"]
        best = min(trials, key=lambda row: row["figure"])
        if member.config.optim.lr == best["params"]["optim.lr"]:
            return Outcome(member.number, "failed", reason="bad luck")
        return Outcome(member.number, "finished", figure=0.5 + member.config.training.seed)

    monkeypatch.setattr(one_by_one, "train_member", train)
    search = tuned(tmp_path / "s", seeds=2, on="one-by-one")
    best = min(search.trials, key=lambda row: row["figure"])
    assert search.winner["trial"] != best["number"]
    assert search.winner["finalists"][-1]["trial"] == best["number"]
    assert all(math.isnan(figure) for figure in search.winner["finalists"][-1]["figures"])


def test_time_ends_the_asking_and_lets_go(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        """The time is over after the fourth epoch that is told."""

        now = 0.0

    trials = search_module.Trials
    monkeypatch.setattr(
        search_module, "Trials", lambda *given, **options: trials(*given, **options, clock=lambda: Clock.now)
    )

    def train(host: Host, ground: Ground, **how: Any) -> None:
        tell = host.epochs
        heard: list[int] = []

        def epochs(told: Any) -> list[bool]:
            heard.append(1)
            Clock.now = 100.0 if len(heard) > 3 else 0.0
            return tell(told)

        host.epochs = epochs  # type: ignore[method-assign]
        train_population(host, ground, **{**how, "on": "one-by-one"})

    monkeypatch.setattr(search_module, "train_population", train)
    search = tuned(tmp_path / "s", budget=10, time="50s", seeds=1)
    assert [row["state"] for row in search.trials] == ["finished", "pruned"]
    assert search.trials[1]["reason"] == "let go after epoch 2: the time was over"
    assert len(search.finals) == 1, "the finalists come on top"
    Clock.now = 0.0
    monkeypatch.undo()
    assert len(limpid.tune(resume=search.path, budget=11).trials) == 11


def test_time_that_ends_before_any_trial(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"time of 1e-06 s was over.*--resume .*s --time"):
        tuned(tmp_path / "s", time="0.000001")
    assert len(limpid.tune(resume=tmp_path / "s").trials) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--budget", "0"), "--budget 0: a search needs at least one trial"),
        (("--budget", "-3"), "--budget -3: a search needs at least one trial"),
        (("--seeds", "-1"), "--seeds -1: expected how many"),
        (("--time", "soon"), "--time soon: expected a time such as 90s"),
        (("--time", "0"), "--time 0: expected a time"),
        (("--metric", "acuracy"), "Did you mean accuracy?"),
        (("--sampler", "randon"), "Did you mean random?"),
        (("--pruner", "medain"), "Did you mean median?"),
        (("--on", "staked"), "Did you mean stacked?"),
        (("--space", "nowhere.toml"), "nowhere.toml: no such file"),
        (("--set", "data.valid_share=0"), "chooses on validation rows, and there are none"),
        (("--set", "training.members=3"), "trains single networks"),
        (("--lrr", "1"), "Did you mean --lr?"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_made(
    limpid: Callable[..., Any], tmp_path, given: tuple[str, ...], message: str
) -> None:
    done = limpid(*COMMAND, *given)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.glob("runs/*"))


def test_a_space_with_an_impossible_combination(limpid: Callable[..., Any], tmp_path) -> None:
    (tmp_path / "space.toml").write_text(
        '[optim.name]\nchoices = ["adamw", "sgd"]\n[optim.momentum]\nlow = 0.5\nhigh = 0.9\n'
    )
    done = limpid(*COMMAND, "--space", "space.toml")
    assert done.code == 2
    assert "momentum" in done.err
    assert "adamw" in done.err
    assert not list(tmp_path.glob("runs/*"))


def test_what_the_terminal_prints(limpid: Callable[..., Any], tmp_path) -> None:
    done = limpid(*COMMAND, "--budget", "4", "--seeds", "2", "--out", "s")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert any(line.startswith("search: 4 trials, sampler random, judged by loss") for line in lines)
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("trial ")) :]
    assert {line.split()[0] for line in table[1:5]} == {"0", "1", "2", "3"}
    assert sum(line.endswith("best") for line in table[1:5]) >= 1
    assert any(line.startswith("winner: trial ") and "mean of 2 seeds, 95 % interval" in line for line in lines)
    assert any(line.startswith("test accuracy ") for line in lines)
    assert "\x1b" not in done.out, "no bar where nobody looks at a screen"
    assert lines[-1] == "report s/report.html"
    assert (tmp_path / "s" / "report.html").is_file()
    shown = limpid("tune", "--show", "s")
    assert shown.code == 0
    assert shown.out.splitlines()[-1] == done.out.splitlines()[-1]
    assert "winner: trial" in shown.out


def test_a_bar_moves_on_a_terminal(tmp_path) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    seconds = iter(range(10_000))
    screen = SearchScreen(stream=Terminal())
    screen.progress._clock = lambda: float(next(seconds))
    tuned(tmp_path / "s", seeds=2, observer=screen)
    drawn = screen.progress.stream.getvalue()
    assert "epoch 6/6" in drawn, "three trials of two epochs"
    assert "epoch 12/12" in drawn, "three finalists, two seeds, two epochs"


def test_one_json_object_per_line(limpid: Callable[..., Any]) -> None:
    done = limpid(*COMMAND, "--budget", "2", "--seeds", "1", "--json", "--out", "s")
    rows = [json.loads(line) for line in done.out.splitlines()]
    expected = ["search", "finding", "way", "trial", "trial", "final", "final", "result"]
    assert [row["event"] for row in rows] == expected
    assert (rows[1]["code"], rows[1]["level"]) == ("D15", "note")
    assert rows[-1]["winner"]["best"] == "best"
    assert rows[-1]["run"].endswith("best")


def test_quiet_is_quiet(limpid: Callable[..., Any]) -> None:
    assert limpid(*COMMAND, "--budget", "1", "--seeds", "0", "--quiet", "--out", "s") == (0, "", "")


def test_what_a_search_that_goes_on_refuses(limpid: Callable[..., Any], tmp_path) -> None:
    assert limpid(*COMMAND, "--budget", "2", "--seeds", "0", "--quiet", "--out", "s").code == 0
    done = limpid("tune", "--resume", "s", "--lr", "0.1")
    assert (done.code, "leave out --lr" in done.err) == (2, True)
    assert "leave out --sampler" in limpid("tune", "--resume", "s", "--sampler", "tpe").err
    assert limpid("tune", "--resume", "s", "--budget", "0").code == 2
    assert limpid("tune", "--resume", "s/best").code == 2
    assert "is no search" in limpid("tune", "--show", "s/best").err
    assert limpid("train", "moons", "--out", "s").code == 2
    assert "limpid tune --resume s" in limpid("train", "--resume", "s").err
    (tmp_path / "x.csv").write_text("0,0\n")
    assert "a run of its own: s/best" in limpid("predict", "s", "x.csv").err
    done = limpid("tune", "--resume", "s", "--budget", "3")
    assert done.code == 0
    assert "search: 3 trials" in done.out
