"""One writer per run, by a lock of the operating system: it ends with its process, however that ends."""

from __future__ import annotations

import errno
import os
import time
import weakref
from pathlib import Path

from limpid.errors import RecordError, RunLocked

NAME = ".lock"

_held: weakref.WeakSet[RunLock] = weakref.WeakSet()
_PATIENCE = 1.0  # seconds to wait for the holder's number; it is written within microseconds of taking the lock
_PID_OFFSET = 0
_GUARD_OFFSET = 1 << 20  # Windows locks bytes against reading too: guard one far behind the number of the process


class RunLock:
    """The exclusive right to write one run folder, from construction to `release`.

    Raises RunLocked naming the process that has it, or RecordError where the file system has no locks. Processes made
    by fork do not inherit the right.
    """

    def __init__(self, run: Path) -> None:
        path = run / NAME
        try:
            self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise RecordError(f"{run}: cannot be opened for writing: {error.strerror or error}.") from error
        try:
            _lock(self._descriptor)
        except OSError as error:
            holder = _read_holder(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
            if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                raise RecordError(f"{run}: its file system cannot lock files: {error.strerror or error}.") from error
            raise RunLocked(
                f"{run}: {holder} is writing this run. Wait for it, stop it, or choose another folder with --out."
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, str(os.getpid()).encode())
        _held.add(self)

    def release(self) -> None:
        """Let others write. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)  # the system drops the lock with its last descriptor
            self._descriptor = None
            _held.discard(self)


def _lock(descriptor: int) -> None:
    if os.name == "nt":
        import msvcrt

        os.lseek(descriptor, _GUARD_OFFSET, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        os.lseek(descriptor, _PID_OFFSET, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read_holder(descriptor: int) -> str:
    """Who has the lock, in words. The holder may be about to write its number over that of a dead one."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        os.lseek(descriptor, _PID_OFFSET, os.SEEK_SET)
        text = os.read(descriptor, 20).decode("ascii", "replace")
        if text == str(os.getpid()):
            return "this process"
        if text.isdecimal() and _is_alive(int(text)):
            return f"process {text}"
        if time.monotonic() > deadline:
            return "another process"
        time.sleep(0.01)


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # there, signal 0 would end it
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _forget_in_child() -> None:
    """After a fork, the child closes its copies, so that the lock ends with the parent although workers live on."""
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
