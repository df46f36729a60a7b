"""Fault injection for the record: end the process or fail at the n-th operation, or lose what was not forced."""

from __future__ import annotations

import os
import random
import shutil
import stat
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from limpid.record import files

CRASHED = 77

Hook = Callable[[str, Path], "int | None"]


@contextmanager
def hook(function: Hook) -> Iterator[None]:
    files.operation_hook = function
    try:
        yield
    finally:
        files.operation_hook = None


def list_operations(action: Callable[[], object]) -> list[str]:
    seen: list[str] = []
    with hook(lambda operation, path: seen.append(operation)):
        action()
    return seen


def in_child(action: Callable[[], object]) -> int:
    """Run an action in a forked process; its exit status is `CRASHED` when a fault ended it, 1 when it raised."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            action()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def crash_at(n: int, *, torn: bool = False) -> Hook:
    """Ends the process just before the n-th operation; `torn` lets 7 bytes of a write there through first."""
    count = 0

    def step(operation: str, path: Path) -> int | None:
        nonlocal count
        count += 1
        if count == n and torn and operation == "write":
            return 7
        if count >= n:
            os._exit(CRASHED)
        return None

    return step


def fail_at(n: int, number: int, *, persistent: bool) -> Hook:
    """Raises OSError(number) at the n-th operation, or from it on."""
    count = 0

    def step(operation: str, path: Path) -> int | None:
        nonlocal count
        count += 1
        if count == n or (persistent and count > n):
            raise OSError(number, os.strerror(number), str(path))
        return None

    return step


class PowerFailure(BaseException):
    """Raised where the power fails; nothing in the product may catch and survive it."""


class LossyDisk:
    """A disk that surely keeps only what was forced. Its `step` is a hook that fails at the n-th operation.

    Files and folders are followed by inode. An entry of a folder is certain as of the folder's last fsync, later
    changes of it may or may not have arrived, each for itself; the content of a file is certain as of its last fsync,
    and may otherwise be old, new, cut, or zeroed behind what is certain. At the failure, `num_states` random states
    that are possible then are written below `target`.
    """

    def __init__(self, root: Path, n: int, target: Path, num_states: int) -> None:
        self.n, self.target, self.num_states = n, target, num_states
        self.forces = True  # False: a disk that says so and does not
        self.choose = random.Random(n)
        self.count = 0
        self.held: dict[int, int] = {}  # inode -> descriptor, which also keeps the number from being used again
        self.forced: dict[int, bytes | dict[str, int]] = {}  # inode -> content or entries
        self.root = self._hold(root, None)
        for path in [root, *root.rglob("*")]:
            self._force(path)

    def step(self, operation: str, path: Path) -> int | None:
        self.count += 1
        if self.count == self.n:
            for number in range(self.num_states):
                shutil.rmtree(self.target / str(number), ignore_errors=True)
                self._rebuild(self.root, self.target / str(number))
            raise PowerFailure
        if operation == "fsync" and self.forces and self.count < self.n:
            self._force(path)
        return None

    def close(self) -> None:
        for descriptor in self.held.values():
            os.close(descriptor)

    def _hold(self, name: Path | str, folder: int | None) -> int:
        descriptor = os.open(name, os.O_RDONLY, dir_fd=folder)
        inode = os.fstat(descriptor).st_ino
        if inode in self.held:
            os.close(descriptor)
        return self.held.setdefault(inode, descriptor) and inode

    def _force(self, path: Path) -> None:
        inode = self._hold(path, None)
        self.forced[inode] = self._entries(inode) if path.is_dir() else self._bytes(inode)

    def _entries(self, inode: int) -> dict[str, int]:
        folder = self.held[inode]
        return {name: self._hold(name, folder) for name in os.listdir(folder)}

    def _bytes(self, inode: int) -> bytes:
        descriptor = self.held[inode]
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)

    def _rebuild(self, inode: int, target: Path) -> None:
        if not stat.S_ISDIR(os.fstat(self.held[inode]).st_mode):
            target.write_bytes(self._possible_bytes(inode))
            return
        target.mkdir(parents=True)
        certain, present = self.forced.get(inode, {}), self._entries(inode)
        assert isinstance(certain, dict)
        for name in sorted({*certain, *present}):
            child = self.choose.choice([certain.get(name), present.get(name)])
            if child is not None:
                self._rebuild(child, target / name)

    def _possible_bytes(self, inode: int) -> bytes:
        certain, present = self.forced.get(inode, b""), self._bytes(inode)
        assert isinstance(certain, bytes)
        if certain == present:
            return present
        cut = self.choose.randint(min(len(certain), len(present)), len(present))
        return self.choose.choice([certain, present, present[:cut], present[:cut] + bytes(len(present) - cut)])
