"""The file behind a study: optuna's journal, one operation per line, written by the one process that searches.

Optuna's own file backend locks the file and forces it to the disk at every operation, of which a trial has a dozen. The
folder of a search has a lock already, and a killed process loses nothing that it has handed to the system. The lines
are the same, so that optuna and its dashboard open the file while the search runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from limpid.errors import RecordError
from limpid.record.files import AppendFile

Operation = dict[str, Any]


class Journal(BaseJournalBackend):
    """Operations of a study, in memory and in a file; the lock of the search's folder must be held.

    Opening it drops a last line that a dying process left half-written.

    Raises RecordError when an earlier line is damaged.
    """

    def __init__(self, path: Path) -> None:
        data = path.read_bytes() if path.exists() else b""
        whole = data.rfind(b"\n") + 1
        self._operations = [_read(line, f"{path}, line {i}") for i, line in enumerate(data[:whole].splitlines(), 1)]
        self._held: list[bytes] | None = None  # lines that wait for the end of `at_once`
        self._file = AppendFile(path)
        if whole < len(data):
            self._file.cut(whole)

    def read_logs(self, log_number_from: int) -> Iterable[Operation]:
        return self._operations[log_number_from:]

    def append_logs(self, logs: list[Operation]) -> None:
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        text = "".join(f"{line}\n" for line in lines).encode()
        if self._held is None:
            self._file.append(text)
        else:
            self._held.append(text)
        self._operations += [json.loads(line) for line in lines]

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """While open, operations are held back, and then written together: a killed process leaves all or none."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held:
                self._file.append(b"".join(held))

    def close(self) -> None:
        self._file.close()


def _read(line: bytes, place: str) -> Operation:
    try:
        operation = json.loads(line)
    except ValueError:
        operation = None
    if not isinstance(operation, dict):
        raise RecordError(f"{place} is damaged: it is no operation of a study. Restore the file, or search anew.")
    return operation
