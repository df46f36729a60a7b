"""What runs in another process: an executor whose host lives elsewhere.

A worker is dealt hands of members. It says ("epochs", what was measured of each), and waits for an answer, so that who
is let go, and when, is the same wherever members are trained; ("next",), and waits for a member of the same kind that
takes the place of one that is done; ("done", outcome) of a member; and when nobody is left of the hand, ("over",), or
("lost", reason) where our own mistake cut it off.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import traceback
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

import limpid
from limpid.config import Config
from limpid.data.dataset import Dataset
from limpid.population.ground import Ground
from limpid.population.host import Told
from limpid.population.member import Member, Outcome
from limpid.population.one_by_one import train_one_by_one
from limpid.population.shared_data import pack, unpack
from limpid.population.stack import train_stacked

HOME = str(Path(limpid.__file__).parents[1])


class OwnerGone(SystemExit):
    """Nobody is at the other end of the connection any more; it passes what takes a member's errors."""


class Bench:
    """Where members are trained: on data that others read, with so many threads."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._ground = Ground()
        os.environ["OMP_NUM_THREADS"] = str(threads)  # what a member takes that says nothing of threads

    def ready(self, config: Config, dataset: Dataset) -> Ground:
        """The ground for members that read the data as this configuration does."""
        torch.set_num_threads(self._threads)  # the member before may have changed it
        self._ground.hold(config, dataset)
        return self._ground


class Distant:
    """The host of a hand, which is at the other end of a connection.

    Args:
        connection: to the owner of the hand.
        members: of the hand.
    """

    def __init__(self, connection: Connection, members: Sequence[Member]) -> None:
        self._connection, self._waiting = connection, deque(members)
        self._most = self._held = len(members)

    def next(self) -> Member | None:
        if not self._waiting and 1 < self._most > self._held:
            self._say("next")
            successor: Member | None = self._answer()
            self._waiting.extend([] if successor is None else [successor])
            self._held += len(self._waiting)
        return self._waiting.popleft() if self._waiting else None

    def epochs(self, told: Sequence[Told]) -> list[bool]:
        self._say("epochs", [(member.number, row, valid_row) for member, row, valid_row in told])
        goes_on: list[bool] = self._answer()
        return goes_on

    def done(self, member: Member, outcome: Outcome) -> None:
        self._held -= 1
        self._say("done", outcome)

    def over(self, lost: str = "") -> None:
        """Say that nobody is left of the hand, or why those who are left are lost."""
        if lost:
            self._say("lost", lost)
        else:
            self._say("over")

    def _say(self, *message: Any) -> None:
        try:
            self._connection.send_bytes(pack(message))
        except OSError:
            raise OwnerGone from None

    def _answer(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            raise OwnerGone from None


def unexpected(error: Exception) -> str:
    """Type, message and place of an error that is our own mistake, the place as deep in Limpid as the trace goes."""
    trace = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in trace if frame.filename.startswith(HOME)] or trace
    place = f" (at {os.path.relpath(ours[-1].filename, HOME)}, line {ours[-1].lineno})" if ours else ""
    return f"Unexpected {type(error).__name__}: {error}{place}"


def work(connection: Connection, threads: int, folder: str) -> None:
    """The whole life of a worker process: ends when the other end of the connection is closed, or its owner dies.

    Args:
        connection: brings hands with the place of their data, takes what is told of them.
        threads: of torch.
        folder: of shared data, which the worker removes where its owner can no more.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the owner decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_outlive_nobody, args=(folder,), daemon=True).start()
    try:
        _serve(connection, Bench(threads))
    except OwnerGone:
        _remove(folder)


def _serve(connection: Connection, bench: Bench) -> None:
    datasets: dict[str, Dataset] = {}
    while True:
        try:
            members, laid = connection.recv()
        except (EOFError, OSError):
            raise OwnerGone from None
        if laid.path not in datasets:
            datasets[laid.path] = laid.dataset()
        host = Distant(connection, members)
        try:
            ground = bench.ready(members[0].config, datasets[laid.path])
            (train_stacked if len(members) > 1 else train_one_by_one)(host, ground)
        except Exception as error:
            host.over(lost=unexpected(error))
        else:
            host.over()


def read_message(connection: Connection) -> Any:
    """What a worker says. Raises EOFError or OSError where it has died."""
    return unpack(connection.recv_bytes())


def _outlive_nobody(folder: str) -> None:
    owner = multiprocessing.parent_process()
    assert owner is not None
    owner.join()
    _remove(folder)
    os._exit(1)


def _remove(folder: str) -> None:
    """The folder of shared data, which nobody will read any more: an owner that closes a connection to a worker in good
    health is leaving. Every worker does it, so that it is done whoever ends first."""
    shutil.rmtree(folder, ignore_errors=True)
