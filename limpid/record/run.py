"""A run: one plain folder with everything that was given, happened and was learned.

    run.json        what was asked for, on what data and machine; written once
    events.jsonl    what happened, one row per line                              (events.py)
    checkpoints/    the state of training, by step                               (checkpoints.py)
    .lock           taken by the one process that writes                         (lock.py)

The folder can be copied or moved while nobody writes it: no file in it holds a path. Anybody may read while one writes.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from limpid.errors import RecordError
from limpid.record import checkpoints, files
from limpid.record.checkpoints import Checkpoint
from limpid.record.events import EventLog, Row, read_rows
from limpid.record.lock import NAME as LOCK_NAME
from limpid.record.lock import RunLock
from limpid.record.strict_json import LARGEST_JSON, parse_json, read_regular

FORMAT = 1
HEADER = "run.json"
EVENTS = "events.jsonl"
CHECKPOINTS = "checkpoints"


class Run:
    """One run folder, opened for reading by anybody or for writing by one process.

    Attributes: `path`, `header` (the content of run.json) and `id` (the run's unique name, in all its checkpoints).
    """

    def __init__(self, path: Path, header: dict[str, Any], lock: RunLock | None) -> None:
        self.path = path
        self.header = header
        self.id: str = header["id"]
        self._lock = lock
        self._log = EventLog(path / EVENTS) if lock else None

    @classmethod
    def create(cls, path: Path, header: dict[str, Any]) -> Run:
        """Make a run folder and write its run.json, which is what makes it a run; the lock is taken.

        `format` and `id` are added to the header when it lacks them. Raises RecordError when the folder holds anything
        already, RunLocked when another process is making it.
        """
        path = Path(path)
        refuse_occupied(path)
        is_new = not path.exists()
        with _removed_on_error(path if is_new else None):
            files.make_folder(path, exist_ok=True)
            return cls._fill(path, header)

    @classmethod
    def _fill(cls, path: Path, header: dict[str, Any]) -> Run:
        lock = RunLock(path)
        with _released_on_error(lock):
            refuse_occupied(path)  # another process may have filled it since the first look
            _remove_leftovers(path)
            header = {"format": FORMAT, "id": uuid.uuid4().hex, **header}
            files.write_file(path / HEADER, json.dumps(header, ensure_ascii=True, indent=1).encode())
            return cls(path, header, lock)

    @classmethod
    def open(cls, path: Path, *, write: bool = False) -> Run:
        """Open a run folder; `write` takes the lock and tidies up after a crash.

        Raises RecordError when it is not a run or of another format, RunLocked when another process writes it.
        """
        path = Path(path)
        header = _read_header(path)
        if not write:
            return cls(path, header, None)
        lock = RunLock(path)
        with _released_on_error(lock):
            _remove_leftovers(path)
            return cls(path, header, lock)

    def add(self, kind: str, **fields: Any) -> None:
        """Append one row to events.jsonl, stamped with the time; not forced to the disk before the next checkpoint."""
        self._writer().append({"kind": kind, "time": _timestamp(), **fields})

    def add_rows(self, rows: Iterable[Row]) -> None:
        """Append rows, each with its kind, in one write: a process that is killed leaves all of them or nearly so."""
        time = _timestamp()
        self._writer().append(*({"kind": row["kind"], "time": time, **row} for row in rows))

    def forget(self, unwanted: Callable[[Row], bool]) -> None:
        """Drop rows from events.jsonl, because what they tell of will happen again."""
        self._writer().forget(unwanted)

    def events(self, kind: str | None = None) -> list[Row]:
        """The rows so far, oldest first, of one kind or all; damaged ones are left out."""
        rows = read_rows(self.path / EVENTS)
        return rows if kind is None else [row for row in rows if row["kind"] == kind]

    @property
    def members(self) -> list[Row]:
        """What came of each network of a run of several, by rising number: its seed, figures, state and folder."""
        last = {row["number"]: row for row in self.events("member")}
        return [last[number] for number in sorted(last)]

    def truncate_after(self, step: int) -> None:
        """Forget what was logged after the checkpoint of `step`, because it will happen again; notes are kept.

        Where there is no such checkpoint, rows of later steps and those that conclude a process are forgotten. The log
        of a finished run stays as it is, because nothing of it will happen again.
        """
        if any(row.get("status") == "finished" for row in self.events("end")):
            return
        latest = self.latest_checkpoint()
        self._writer().truncate_after(step, latest.events_size if latest and latest.step == step else 0)

    def write_checkpoint(self, step: int, contents: dict[str, bytes], *, keep: int) -> Path:
        """Write a checkpoint, prove it, and only then remove all but the `keep` newest.

        Raises DiskFull or RecordError; earlier checkpoints are then intact. An old one that cannot be removed does not
        fail the save: it is noted in the events.
        """
        assert keep >= 1, "the newest checkpoint is always kept"
        log = self._writer()
        log.sync()
        folder = self.path / CHECKPOINTS
        written = checkpoints.write_checkpoint(folder, self.id, step, contents, events_size=log.size)
        for problem in checkpoints.retain(folder, written, keep):
            self.add("note", text=problem)
        return written.path

    def latest_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint that verifies, or None; CheckpointError when there are some but all are damaged."""
        return checkpoints.find_latest(self.path / CHECKPOINTS, self.id)

    def close(self) -> None:
        """Force the events to the disk and let others write. Idempotent."""
        lock, log, self._lock, self._log = self._lock, self._log, None, None
        try:
            if log is not None:
                try:
                    log.sync()
                finally:
                    log.close()
        finally:
            if lock is not None:
                lock.release()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _writer(self) -> EventLog:
        assert self._log is not None, "this run was opened for reading, or closed"
        return self._log


def refuse_occupied(path: Path) -> None:
    """Raise RecordError unless a run can be made at `path`: nothing is there, or an empty folder."""
    if path.exists() and not path.is_dir():
        raise RecordError(f"{path} is a file; choose another run folder with --out.")
    if path.is_dir():
        names = {entry.name for entry in path.iterdir() if not files.is_temporary(entry.name)} - {LOCK_NAME}
        if HEADER in names:
            raise RecordError(f"{path} holds a run already. Continue it with --resume, or choose another --out.")
        if names:
            raise RecordError(f"{path} is not empty (it holds {min(names)}). Choose another folder with --out.")


def new_run_path(root: Path, data_name: str, model_name: str, now: datetime) -> Path:
    """Make an empty folder `root/<date>-<time>-<data>-<model>-<4 hex digits>` that no other process has."""
    root = Path(root)
    files.make_folder(root, exist_ok=True)
    stem = f"{now:%Y%m%d-%H%M%S}-{_slug(data_name)}-{_slug(model_name)}"
    while True:
        path = root / f"{stem}-{secrets.token_hex(2)}"
        try:
            files.make_folder(path)
        except RecordError as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
        else:
            return path


def _slug(name: str) -> str:
    """Lower-case ASCII letters, digits and dashes, at most 40.

    >>> _slug("Fashion MNIST (v2).csv")
    'fashion-mnist-v2-csv'
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:40].strip("-") or "x"


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _read_header(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise RecordError(f"{path}: no such run folder.")
    if not path.is_dir():
        raise RecordError(f"{path} is a file; expected a run folder, as `limpid train` makes them.")
    try:
        header = parse_json(read_regular(path / HEADER, limit=LARGEST_JSON), str(path / HEADER))
    except FileNotFoundError:
        raise RecordError(
            f"{path} is not a run folder: it holds no {HEADER}. Expected a folder made by `limpid train`."
        ) from None
    written = header.get("format")
    if type(written) is not int or written != FORMAT:
        raise RecordError(
            f"{path}: this run was written in format {written!r}; this version reads {FORMAT}. "
            "Use the version of Limpid that wrote it."
        )
    if not isinstance(header.get("id"), str) or not header["id"]:
        raise RecordError(f"{path / HEADER} is damaged: it does not name the run's id.")
    return header


def _remove_leftovers(path: Path) -> None:
    checkpoints.remove_leftovers(path)
    checkpoints.remove_leftovers(path / CHECKPOINTS)


def open_run(run: Run | str | Path) -> Run:
    """The run itself, or the one in this folder, opened for reading."""
    return run if isinstance(run, Run) else Run.open(Path(run))


@contextlib.contextmanager
def _released_on_error(lock: RunLock) -> Iterator[None]:
    try:
        yield
    except BaseException:
        lock.release()
        raise


@contextlib.contextmanager
def _removed_on_error(path: Path | None) -> Iterator[None]:
    """A folder that never became a run does not stay behind; a lock file is all that it may hold."""
    try:
        yield
    except BaseException:
        if path is not None and path.exists() and {entry.name for entry in path.iterdir()} <= {LOCK_NAME}:
            (path / LOCK_NAME).unlink(missing_ok=True)
            path.rmdir()
        raise
