"""Arrays decoded once and kept on disk, keyed by the SHA-256 of what they were decoded from.

The folder is $LIMPID_CACHE, else ~/.cache/limpid. Entries appear by rename, complete or not at all; a folder that
cannot be written costs the cache, not the run.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def cache_folder() -> Path:
    """Where decoded data are kept."""
    given = os.environ.get("LIMPID_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "limpid"


def digest(data: bytes | memoryview) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def load_array(kind: str, key: str) -> NDArray[np.generic] | None:
    """The cached array, mapped from disk read-only; None when there is none, or it is damaged."""
    path = cache_folder() / kind / f"{key}.npy"
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError):
        return None


def save_array(kind: str, key: str, array: NDArray[np.generic]) -> None:
    """Keep an array; without a writable folder or enough space, do nothing."""
    with suppress(OSError), new_entry(kind, key) as partial, partial.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def new_entry(kind: str, key: str) -> Iterator[Path]:
    """A temporary path to write an entry at; renamed into place on success, removed otherwise.

    Raises OSError when the cache cannot be written.
    """
    folder = cache_folder() / kind
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{key[:16]}-", suffix=".part", dir=folder)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.replace(folder / f"{key}.npy")
    finally:
        partial.unlink(missing_ok=True)
