"""A search that is stopped, killed at any moment or extended: no trial lost, none trained twice that had ended."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

import limpid
from limpid.errors import ConfigError, RecordError, Stopped
from limpid.record import files
from limpid.record.run import Run
from limpid.reporting.search_lines import next_command
from limpid.search.result import SearchResult
from limpid.search.trials import Silence

SPACE = {"optim": {"lr": {"low": 1e-4, "high": 1.0, "scale": "log"}}}
ASKED = {"space": SPACE, "budget": 5, "seeds": 2, "on": "one-by-one"}
SMALL = {"model": "linear", "epochs": 2, "size": 60, "training__threads": 1, "record__report": False}


class Killed(BaseException):
    """What no part of Limpid catches."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    return limpid.tune("moons", **ASKED, **SMALL, out=str(tmp_path_factory.mktemp("whole") / "search"))


@pytest.fixture(autouse=True)
def _no_hook() -> Iterator[None]:
    yield
    files.operation_hook = None


def die_at(moment: int) -> list[int]:
    """Let the process die before its file operation of this number, and do none after it; returns the count so far."""
    count = [0]

    def hook(operation: str, path: Path) -> None:
        if operation in ("write", "rename", "mkdir"):
            count[0] += 1
        if count[0] > moment:
            raise Killed

    files.operation_hook = hook  # type: ignore[assignment]
    return count


def told(search: SearchResult) -> list[Any]:
    """What a search found, without times and without the order in which the rows stand."""
    rows = [
        {key: row[key] for key in ("number", "stage", "params", "seed", "state", "figures", "best_epoch")}
        for row in [*search.trials, *sorted(search.finals, key=lambda row: row["number"])]
    ]
    won = {key: value for key, value in search.winner.items() if key not in ("kind", "time")}
    return [rows, won, search.best_run.events("result")[0]["loss"], search.best_config.read_text()]


def check_sound(search: SearchResult) -> None:
    """Nothing stands twice in the record, and optuna knows the same trials."""
    members = [row["number"] for row in (*search.trials, *search.finals)]
    assert len(set(members)) == len(members)
    epochs = Counter((row["member"], row["split"], row["epoch"]) for row in search.run.events("metric"))
    assert set(epochs.values()) == {1}
    assert {member for member, _, _ in epochs} == set(members)
    assert [row["status"] for row in search.run.events("end")] == ["finished"]
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(search.path / "study.log")))
    trials = optuna.load_study(study_name=None, storage=storage).trials
    assert [(trial.number, trial.params, trial.value) for trial in trials] == [
        (row["number"], row["params"], row["figure"]) for row in search.trials
    ]
    assert all(trial.state == optuna.trial.TrialState.COMPLETE for trial in trials)


def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(tmp_path, whole: SearchResult) -> None:
    counted = die_at(10**9)
    limpid.tune("moons", **ASKED, **SMALL, out=str(tmp_path / "counted"))
    moments = random.Random(0).sample(range(counted[0]), 6)
    for moment in moments:
        out = tmp_path / str(moment)
        die_at(moment)
        with pytest.raises(Killed):
            limpid.tune("moons", **ASKED, **SMALL, out=str(out))
        files.operation_hook = None
        if not (out / "run.json").exists():  # before anything was asked
            continue
        before = {row["number"]: row for row in Run.open(out).events("member")}
        search = limpid.tune(resume=out, on="one-by-one")
        after = {row["number"]: row for row in search.run.events("member")}
        assert all(after[number] == row for number, row in before.items()), "what had ended was trained again"
        check_sound(search)
        assert told(search) == told(whole)


