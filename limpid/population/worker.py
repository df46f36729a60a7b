"""What runs in another process: members, trained one after another, of which every epoch is told.

A worker says ("epoch", row, valid row) and waits for an answer, so that who is let go, and when, is the same wherever
members are trained; it ends a member with ("done", outcome).
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

import limpid
from limpid.data.dataset import Dataset
from limpid.population.ground import Ground
from limpid.population.lone import Heard, train_member
from limpid.population.member import Member, Outcome
from limpid.population.shared_data import pack, unpack

HOME = str(Path(limpid.__file__).parents[1])


class Bench:
    """Where members are trained: on data that others read, with so many threads."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._ground = Ground()
        os.environ["OMP_NUM_THREADS"] = str(threads)  # what a member takes that says nothing of threads

    def train(self, member: Member, dataset: Dataset, heard: Heard) -> Outcome:
        """Train a member to its end; what is wrong with it, even by our own mistake, is an outcome that says so."""
        torch.set_num_threads(self._threads)  # the member before may have changed it
        self._ground.hold(member.config, dataset)
        try:
            return train_member(member, self._ground, heard)
        except Exception as error:
            return Outcome(member.number, "failed", reason=f"Unexpected {in_words(error)}")


def in_words(error: Exception) -> str:
    """Type, message and place of an error, the place as deep in Limpid as the trace goes."""
    trace = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in trace if frame.filename.startswith(HOME)] or trace
    place = f" (at {os.path.relpath(ours[-1].filename, HOME)}, line {ours[-1].lineno})" if ours else ""
    return f"{type(error).__name__}: {error}{place}"


def work(connection: Connection, threads: int, folder: str) -> None:
    """The whole life of a worker process: ends when the other end of the connection is closed, or its owner dies.

    Args:
        connection: brings members with the place of their data, takes what is told of them.
        threads: of torch.
        folder: of shared data, which the worker removes where its owner can no more.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the owner decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_outlive_nobody, args=(folder,), daemon=True).start()
    bench = Bench(threads)
    datasets: dict[str, Dataset] = {}

    def heard(row: Mapping[str, Any], valid_row: Mapping[str, Any] | None) -> bool:
        try:
            connection.send_bytes(pack(("epoch", row, valid_row)))
            return bool(connection.recv())
        except (EOFError, OSError):
            raise SystemExit from None

    while True:
        try:
            member, laid = connection.recv()
        except (EOFError, OSError):
            return
        if laid.path not in datasets:
            datasets[laid.path] = laid.dataset()
        outcome = bench.train(member, datasets[laid.path], heard)
        try:
            connection.send_bytes(pack(("done", outcome)))
        except OSError:
            return


def read_message(connection: Connection) -> Any:
    """What a worker says. Raises EOFError or OSError where it has died."""
    return unpack(connection.recv_bytes())


def _outlive_nobody(folder: str) -> None:
    owner = multiprocessing.parent_process()
    assert owner is not None
    owner.join()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
