"""Every durable write of a run goes through here, so that one place knows how to survive a crash and a full disk.

A file is replaced by writing a sibling, forcing it to the disk, renaming it over the old one and forcing the folder:
whoever looks afterwards finds the old bytes or the new ones, never a mixture. A failed fsync is never repeated, because
the system may have dropped the pages and would then report success; the half-written file is removed instead.

`operation_hook`, when set, is called with the name and the path of each operation just before it happens. Tests use it
to stop the process there, to raise an OSError, or, by returning a number for "write", to shorten that one write.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Literal

from limpid.errors import DiskFull, RecordError

Operation = Literal["open", "write", "fsync", "rename", "unlink", "mkdir"]

operation_hook: Callable[[Operation, Path], int | None] | None = None

_forced: ContextVar[bool] = ContextVar("forced", default=True)

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_BINARY = getattr(os, "O_BINARY", 0)  # Windows translates line ends without it


@contextlib.contextmanager
def unforced() -> Iterator[None]:
    """While open, nothing is forced to the disk: for what proves itself when read, and can be made anew if it is lost.

    A crash of the machine, not of the program, can then leave files cut or empty.
    """
    token = _forced.set(False)
    try:
        yield
    finally:
        _forced.reset(token)


def write_file(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, whole or not at all.

    Raises DiskFull or RecordError naming the path; the former content is then still in place, except when only the
    last step, forcing the folder's entry to the disk, failed.
    """
    temporary = path.parent / temporary_name("tmp")
    with _reported(path, needed=len(data)):
        try:
            _write_and_sync(temporary, data)
            _count("rename", path)
            os.replace(temporary, path)
        except BaseException:
            _discard(temporary)
            raise
        _sync_folder(path.parent)


def write_new(path: Path, data: bytes) -> None:
    """Write and force a file that must not exist yet; the caller makes its name durable with `sync_folder`."""
    with _reported(path, needed=len(data)):
        _write_and_sync(path, data)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk."""
    with _reported(folder):
        _sync_folder(folder)


def make_folder(path: Path, *, exist_ok: bool = False) -> None:
    """Make a folder and its missing parents, durably. Raises RecordError when it exists, unless `exist_ok`."""
    missing = []
    parent = path.parent
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    for folder in [*reversed(missing), path]:
        with _reported(folder):
            _count("mkdir", folder)
            folder.mkdir(exist_ok=exist_ok or folder != path)
            _sync_folder(folder.parent)


def rename(old: Path, new: Path) -> None:
    """Rename a file or folder within its parent folder, durably."""
    with _reported(new):
        _count("rename", new)
        os.replace(old, new)
        _sync_folder(new.parent)


def remove_tree(path: Path) -> None:
    """Remove a file, or a folder with everything in it. Links are removed, not followed."""
    with _reported(path, verb="remove"):
        _remove(path)


def temporary_name(purpose: Literal["tmp", "trash"]) -> str:
    """A name nobody else uses, which `is_temporary` recognises after a crash."""
    return f".{purpose}-{os.getpid()}-{secrets.token_hex(4)}"


def is_temporary(name: str) -> bool:
    """Whether `temporary_name` made this name."""
    purpose, _, rest = name.partition("-")
    pid, _, nonce = rest.partition("-")
    return purpose in (".tmp", ".trash") and pid.isdecimal() and len(nonce) == 8


class AppendFile:
    """A file that only grows, one whole line per write; only the holder of the run's lock may have one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _reported(path):
            _count("open", path)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY, 0o666)
        self.size = os.fstat(self._descriptor).st_size  # bytes

    def append(self, line: bytes) -> None:
        """Append bytes ending in a newline. After a failure the file ends where it ended before, if that can be had."""
        with _reported(self.path, needed=len(line)):
            try:
                _write_all(self._descriptor, line, self.path)
            except BaseException:
                with contextlib.suppress(OSError):  # the first error is the one to report
                    os.ftruncate(self._descriptor, self.size)
                raise
        self.size += len(line)

    def cut(self, size: int) -> None:
        """Drop everything after the first `size` bytes."""
        with _reported(self.path):
            _count("write", self.path)
            os.ftruncate(self._descriptor, size)
        self.size = size

    def sync(self) -> None:
        """Force what was appended, and the file's name, to the disk."""
        with _reported(self.path):
            _force(self._descriptor, self.path)
            _sync_folder(self.path.parent)

    def close(self) -> None:
        os.close(self._descriptor)


def _write_and_sync(path: Path, data: bytes) -> None:
    _count("open", path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
    try:
        _write_all(descriptor, data, path)
        _force(descriptor, path)
    finally:
        os.close(descriptor)  # network file systems report late failures here


def _force(descriptor: int, path: Path) -> None:
    if _forced.get():
        _count("fsync", path)
        os.fsync(descriptor)


def _write_all(descriptor: int, data: bytes, path: Path) -> None:
    rest = memoryview(data)
    while rest:
        limit = _count("write", path)
        rest = rest[os.write(descriptor, rest[:limit]) :]


def _sync_folder(folder: Path) -> None:
    if os.name == "nt" or not _forced.get():  # Windows has no fsync of folders
        return
    _count("fsync", folder)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems have none either
            raise
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        with os.scandir(path) as entries:
            children = [Path(entry.path) for entry in entries]
        for child in children:
            _remove(child)
        _count("unlink", path)
        path.rmdir()
    else:
        _count("unlink", path)
        path.unlink()


def _discard(temporary: Path) -> None:
    with contextlib.suppress(OSError):  # it may never have been made; the first error is the one to report
        _count("unlink", temporary)
        temporary.unlink(missing_ok=True)


def _count(operation: Operation, path: Path) -> int | None:
    return None if operation_hook is None else operation_hook(operation, path)


@contextlib.contextmanager
def _reported(path: Path, needed: int = 0, verb: str = "write") -> Iterator[None]:
    """Turn an OSError into one message with the path, the reason and, on a full disk, the bytes needed and free."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(_disk_full_message(path, needed, error)) from error
        reason = error.strerror or str(error)
        raise RecordError(f"{path}: could not {verb} it: {reason}. What was written before is intact.") from error


def _disk_full_message(path: Path, needed: int, error: OSError) -> str:
    cause = "the disk is full" if error.errno == errno.ENOSPC else "the disk quota is used up"
    try:
        free = f"{shutil.disk_usage(path.parent).free:,} bytes are free"
    except OSError:
        free = "the free space is unknown"
    wanted = f"{needed:,} bytes were needed, " if needed else ""
    return (
        f"{path}: {cause}: {wanted}{free}. What was written before is intact. "
        "Free some space, then continue with --resume."
    )
