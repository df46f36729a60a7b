"""Which way members are trained: what is told, and that it is taken."""

from __future__ import annotations

import math
from typing import Any

import pytest

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.population import choice
from limpid.population.choice import Choice, train_by_choice
from limpid.population.dealing import Dealer
from limpid.population.executors import train_population
from limpid.population.ground import Ground
from limpid.population.host import Listed
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
    monkeypatch.setattr(choice, "seconds_until_ready", lambda: 2.0)
    monkeypatch.setattr(choice, "_step_alone", lambda ground, member: alone)
    monkeypatch.setattr(choice, "_step_stacked", lambda ground, members: stacked)
    monkeypatch.setattr(choice, "usable_cores", lambda: cores)

    def workers(dealer: Dealer, *, stop: Any) -> None:
        called.extend("stacks" if (kind.width or 1) > 1 else "processes" for kind in dealer.kinds.values())
        choice.train_stacked(choice._Some(dealer, list(dealer.kinds.values())), dealer.ground, stop=stop)

    monkeypatch.setattr(choice, "train_dealt", workers)
    return called


def test_small_networks_are_stacked_by_what_they_agree_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "usable_cores", lambda: 2)
    told, outcomes = chosen([member(i, batch_size=(8, 16)[i % 2]) for i in range(5)])
    assert [(one.way, one.members) for one in told] == [("stacked", 3), ("stacked", 2)]
    assert told[0].text() == "3 networks as one program: 33 weights each leave a core little to do"
    assert {outcome.state for outcome in outcomes.values()} == {"finished"}


def test_cores_share_what_is_small_once_there_is_much_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the time of two kinds together against what it takes until workers begin."""
    called = slower(monkeypatch, alone=math.nan, stacked=1e-3, cores=2)
    monkeypatch.setattr(choice, "SURE_WEIGHTS", 2**14)
    members = [member(i, batch_size=(8, 16)[i % 2]) for i in range(5)]
    steps = 3 * 2 * math.ceil(84 / 8) + 2 * 2 * math.ceil(84 / 16)  # of 120 rows 84 train
    least = (
        1e3 * choice.HIRE_SECONDS / (choice.MUST_GAIN - 0.5) / steps
    )  # thousandths of a second of a step, where workers are ready
    for ready, step, way in (
        (0.0, 1.1 * least, "stacks"),
        (0.0, 0.9 * least, "stacked"),
        (2.0, 1.1 * least, "stacked"),
    ):
        monkeypatch.setattr(choice, "seconds_until_ready", lambda ready=ready: ready)
        monkeypatch.setattr(choice, "_step_stacked", lambda ground, members, step=step: 1e-3 * step)
        called.clear()
        told, _ = chosen(members)
        assert {one.way for one in told} == {way}, (ready, step)
        assert called == (["stacks", "stacks"] if way == "stacks" else [])
        if way == "stacks":
            assert [one.members for one in told] == [5]
            assert told[0].text().startswith("5 networks as one program for each core: 33 weights each leave a core li")
            assert told[0].text().endswith(", and there are 2 cores")


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
        (2.0, 1.0, 2, "stacks"),
        (1.0, 0.1, 1, "stacked"),
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
    assert called == ([way] if way in ("processes", "stacks") else [])


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
