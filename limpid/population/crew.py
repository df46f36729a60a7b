"""Worker processes: hired when there is something for them to do, given hands of members, and seen off."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection as channels
from multiprocessing.connection import Connection
from typing import Any

from limpid.cores import usable_cores
from limpid.fork_server import main_unseen, start_fork_server, worker_context
from limpid.population.dealing import Hand
from limpid.population.shared_data import Laid
from limpid.population.worker import work

GOODBYE_SECONDS = 5.0  # that a worker may take to end before it is killed
FAULTS = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT")


@dataclass(eq=False)
class Worker:
    """A process, the way to it, and the hand that it trains."""

    process: Any
    connection: Connection
    hand: Hand | None = None

    def answer(self, value: Any) -> None:
        """Send what it waits for. If it has died meanwhile, it will be heard of as dead."""
        with suppress(OSError):
            self.connection.send(value)


class Crew:
    """Worker processes.

    Args:
        size: the most there are at a time.
        folder: of shared data.
    """

    def __init__(self, size: int, folder: str) -> None:
        self._context = worker_context()
        self._size, self._folder = size, folder
        self._threads = threads_each(size)
        self._workers: list[Worker] = []
        self._latest = self._threads  # threads of the hand that was begun last

    def __enter__(self) -> Crew:
        start_fork_server()  # it imports while the data are laid out
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for worker in self._workers:
            worker.connection.close()  # an idle worker ends by itself
            if kind is not None or worker.hand is not None:
                worker.process.terminate()
        for worker in self._workers:
            _see_off(worker.process)

    @property
    def busy(self) -> list[Worker]:
        """Workers that have a hand."""
        return [worker for worker in self._workers if worker.hand is not None]

    @property
    def idle(self) -> int:
        """How many could be given a hand, those included that are not hired yet."""
        return self._size - len(self.busy)

    @property
    def has_room(self) -> bool:
        """Whether another hand like the latest would find a worker and cores."""
        busy = self.busy
        threads = sum(self._threads_of(worker.hand) for worker in busy if worker.hand is not None)
        cores = max(usable_cores(), self._size)
        return not busy or (len(busy) < self._size and threads + self._latest <= cores)

    def train(self, hand: Hand, laid: Laid) -> None:
        """Give a hand to an idle worker, or to a new one."""
        self._latest = self._threads_of(hand)
        dealt = list(hand.members.values()), laid
        for worker in [worker for worker in self._workers if worker.hand is None]:
            with suppress(OSError):
                worker.connection.send(dealt)
                worker.hand = hand
                return
            self.dismiss(worker)  # it died while it had nothing to do
        worker = self._hire()
        worker.hand = hand
        worker.answer(dealt)

    def heard(self, seconds: float) -> Sequence[Worker]:
        """Busy workers that have something to say, or are dead; waits so long for the first of them."""
        by_connection: dict[Any, Worker] = {worker.connection: worker for worker in self.busy}
        return [by_connection[ready] for ready in channels.wait(list(by_connection), seconds)]

    def dismiss(self, worker: Worker) -> str:
        """See a worker off that will do no more; how it ended, for people."""
        self._workers.remove(worker)
        worker.connection.close()
        _see_off(worker.process)
        return _obituary(worker.process.exitcode)

    def _threads_of(self, hand: Hand) -> int:
        return next(iter(hand.members.values())).config.training.threads or self._threads if hand.members else 1

    def _hire(self) -> Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=work, args=(theirs, self._threads, self._folder), name="limpid worker", daemon=True
        )
        with main_unseen():
            process.start()
        theirs.close()
        worker = Worker(process, ours)
        self._workers.append(worker)
        return worker


def threads_each(jobs: int) -> int:
    """Threads of torch in each of so many workers: its share of the cores, and no more than OMP_NUM_THREADS allows."""
    share = max(1, usable_cores() // jobs)
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(allowed)) if allowed.isdigit() and int(allowed) > 0 else share


def _obituary(exit_code: int | None) -> str:
    """Why a member has failed whose process is no more."""
    if exit_code is None or exit_code >= 0:
        return f"Its process ended by itself, with exit code {exit_code}."
    name = signal.Signals(-exit_code).name
    if name == "SIGKILL":
        return (
            "Its process was killed (SIGKILL), most likely because the machine ran out of memory. Train fewer members "
            "at a time, or use a smaller network or smaller batches."
        )
    cause = ", a fault in compiled code" if name in FAULTS else ""
    return f"Its process was ended by {name}{cause}."


def _see_off(process: Any) -> None:
    """Wait for a process to end; in the end, make it."""
    process.join(GOODBYE_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
