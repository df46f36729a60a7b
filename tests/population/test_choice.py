"""Which way members are trained: what is told, and that it is taken."""

from __future__ import annotations

from typing import Any

import pytest

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.population import choice
from limpid.population.choice import Choice, train_by_choice
from limpid.population.executors import train_population
from limpid.population.ground import Ground
from limpid.population.host import Host, Listed
from limpid.population.member import Member, Outcome

MOONS = {"data__source": "moons", "data__size": 120, "model__name": "mlp", "model__hidden": (8,), "epochs": 2}


def member(number: int, **options: Any) -> Member:
    return Member(number, with_options(Config(), {"training__threads": 1, "seed": number} | MOONS | options))


def chosen(members: list[Member]) -> tuple[list[Choice], dict[int, Outcome]]:
    told: list[Choice] = []
    host = Listed(members)
    train_population(host, Ground(), on="auto", tell=told.append)
    assert sorted(host.outcomes) == sorted(one.number for one in members)
    return told, host.outcomes


def slower(monkeypatch: pytest.MonkeyPatch, *, alone: float, stacked: float, cores: int) -> list[str]:
    """Let the races end as given, and note which executor is called."""
    called: list[str] = []
    monkeypatch.setattr(choice, "SURE_WEIGHTS", 0)
    monkeypatch.setattr(choice, "_step_alone", lambda ground, member: alone)
    monkeypatch.setattr(choice, "_step_stacked", lambda ground, members: stacked)
    monkeypatch.setattr(choice, "usable_cores", lambda: cores)

    def processes(host: Host, ground: Ground, *, stop: Any) -> None:
        called.append("processes")
        choice.train_one_by_one(host, ground, stop=stop)

    monkeypatch.setattr(choice, "train_in_processes", processes)
    return called


def test_small_networks_are_stacked_by_what_they_agree_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "usable_cores", lambda: 2)
    told, outcomes = chosen([member(i, batch_size=(8, 16)[i % 2]) for i in range(5)])
    assert [(one.way, one.members) for one in told] == [("stacked", 3), ("stacked", 2)]
    assert told[0].text() == "3 networks as one program: 33 weights each leave a core little to do"
    assert {outcome.state for outcome in outcomes.values()} == {"finished"}


def test_one_alone_is_no_population() -> None:
    told, _ = chosen([member(0)])
    assert told[0].text() == "1 network one after another: no other of its form and batch size"


def test_those_who_fit_nobody_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    slower(monkeypatch, alone=1.0, stacked=1e-4, cores=2)
    told, _ = chosen([member(i, batch_size=8 + i) for i in range(3)])
    assert (told[0].way, told[0].members) == ("processes", 3)


def test_what_is_not_stacked_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "usable_cores", lambda: 1)
    told, outcomes = chosen([member(i, optim__ema=0.9) for i in range(2)])
    assert [(one.way, one.reason) for one in told] == [("one-by-one", "averaged weights")]
    assert {outcome.state for outcome in outcomes.values()} == {"finished"}


@pytest.mark.parametrize(
    ("alone", "stacked", "cores", "way"),
    [
        (1e-3, 1e-4, 2, "stacked"),
        (1e-4, 1e-3, 2, "one-by-one"),
        (1.0, 2.0, 2, "processes"),
        (1.0, 0.1, 2, "stacked"),
        (1.0, 2.0, 1, "one-by-one"),
        (1e-4, 2.0, 64, "one-by-one"),  # over before a process has started
    ],
)
def test_the_faster_way_is_taken(
    monkeypatch: pytest.MonkeyPatch, alone: float, stacked: float, cores: int, way: str
) -> None:
    called = slower(monkeypatch, alone=alone, stacked=stacked, cores=cores)
    told, _ = chosen([member(i) for i in range(4)])
    assert {one.way for one in told} == {way}
    assert bool(called) == (way == "processes")


def test_long_trainings_that_cannot_be_stacked_go_to_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    slower(monkeypatch, alone=1.0, stacked=1.0, cores=2)
    told, _ = chosen([member(i, optim__ema=0.9) for i in range(3)])
    assert told[0].way == "processes"
    assert "averaged weights; a training takes about" in told[0].reason


def test_one_that_does_not_fit_in_memory_fails_when_its_turn_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "usable_cores", lambda: 2)
    large = {"data__size": 1000, "model__hidden": (600, 600), "batch_size": 700}

    def full(*args: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr("limpid.training.step.nn.Module.__call__", full)
    told, outcomes = chosen([member(i, **large) for i in range(2)])
    assert [one.way for one in told] == ["one-by-one"]
    assert {(outcome.state, outcome.reason[:22]) for outcome in outcomes.values()} == {
        ("failed", "It does not fit in mem")
    }


def test_the_race_itself_leaves_no_trace() -> None:
    """Members that were timed are trained from their first weights, as if nobody had looked."""
    members = [member(i) for i in range(3)]
    ground = Ground()
    assert choice._step_alone(ground, members[0]) > 0
    assert choice._step_stacked(ground, members) > 0
    host, fresh = Listed(members), Listed(members)
    train_by_choice(host, ground)
    train_by_choice(fresh, Ground())
    assert [host.outcomes[i].figures for i in range(3)] == [fresh.outcomes[i].figures for i in range(3)]