def test_killed_again_and_again(tmp_path, whole: SearchResult) -> None:
    out, moment = tmp_path / "search", 12
    die_at(moment)
    with pytest.raises(Killed):
        limpid.tune("moons", **ASKED, **SMALL, out=str(out))
    for _ in range(200):
        die_at(moment)
        try:
            search = limpid.tune(resume=out, on="one-by-one")
            break
        except Killed:
            moment += 1
    check_sound(search)
    assert told(search) == told(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [("tpe", "median"), ("gp", "none"), ("cma-es", "median"), ("evolution", "median"), ("two-stage", "none")],
)
def test_samplers_that_learn_go_on_as_they_would_have(tmp_path, sampler: str, pruner: str) -> None:
    space = {**SPACE, "training": {"batch_size": {"choices": [8, 16]}}}
    asked = {**ASKED, "space": space, "budget": 14, "seeds": 1, "sampler": sampler, "pruner": pruner}
    small = {**SMALL, "epochs": 4}
    plain = limpid.tune("moons", **asked, **small, out=str(tmp_path / "whole"))
    moment, out = 25, tmp_path / "search"
    die_at(moment)
    with pytest.raises(Killed):
        limpid.tune("moons", **asked, **small, out=str(out))
    for _ in range(50):
        die_at(moment)
        try:
            search = limpid.tune(resume=out, on="one-by-one")
            break
        except Killed:
            moment += 1
    told = [[(row["params"], row["state"], row["figures"]) for row in one.trials] for one in (plain, search)]
    assert told[0] == told[1]
    assert search.best == plain.best


def test_what_was_in_training_keeps_its_number_and_values(tmp_path) -> None:
    class Dying(Silence):
        def trial(self, row: Any, *, best: bool) -> None:
            raise Killed

    with pytest.raises(Killed):
        limpid.tune("moons", **{**ASKED, "on": "stacked"}, **SMALL, out=str(tmp_path / "s"), observer=Dying())
    lines = (tmp_path / "s" / "study.log").read_text().splitlines()
    asked = [json.loads(line)["param_value_internal"] for line in lines if '"param_name"' in line]
    assert len(asked) == 5, "a stack takes all of them at once"
    search = limpid.tune(resume=tmp_path / "s")
    assert [row["params"]["optim.lr"] for row in search.trials] == asked
    check_sound(search)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_it_between_steps(tmp_path, whole: SearchResult, number: signal.Signals, code: int) -> None:
    class Stopping(Silence):
        heard = 0

        def trial(self, row: Any, *, best: bool) -> None:
            self.heard += 1
            if self.heard == 2:
                os.kill(os.getpid(), number)

    with pytest.raises(Stopped, match=r"limpid tune --resume .*search") as stopped:
        limpid.tune("moons", **ASKED, **SMALL, out=str(tmp_path / "search"), observer=Stopping())
    assert stopped.value.exit_code == code
    run = Run.open(tmp_path / "search")
    assert [row["status"] for row in run.events("end")] == ["stopped"]
    assert 2 <= len(run.events("member")) < 5
    search = limpid.tune(resume=tmp_path / "search", on="one-by-one")
    check_sound(search)
    assert told(search) == told(whole)


def test_a_search_can_be_extended(tmp_path, whole: SearchResult) -> None:
    short = limpid.tune("moons", **{**ASKED, "budget": 3}, **SMALL, out=str(tmp_path / "search"))
    first = {row["number"]: row for row in (*short.trials, *short.finals)}
    clock = short.run.events("end")[0]["seconds"]
    events = (short.path / "events.jsonl").read_bytes()
    assert limpid.tune(resume=short.path).best == short.best
    assert (short.path / "events.jsonl").read_bytes() == events, "a finished search is left as it is"
    longer = limpid.tune(resume=short.path, budget=5)
    check_sound(longer)
    rows = {row["number"]: row for row in (*longer.trials, *longer.finals)}
    assert all(rows[number] == row for number, row in first.items())
    assert [row["params"] for row in longer.trials] == [row["params"] for row in whole.trials]
    assert longer.best == whole.best != short.best
    assert longer.best_run.header["trial"] == whole.winner["trial"]
    assert "second look" in longer.run.events("note")[-1]["text"]
    assert [row["budget"] for row in longer.run.events("extension")] == [5]
    assert longer.run.events("end")[0]["seconds"] > clock > 0, "the time of both"
    with pytest.raises(RecordError, match="5 trials already"):
        limpid.tune(resume=short.path, budget=4)


def test_a_grid_is_not_extended_but_laid_out_anew(tmp_path) -> None:
    search = limpid.tune(
        "moons", **{**ASKED, "budget": 3, "seeds": 0}, sampler="grid", **SMALL, out=str(tmp_path / "s")
    )
    with pytest.raises(ConfigError, match=r"laid out for 3 trials and has 3 points"):
        limpid.tune(resume=search.path, budget=5)
    assert limpid.tune(resume=search.path, budget=3).best == search.best
    command = next_command(search.run.events("next")[0], search.path)
    assert "--budget 25 --sampler grid" in command
    assert "--resume" not in command


