"""Members in stacks, one for each core: the outcomes of one by one, and what befalls one of a hand ends no other."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.data.dataset import ResidentRows
from limpid.errors import Stopped
from limpid.population import crew, processes
from limpid.population.dealing import Dealer
from limpid.population.ground import Ground
from limpid.population.host import Listed, Told
from limpid.population.member import Member, Outcome
from limpid.population.one_by_one import train_one_by_one
from limpid.population.processes import train_in_stacks
from limpid.training.signals import StopRequest
from tests.population.test_stack import assert_same

MOONS = {"data__source": "moons", "data__size": 240, "model__name": "mlp", "model__hidden": (8,), "epochs": 3}


def member(number: int, bootstrap: int | None = None, **options: Any) -> Member:
    return Member(number, with_options(Config(), MOONS | {"training__threads": 1, "seed": number} | options), bootstrap)


class Noting(Listed):
    """Remembers what it heard, and in what company."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__(members)
        self.heard: list[list[tuple[int, int]]] = []

    def epochs(self, told: Sequence[Told]) -> list[bool]:
        self.heard.append([(one.member.number, one.row["epoch"]) for one in told])
        return [self.goes_on(*self.heard[-1][place]) for place in range(len(told))]

    def goes_on(self, number: int, epoch: int) -> bool:
        return True

    @property
    def each(self) -> list[tuple[int, int]]:
        return sorted(one for told in self.heard for one in told)


def alone(members: Sequence[Member]) -> dict[int, Outcome]:
    host = Listed(members)
    train_one_by_one(host, Ground())
    return host.outcomes


def test_outcomes_are_those_of_one_by_one() -> None:
    members = [
        *(member(i, batch_size=16, lr=0.01 * (i + 1)) for i in range(3)),
        *(member(i, batch_size=32, bootstrap=i) for i in range(3, 5)),
        member(5, optim__ema=0.9),
        member(6, lr=1e30, optimizer="sgd", batch_size=16),
        member(7, model__hidden=(2**24, 2**24)),
        member(8, data__source="no/such/file.csv"),
    ]
    host, twins = Noting(members), alone(members)
    train_in_stacks(host, Ground(), jobs=2)
    assert [host.outcomes[i].state for i in range(9)] == 6 * ["finished"] + 3 * ["failed"]
    for number, twin in twins.items():
        assert_same(twin, host.outcomes[number])
    assert host.each == [(number, epoch) for number in range(6) for epoch in (1, 2, 3)]
    assert any(len(told) > 1 for told in host.heard), "an epoch of many is one message"
    assert multiprocessing.active_children() == []


def test_a_member_may_be_let_go_and_another_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    class Strict(Noting):
        def goes_on(self, number: int, epoch: int) -> bool:
            return (number, epoch) != (1, 2)

    monkeypatch.setattr("limpid.population.dealing.width_of", lambda num_weights: 3)
    members = [member(i) for i in range(7)]
    host, twins = Strict(members), alone(members)
    train_in_stacks(host, Ground(), jobs=1)
    assert (host.outcomes[1].state, host.outcomes[1].epochs) == ("pruned", 2)
    for number in (0, 2, 3, 4, 5, 6):
        assert_same(twins[number], host.outcomes[number])
    assert [(0, 3), (2, 3), (3, 1)] in [sorted(told) for told in host.heard], "3 has the place of 1"


def test_a_host_that_waits_for_answers_is_asked_again() -> None:
    class Patient(Listed):
        given = 0

        def next(self) -> Member | None:
            if self.given > len(self.outcomes) + 1 or self.given == 6:
                return None
            self.given += 1
            return member(self.given - 1, batch_size=(8, 16)[self.given % 2])

    host = Patient([])
    train_in_stacks(host, Ground(), jobs=2)
    assert sorted(host.outcomes) == list(range(6))
    assert {outcome.state for outcome in host.outcomes.values()} == {"finished"}


