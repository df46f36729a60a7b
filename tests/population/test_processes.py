"""Members in worker processes: the same outcomes as one by one, and what kills a worker ends nothing but its member."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.data.dataset import ResidentRows
from limpid.population import crew, processes
from limpid.population.crew import threads_each
from limpid.population.dealing import Hand, Kind
from limpid.population.executors import train_population
from limpid.population.ground import Ground
from limpid.population.host import Listed
from limpid.population.member import Member, Outcome
from limpid.population.one_by_one import train_one_by_one
from limpid.population.processes import train_in_processes

SHORT = {"epochs": 2, "training__threads": 1}
SMALL = {"data__source": "moons", "model__name": "mlp", "model__hidden": (8,)} | SHORT


def member(number: int, bootstrap: int | None = None, **options: object) -> Member:
    return Member(number, with_options(Config(), SMALL | {"seed": number} | options), bootstrap)


def assert_same(one: Outcome, other: Outcome) -> None:
    """Bit for bit, clocks aside."""
    assert replace(one, seconds=0.0, rows=(), weights=None) == replace(other, seconds=0.0, rows=(), weights=None)
    clocks = ("seconds", "samples_per_second")
    mine, theirs = ([{k: v for k, v in row.items() if k not in clocks} for row in each.rows] for each in (one, other))
    assert mine == theirs
    assert one.weights is not None
    assert other.weights is not None
    assert one.weights.keys() == other.weights.keys()
    assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_outcomes_are_those_of_one_by_one(tmp_path: Path) -> None:
    series = tmp_path / "walk.csv"
    series.write_text("v\n" + "\n".join(f"{v:.3f}" for v in np.random.default_rng(1).normal(size=300).cumsum()) + "\n")
    windows = {"data__source": str(series), "data__form": "series", "data__window": 8, "data__horizon": 2}
    recurrent = with_options(Config(), SHORT | windows | {"model__name": "gru"})
    members = [member(0), member(1), member(2, bootstrap=7), Member(3, recurrent)]
    alone, together = Listed(members), Listed(members)
    train_one_by_one(alone, Ground())
    train_in_processes(together, Ground(), jobs=2)
    for i in range(4):
        assert alone.outcomes[i].state == "finished", alone.outcomes[i].reason
        assert_same(alone.outcomes[i], together.outcomes[i])


def test_a_host_decides_on_every_epoch_before_the_next() -> None:
    class Strict(Listed):
        heard: list[tuple[int, int]] = []

        def epochs(self, told: Any) -> list[bool]:
            return [self.epoch(*one) for one in told]

        def epoch(self, member: Member, row: Any, valid_row: Any) -> bool:
            self.heard.append((member.number, row["epoch"]))
            assert valid_row["split"] == "valid"
            return not (member.number == 1 and row["epoch"] == 2)

    host = Strict([member(i, epochs=3) for i in range(3)])
    train_population(host, Ground(), on="processes")
    assert [host.outcomes[i].state for i in range(3)] == ["finished", "pruned", "finished"]
    assert host.outcomes[1].epochs == 2
    assert sorted(host.heard) == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3)]


def test_a_host_may_wait_for_an_outcome_before_it_asks_for_more() -> None:
    class Patient(Listed):
        given = 0

        def next(self) -> Member | None:
            if self.given > len(self.outcomes) or self.given == 3:
                return None
            self.given += 1
            return member(self.given - 1)

    host = Patient([])
    train_in_processes(host, Ground(), jobs=2)
    assert sorted(host.outcomes) == [0, 1, 2]


def test_a_killed_worker_fails_its_member_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    speaking: list[crew.Worker] = []
    attend = processes._attend

    def note(worker: crew.Worker, *others: Any) -> None:
        speaking[:] = [worker]
        attend(worker, *others)

    class Murderous(Listed):
        def epochs(self, told: Any) -> list[bool]:
            return [self.epoch(*one) for one in told]

        def epoch(self, member: Member, row: Any, valid_row: Any) -> bool:
            if member.number == 1 and row["epoch"] == 2:
                os.kill(speaking[0].process.pid, signal.SIGKILL)
                speaking[0].process.join()
            return True

    monkeypatch.setattr(processes, "_attend", note)
    host = Murderous([member(i, epochs=3) for i in range(5)])
    train_in_processes(host, Ground(), jobs=2)
    assert [host.outcomes[i].state for i in range(5)] == ["finished", "failed", "finished", "finished", "finished"]
    assert "killed (SIGKILL), most likely because the machine ran out of memory" in host.outcomes[1].reason
    assert multiprocessing.active_children() == []


def test_failures_are_outcomes_wherever_they_happen() -> None:
    ground = Ground()
    whole = ground.dataset(member(0).config)
    rows = whole.train.rows
    assert isinstance(rows, ResidentRows)
    torn = replace(whole, train=replace(whole.train, rows=ResidentRows((rows.tensors[0][:5],))))
    broken = member(3, data__noise=0.3)
    ground.hold(broken.config, torn)
    members = [
        member(0),
        member(1, lr=1e30, optimizer="sgd"),
        member(2, model__hidden=(2**24, 2**24)),
        broken,
        member(4, data__source="no/such/file.csv"),
        member(5),
    ]
    host = Listed(members)
    train_in_processes(host, ground, jobs=2)
    reasons = {i: outcome.reason for i, outcome in host.outcomes.items() if outcome.state == "failed"}
    assert sorted(reasons) == [1, 2, 3, 4]
    assert "NaN or infinite" in reasons[1]
    assert reasons[2] == (
        "It does not fit in memory: one tensor of it takes 1 PiB. Use a smaller network or smaller batches."
    )
    assert reasons[3].startswith("Unexpected IndexError: ")
    assert "limpid/data/loader.py, line " in reasons[3]
    assert "no/such/file.csv" in reasons[4]


def test_threads_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.population.crew.usable_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads_each(jobs) for jobs in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [threads_each(jobs) for jobs in (1, 2, 3, 8, 20)] == [3, 3, 2, 1, 1]


def test_members_with_threads_of_their_own_do_not_crowd_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.population.crew.usable_cores", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def most_at_once(jobs: int, threads: int | None) -> int:
        workers = crew.Crew(jobs, "")
        asked = Hand(Kind(None), {0: member(0, training__threads=threads)}, most=1)  # type: ignore[arg-type]
        while workers.has_room:
            monkeypatch.setattr(workers, "_latest", workers._threads_of(asked))
            if not workers.has_room:
                break
            workers._workers.append(crew.Worker(None, None, asked))  # type: ignore[arg-type]
        return len(workers.busy)

    assert [most_at_once(4, threads) for threads in (None, 1, 2, 3, 4, 9)] == [4, 4, 2, 1, 1, 1]
    assert [most_at_once(2, threads) for threads in (None, 1, 2, 4)] == [2, 2, 2, 1]
    assert most_at_once(8, None) == 8


def test_an_error_of_the_host_ends_the_workers() -> None:
    class Broken(Listed):
        def epochs(self, told: Any) -> list[bool]:
            return [self.epoch(*one) for one in told]

        def epoch(self, member: Member, row: Any, valid_row: Any) -> bool:
            raise OSError("the host's own mistake")

    with pytest.raises(OSError, match="own mistake"):
        train_in_processes(Broken([member(0), member(1)]), Ground(), jobs=2)
    assert multiprocessing.active_children() == []
