"""Members on a Ray cluster: the same outcomes as one by one, lost workers, and what is said where there is no Ray."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.errors import ConfigError, MissingExtra
from limpid.population import on_ray
from limpid.population.executors import find_executor, train_population
from limpid.population.ground import Ground
from limpid.population.host import Listed
from limpid.population.lone import train_member
from limpid.population.member import Member
from limpid.population.on_ray import Seat
from limpid.population.shared_data import unpack

SMALL = {"data__source": "moons", "model__name": "mlp", "model__hidden": (8,), "epochs": 3, "training__threads": 1}

# A whole program: the cluster must not outlive it, and nothing but its own lines may be on the terminal.
SCRIPT = """
import json, os, signal, sys
import torch
from limpid.config import Config
from limpid.config_reader import with_options
from limpid.errors import Stopped
from limpid.population import on_ray
from limpid.population.executors import train_population
from limpid.population.ground import Ground
from limpid.population.host import Listed
from limpid.population.member import Member
from limpid.training.signals import StopRequest

small = {"data__source": "moons", "model__name": "mlp", "model__hidden": (8,), "epochs": 3, "training__threads": 1}
members = [Member(i, with_options(Config(), small | {"seed": i}), 7 if i == 2 else None) for i in range(5)]
members[3] = Member(3, with_options(Config(), small | {"lr": 1e30, "optimizer": "sgd"}))

class Watching(Listed):
    heard, servers = [], 0
    def epochs(self, told):
        return [self.epoch(*one) for one in told]
    def epoch(self, member, row, valid_row):
        self.servers = self.servers or len(processes("gcs_server"))
        self.heard.append((member.number, row["epoch"]))
        return not (member.number == 4 and row["epoch"] == 2)

def processes(title):
    found = []  # of this session
    for name in os.listdir("/proc"):
        try:
            line = open(f"/proc/{name}/cmdline").read() if name.isdigit() else ""
            mine = name.isdigit() and int(open(f"/proc/{name}/stat").read().rpartition(")")[2].split()[3])
        except OSError:
            continue
        if title in line and mine == os.getsid(0):
            found.append(int(name))
    return found

alone, together = Listed(members), Watching(members)
train_population(alone, Ground(), on="one-by-one")
train_population(together, Ground(), on="ray")
same = [
    torch.equal(alone.outcomes[i].weights[k], together.outcomes[i].weights[k]) and
    alone.outcomes[i].figures == together.outcomes[i].figures
    for i in range(3) for k in alone.outcomes[i].weights
]
print(json.dumps({"same": all(same), "states": [together.outcomes[i].state for i in range(5)],
                  "heard": sorted(together.heard), "servers": [together.servers, len(processes("gcs_server"))]}),
      flush=True)

class Murderous(Listed):
    heard = []
    def epochs(self, told):
        return [self.epoch(*one) for one in told]
    def epoch(self, member, row, valid_row):
        self.heard.append(row["epoch"])
        if row["epoch"] == 2:
            for pid in processes("ray::Seat"):
                os.kill(pid, signal.SIGKILL)
        return True

host = Murderous(members[:1])
train_population(host, Ground(), on="ray")
print(json.dumps({"lost once": host.outcomes[0].state, "heard": host.heard,
                  "same": host.outcomes[0].figures == alone.outcomes[0].figures}), flush=True)

class Stopping(Listed):
    def epochs(self, told):
        return [self.epoch(*one) for one in told]
    def epoch(self, member, row, valid_row):
        os.kill(os.getpid(), signal.SIGTERM)
        return True

try:
    with StopRequest() as stop:
        train_population(Stopping(members[:1]), Ground(), on="ray", stop=stop)
except Stopped as error:
    print(error)
"""


def test_ray_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for on in ("ray", "ray://somewhere:10001"):
        with pytest.raises(MissingExtra, match=r"pip install 'limpid\[ray\]'"):
            train_population(Listed([]), Ground(), on=on)


def test_an_address_at_which_nobody_answers_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for on in (f"ray://127.0.0.1:{port}", f"127.0.0.1:{port}"):
        with pytest.raises(ConfigError, match=f"on={on}: no Ray cluster answers there"):
            train_population(Listed([]), Ground(), on=on)


def test_addresses_are_known_by_their_form() -> None:
    assert [find_executor(on) for on in ("ray", "ray://head.example:10001", "10.0.0.1:6379")] == ["ray"] * 3
    with pytest.raises(ConfigError, match="Did you mean ray"):
        find_executor("rai")


def test_a_seat_stops_after_every_epoch_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an actor runs, without Ray."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # a seat sets it
    member = Member(0, with_options(Config(), SMALL))
    ground = Ground()
    seat = Seat()
    seat._datasets[5] = ground.dataset(member.config)
    said: list[Any] = [unpack(seat.train(member, 5, []))]
    while said[-1][0] == "epoch":
        said.append(unpack(seat.go_on(True)))
    assert [row["epoch"] for kind, row, *_ in said[:-1]] == [1, 2, 3]
    alone = train_member(member, ground, lambda row, valid_row: True)
    outcome = said[-1][1]
    assert outcome.figures == alone.figures
    assert all(torch.equal(outcome.weights[name], alone.weights[name]) for name in alone.weights or {})
    seat.train(member, 5, [])
    assert unpack(seat.go_on(False))[1].state == "pruned"


def test_a_worker_that_is_lost_twice_fails_its_member() -> None:
    class Crew:
        begun = 0

        def begin(self, task: on_ray._Task) -> None:
            self.begun += 1
            task.begun += 1

    member, host, crew = Member(4, Config()), Listed([]), Crew()
    task = on_ray._Task(member, Ground().dataset(with_options(Config(), SMALL)), begun=1)
    for _ in range(2):
        on_ray._attend(task, RuntimeError("The actor died.\nIts machine is gone."), crew, host)  # type: ignore[arg-type]
    assert crew.begun == 1
    assert host.outcomes[4].state == "failed"
    assert host.outcomes[4].reason == "Its Ray worker was lost 2 times. Ray says: Its machine is gone."


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for workers in /proc")
def test_a_cluster_of_two_workers(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    process = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    first, second, last = process.stdout.splitlines()
    whole = [[i, epoch] for i in range(3) for epoch in (1, 2, 3)]
    states = ["finished", "finished", "finished", "failed", "pruned"]
    assert json.loads(first) == {"same": True, "states": states, "heard": [*whole, [4, 1], [4, 2]], "servers": [1, 0]}
    assert json.loads(second) == {"lost once": "finished", "heard": [1, 2, 3], "same": True}
    assert last == "Stopped by SIGTERM; 1 member(s) in training were given up."
    assert process.stderr == ""
    assert process.returncode == 0