@pytest.mark.parametrize("guilty", [None, 2], ids=["by chance", "by one of them"])
def test_a_killed_worker_fails_nobody_but_who_was_alone_with_it(
    monkeypatch: pytest.MonkeyPatch, guilty: int | None
) -> None:
    speaking: list[crew.Worker] = []
    attend = processes._attend

    def note(worker: crew.Worker, *others: Any) -> None:
        speaking[:] = [worker]
        attend(worker, *others)

    class Murderous(Noting):
        killed = 0

        def goes_on(self, number: int, epoch: int) -> bool:
            if number == 2 and epoch == 2 + self.killed and (guilty or not self.killed):
                self.killed += 1
                os.kill(speaking[0].process.pid, signal.SIGKILL)
                speaking[0].process.join()
            return True

    monkeypatch.setattr(processes, "_attend", note)
    members = [member(i) for i in range(4)] + [member(4, batch_size=8)]
    host, twins = Murderous(members), alone(members)
    train_in_stacks(host, Ground(), jobs=1)
    for number in range(5):
        if number == guilty:
            assert host.outcomes[number].state == "failed"
            assert "killed (SIGKILL), most likely because the machine ran out of memory" in host.outcomes[number].reason
        else:
            assert_same(twins[number], host.outcomes[number])
    assert host.each == [(number, epoch) for number in range(5) for epoch in (1, 2, 3)], "no epoch is told twice"
    assert multiprocessing.active_children() == []


def test_our_own_mistake_is_an_outcome() -> None:
    ground = Ground()
    whole = ground.dataset(member(0).config)
    rows = whole.train.rows
    assert isinstance(rows, ResidentRows)
    torn = replace(whole, train=replace(whole.train, rows=ResidentRows((rows.tensors[0][:5],))))
    broken = [member(i, data__noise=0.3) for i in (2, 3)]
    ground.hold(broken[0].config, torn)
    host = Listed([member(0), member(1), *broken])
    train_in_stacks(host, ground, jobs=2)
    assert [host.outcomes[i].state for i in range(4)] == ["finished", "finished", "failed", "failed"]
    for number in (2, 3):
        assert host.outcomes[number].reason.startswith("Unexpected IndexError: ")
        assert "limpid/data/loader.py, line " in host.outcomes[number].reason, "it was tried once more, alone"


def test_a_request_to_stop_is_heard() -> None:
    stop = StopRequest()

    class Interrupted(Noting):
        def goes_on(self, number: int, epoch: int) -> bool:
            stop.requested = "SIGINT" if epoch == 2 else None
            return True

    with pytest.raises(Stopped, match=r"Stopped by SIGINT; 3 member\(s\) in training were given up"):
        train_in_stacks(Interrupted([member(i, epochs=1000) for i in range(3)]), Ground(), stop=stop, jobs=1)
    assert multiprocessing.active_children() == []


def dealt(members: Sequence[Member], workers: int) -> list[list[int]]:
    """The hands that so many workers get when all are idle, by the numbers of their members."""
    dealer, hands = Dealer(Listed(members), Ground(), ahead=1000), []
    for idle in range(workers, 0, -1):
        if dealer.ask():
            hands.append(list(dealer.deal(idle).members))
    return hands


def test_hands_are_shares_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dealt([member(i) for i in range(5)], 2) == [[0, 1, 2], [3, 4]]
    assert dealt([member(0)], 2) == [[0]]
    both = [*(member(i, batch_size=32) for i in range(4)), *(member(i, batch_size=8) for i in range(4, 8))]
    assert dealt(both, 2) == [[4, 5, 6, 7], [0, 1, 2, 3]], "a stack of one is not left behind"
    monkeypatch.setattr("limpid.population.dealing.LEAST_WIDTH", 1)
    assert dealt(both, 2) == [[4, 5, 6], [0, 1, 2, 3]], "5 units of work are 4 + 1; each is to have 2.5"
    assert dealt([member(i, optim__ema=0.9) for i in range(4)], 2) == [[0], [1]], "none of these fit together"
    monkeypatch.setattr("limpid.population.dealing.width_of", lambda num_weights: 3)
    assert dealt([member(i) for i in range(10)], 2) == [[0, 1, 2], [3, 4, 5]]
    assert dealt([member(i) for i in range(8)], 2) == [[0, 1], [2, 3, 4]], "two rounds of two, not three and one"