def test_the_weights_of_the_winner_are_made_again_where_a_crash_lost_them(tmp_path, whole: SearchResult) -> None:
    class Dying(Silence):
        def final(self, row: Any) -> None:
            raise Killed

    with pytest.raises(Killed):
        limpid.tune("moons", **ASKED, **SMALL, out=str(tmp_path / "search"), observer=Dying())
    for path in (tmp_path / "search" / "kept").iterdir():
        path.write_bytes(path.read_bytes()[:40])
    search = limpid.tune(resume=tmp_path / "search", on="one-by-one")
    assert told(search) == told(whole)
    assert "trained once more" in search.run.events("note")[-1]["text"]


@pytest.mark.parametrize("lost", ["study.log", "events.jsonl"])
def test_one_of_the_two_records_is_lost(tmp_path, whole: SearchResult, lost: str) -> None:
    """As a crash of the machine may leave them."""
    search = limpid.tune("moons", **{**ASKED, "budget": 4}, **SMALL, out=str(tmp_path / "search"))
    lines = (search.path / lost).read_text().splitlines(keepends=True)
    (search.path / lost).write_text("".join(lines[: len(lines) // 2]) + lines[len(lines) // 2][:9])
    longer = limpid.tune(resume=search.path, budget=5, on="one-by-one")
    check_sound(longer)
    assert [row["figures"] for row in longer.trials] == [row["figures"] for row in whole.trials]
    assert longer.best == whole.best


def test_a_damaged_study_is_said_again_and_again(tmp_path) -> None:
    search = limpid.tune("moons", **{**ASKED, "budget": 1, "seeds": 0}, **SMALL, out=str(tmp_path / "search"))
    log = search.path / "study.log"
    log.write_text("no operation\n" + log.read_text())
    for _ in range(2):  # the folder is not held by the first time
        with pytest.raises(RecordError, match=r"study.log, line 1 is damaged"):
            limpid.tune(resume=search.path, budget=2)


def test_what_is_being_written_can_be_read(tmp_path) -> None:
    seen: list[int] = []

    class Reading(Silence):
        def trial(self, row: Any, *, best: bool) -> None:
            run = Run.open(tmp_path / "search")
            seen.append(len(run.events("member")))
            with pytest.raises(RecordError, match="is writing this run"):
                Run.open(tmp_path / "search", write=True)

    limpid.tune("moons", **ASKED, **SMALL, out=str(tmp_path / "search"), observer=Reading())
    assert seen == [1, 2, 3, 4, 5]


def num_members(search: Path) -> int:
    """Rows of members so far, counted cheaply."""
    log = search / "events.jsonl"
    return log.read_bytes().count(b'"kind": "member"') if log.exists() else 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_kills_of_a_process(tmp_path, whole: SearchResult) -> None:
    space = tmp_path / "space.toml"
    space.write_text("[optim.lr]\nlow = 1e-4\nhigh = 1.0\nscale = 'log'\n")
    out, draw = tmp_path / "search", random.Random(1)
    begin = [*("moons", "--model", "linear", "--epochs", "40", "--size", "60", "--seed", "0", "--budget", "30")]
    begin += [*("--seeds", "2", "--set", "training.threads=1", "--space", str(space), "--out", str(out))]
    kills, arguments = 0, begin
    ended: dict[int, Any] = {}
    while kills < 20:
        process = subprocess.Popen([sys.executable, "-m", "limpid", "tune", *arguments, "--on", "one-by-one", "-q"])
        while process.poll() is None and not (out / "run.json").exists():
            time.sleep(0.01)
        while process.poll() is None and num_members(out) <= len(ended):
            time.sleep(0.02)
        time.sleep(draw.uniform(0.0, 0.15))
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
        now = {row["number"]: row for row in Run.open(out).events("member")}
        assert all(now[number] == row for number, row in ended.items())
        ended, arguments = now, ["--resume", str(out)]
    search = limpid.tune(resume=out)
    assert kills >= 15
    check_sound(search)
    assert len(search.trials) == 30
