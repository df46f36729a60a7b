"""JSON from files that somebody else may have made: size, depth and repeated keys are checked before use."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from limpid.errors import RecordError

# Bytes. run.json of a wide table is tens of kilobytes; this bounds what a hostile file can make us allocate.
LARGEST_JSON = 32 * 2**20


def parse_json(data: bytes, origin: str) -> dict[str, Any]:
    """Parse one JSON object. Raises RecordError naming `origin` when it is damaged, too deep, or repeats a key."""
    if len(data) > LARGEST_JSON:
        raise RecordError(f"{origin} is not ours: {len(data):,} bytes of JSON, at most {LARGEST_JSON:,} are expected.")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique_keys)
    except RecursionError:
        raise RecordError(f"{origin} is damaged: it is nested too deeply.") from None
    except ValueError as error:
        raise RecordError(f"{origin} is damaged: {error}.") from None
    if not isinstance(value, dict):
        raise RecordError(f"{origin} is damaged: expected a JSON object, found {type(value).__name__}.")
    return value


def read_regular(path: Path, *, limit: int | None = None) -> bytes:
    """The bytes of a regular file; links, pipes and devices are refused, and files above `limit` bytes.

    Raises RecordError, or FileNotFoundError when there is no such file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror or error}.") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RecordError(f"{path}: cannot be read: it is not a regular file.")
        if limit is not None and status.st_size > limit:
            raise RecordError(f"{path}: {status.st_size:,} bytes, at most {limit:,} are expected here.")
        try:
            return file.read()
        except OSError as error:
            raise RecordError(f"{path}: cannot be read: {error.strerror or error}.") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {repeated!r} stands twice")
    return result
