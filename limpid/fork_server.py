"""The process that worker processes are forked from, which imports torch and Limpid once for all of them.

Begun before anything heavy is loaded here, it imports while this process does: that is why this file needs no torch. It
ends with this process, however that ends. It takes 0.3 GB, which its workers share until they write to it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from limpid.cores import usable_cores

WORKER = "limpid.population.worker"  # what it imports, and with it everything that members need
IMPORT_SECONDS = 2.0  # that this takes; measured 1.9 on two cores of a Xeon, up to 5 where the disk is slow
IN_WORKERS = ("stacks", "processes")  # ways to train a population that take workers
# Fewer networks are either small, and done in one process before the server is ready, whose imports slow down ours by
# half a second on two cores; or so large that two seconds are nothing.
MANY = 64

_begun_at: float | None = None


def worker_context() -> Any:
    """How multiprocessing starts workers here: by fork server where the system has one."""
    import multiprocessing  # 20 ms that a command without workers need not wait

    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")


def expect_workers(on: str | None, networks: int) -> None:
    """Start the server early where workers are certain, or likely because there are many networks to train."""
    likely = on in IN_WORKERS or (on in (None, "auto") and networks >= MANY)
    if likely and usable_cores() > 1:
        start_fork_server()


def start_fork_server() -> None:
    """Start the server, unless it runs or the system has none."""
    global _begun_at
    context = worker_context()
    if context.get_start_method() != "forkserver":
        return
    from multiprocessing.forkserver import ensure_running

    context.set_forkserver_preload([WORKER])
    with main_unseen():
        ensure_running()
    if _begun_at is None:
        _begun_at = time.monotonic()


def seconds_until_ready() -> float:
    """Likely seconds until a worker could begin: none where the server has been running for long enough."""
    return IMPORT_SECONDS if _begun_at is None else max(0.0, _begun_at + IMPORT_SECONDS - time.monotonic())


@contextmanager
def main_unseen() -> Iterator[None]:
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
