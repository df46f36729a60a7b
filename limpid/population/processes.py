"""Members in worker processes, several at a time.

Workers are forked from a server process that imports torch and Limpid once; where the system has no such server, each
imports them itself. They read the data at one place in memory, and tell of every epoch and wait for the answer, so that
their host decides as it would in one process. What kills a worker is the affair of its member alone: the member has
failed, a new worker takes the place. When the owner ends, however it ends, so do its workers.

What it costs, in seconds of a Xeon core with torch 2.15: 1.9 for the server, once for a program and while the data
are read; 0.06 for a worker (and 17 MB that it shares with nobody); 0.002 for a member and 0.0003 for an epoch.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection as channels
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

from limpid.device import usable_cores
from limpid.errors import LimpidError, Stopped
from limpid.population.ground import Ground
from limpid.population.host import Host
from limpid.population.member import Member, Outcome
from limpid.population.shared_data import Laid, Shelf
from limpid.population.worker import read_message, work
from limpid.training.signals import StopRequest

POLL_SECONDS = 0.1  # between looks at a request to stop; a person feels no delay below about that
GOODBYE_SECONDS = 5.0  # that a worker may take to end before it is killed
FAULTS = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT")


def train_in_processes(host: Host, ground: Ground, *, stop: StopRequest | None = None, jobs: int | None = None) -> None:
    """Train every member that the host asks for, `jobs` at a time.

    Each worker has max(1, cores // jobs) threads of torch, where a member does not say how many it takes. Sums may be
    taken in another order with another number of threads: results agree to about 1e-6 of their size then, and bit for
    bit where the numbers agree.

    Args:
        host: asks for members, and hears of them in the order in which they come.
        ground: the data, read here, once.
        stop: asked several times a second whether to leave.
        jobs: members at a time, at most; None: as many as this process may use cores. Fewer, where members ask for so
            many threads that there would be more of them than cores: they would wait for one another at every step.

    Raises:
        Stopped: `stop` asked for it; members in training are given up.
        DiskFull: there was no room to share the data.
    """
    jobs = jobs or usable_cores()
    with Shelf() as shelf, _Crew(jobs, str(shelf.folder)) as crew:
        while True:
            while crew.has_room and (member := host.next()) is not None:
                try:
                    dataset = ground.dataset(member.config)
                except LimpidError as error:
                    host.done(member, Outcome(member.number, "failed", reason=str(error)))
                else:
                    crew.train(member, shelf.lay(dataset))
            if not crew.busy:
                return
            for worker in crew.heard(POLL_SECONDS):
                _attend(worker, crew, host)
            if stop is not None and stop.requested:
                raise Stopped(
                    f"Stopped by {stop.requested}; {len(crew.busy)} member(s) in training were given up.",
                    stop.requested,
                )


def threads_each(jobs: int) -> int:
    """Threads of torch in each of so many workers: its share of the cores, and no more than OMP_NUM_THREADS allows."""
    share = max(1, usable_cores() // jobs)
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(allowed)) if allowed.isdigit() and int(allowed) > 0 else share


@dataclass(eq=False)
class _Worker:
    """A process, the way to it, and the member that it trains."""

    process: Any
    connection: Connection
    member: Member | None = None


class _Crew:
    """Worker processes, started when there is something for them to do.

    Args:
        size: the most there are at a time.
        folder: of shared data.
    """

    def __init__(self, size: int, folder: str) -> None:
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        self._size, self._folder = size, folder
        self._threads = threads_each(size)
        self._workers: list[_Worker] = []
        self._latest = self._threads  # threads of the member that was begun last

    def __enter__(self) -> _Crew:
        if self._context.get_start_method() == "forkserver":
            from multiprocessing.forkserver import ensure_running

            self._context.set_forkserver_preload(["limpid.population.worker"])
            with _main_unseen():
                ensure_running()  # it imports while the data are read
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for worker in self._workers:
            worker.connection.close()  # an idle worker ends by itself
            if kind is not None or worker.member is not None:
                worker.process.terminate()
        for worker in self._workers:
            _see_off(worker.process)

    @property
    def busy(self) -> list[_Worker]:
        """Workers that train a member."""
        return [worker for worker in self._workers if worker.member is not None]

    @property
    def has_room(self) -> bool:
        """Whether another member like the latest would find a worker and cores."""
        busy = self.busy
        threads = sum(self._threads_of(worker.member) for worker in busy if worker.member is not None)
        cores = max(usable_cores(), self._size)
        return not busy or (len(busy) < self._size and threads + self._latest <= cores)

    def train(self, member: Member, laid: Laid) -> None:
        """Hand a member to an idle worker, or to a new one."""
        self._latest = self._threads_of(member)
        for worker in [worker for worker in self._workers if worker.member is None]:
            with suppress(OSError):
                worker.connection.send((member, laid))
                worker.member = member
                return
            self.dismiss(worker)  # it died while it had nothing to do
        worker = self._hire()
        worker.member = member
        with suppress(OSError):  # it died at once, and will be heard of as dead
            worker.connection.send((member, laid))

    def heard(self, seconds: float) -> Sequence[_Worker]:
        """Busy workers that have something to say, or are dead; waits so long for the first of them."""
        by_connection: dict[Any, _Worker] = {worker.connection: worker for worker in self.busy}
        return [by_connection[ready] for ready in channels.wait(list(by_connection), seconds)]

    def dismiss(self, worker: _Worker) -> int | None:
        """See a worker off that will do no more; its exit code, negative for a signal."""
        self._workers.remove(worker)
        worker.connection.close()
        _see_off(worker.process)
        return worker.process.exitcode  # type: ignore[no-any-return]

    def _threads_of(self, member: Member) -> int:
        return member.config.training.threads or self._threads

    def _hire(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=work, args=(theirs, self._threads, self._folder), name="limpid worker", daemon=True
        )
        with _main_unseen():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker


def _attend(worker: _Worker, crew: _Crew, host: Host) -> None:
    """Take what a worker says to the host, and the answer back; of a dead one, its member has failed."""
    member = worker.member
    assert member is not None
    try:
        kind, *rest = read_message(worker.connection)
    except (EOFError, OSError):
        kind, rest = "done", [Outcome(member.number, "failed", reason=_obituary(crew.dismiss(worker)))]
    if kind == "epoch":
        goes_on = host.epoch(member, *rest)
        with suppress(OSError):  # it has died meanwhile, and will be heard of as dead
            worker.connection.send(goes_on)
    else:
        worker.member = None
        host.done(member, rest[0])


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


@contextmanager
def _main_unseen() -> Iterator[None]:
    """While open, multiprocessing takes the program's main module for an empty one.

    Otherwise it would run the user's script once more in each worker: slowly, and endlessly where the script has no
    `if __name__ == "__main__"`. Workers need nothing of it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
