"""What happened during a run, as one JSON object per line of events.jsonl, oldest first.

JSON has no NaN or infinity: they are written as the strings "nan", "inf" and "-inf", and read back as floats wherever
one of these strings is a whole value, except under a row's own keys in TEXT_KEYS, which hold words. A process that dies
while appending can leave part of a row at the end; readers pass over it, and the next writer removes it first.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limpid.errors import RecordError
from limpid.record import files

Row = dict[str, Any]

TEXT_KEYS = frozenset({"kind", "time", "split", "text", "reason", "file", "status", "score", "digest", "name", "where"})

# Rows that conclude a stretch of training; a resumed run concludes anew.
CLOSING_KINDS = frozenset({"result", "member_result", "held_out", "predictions", "throughput", "end"})

# Rows about the process itself, true whatever happens later.
LASTING_KINDS = frozenset({"checkpoint", "note"})

_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

# JSON allows these unescaped, terminals and line splitters do not take them kindly: DEL, C1 controls, U+2028, U+2029.
_UNFRIENDLY = re.compile("[\x7f-\x9f\u2028\u2029]")


def encode_row(row: Row) -> bytes:
    """One line, newline included. NumPy-like scalars become numbers, paths become text.

    >>> encode_row({"kind": "metric", "loss": float("nan")})
    b'{"kind": "metric", "loss": "nan"}\\n'
    """
    try:
        text = json.dumps(row, allow_nan=False, ensure_ascii=False, default=_plain)
    except ValueError:
        text = json.dumps(_name_non_finite(row), allow_nan=False, ensure_ascii=False)
    if _UNFRIENDLY.search(text):
        text = _UNFRIENDLY.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    try:
        return text.encode("utf-8") + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, as in a file name that is not UTF-8
        return json.dumps(json.loads(text)).encode("ascii") + b"\n"


def decode_row(line: bytes) -> Row | None:
    """The row of one line, or None when it is damaged."""
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("kind"), str):
        return None
    return {key: value if key in TEXT_KEYS else _restore_non_finite(value) for key, value in row.items()}


def read_rows(path: Path) -> list[Row]:
    """Every intact row of a file; none when there is no file. Raises RecordError when it cannot be read."""
    return [row for line in _read(path).split(b"\n") if line and (row := decode_row(line)) is not None]


class EventLog:
    """The appending end of events.jsonl; the run's lock must be held.

    Opening it mends the end of the file: a complete row that lacks its newline gets it, an incomplete one is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        data = _read(path)
        whole = data.rfind(b"\n") + 1
        self._file = files.AppendFile(path)
        tail = data[whole:]
        if tail:
            if decode_row(tail) is not None:
                self._file.append(b"\n")
            else:
                self._file.cut(whole)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._file.size

    def append(self, *rows: Row) -> None:
        """Append rows in one write."""
        self._file.append(b"".join(map(encode_row, rows)))

    def forget(self, unwanted: Callable[[Row], bool]) -> None:
        """Drop the rows that are unwanted, and damaged ones; the file is replaced whole."""
        data = _read(self.path)
        rows = [(line, decode_row(line)) for line in data.split(b"\n")]
        self._replace(data, b"".join(line + b"\n" for line, row in rows if row is not None and not unwanted(row)))

    def truncate_after(self, step: int, certain: int) -> None:
        """Go back to where the log stood after `step`; the file is replaced whole.

        The first `certain` bytes, written before the checkpoint of that step, stay as they are; behind them only
        checkpoint rows and notes do. Without such bytes the rows' own steps decide.
        """
        data = _read(self.path)
        if not 0 < certain <= len(data) or data[certain - 1 : certain] != b"\n":
            certain = 0
        rows = [(line, decode_row(line)) for line in data[certain:].split(b"\n")]
        kept = [line + b"\n" for line, row in rows if row is not None and _is_kept(row, step, bool(certain))]
        self._replace(data, data[:certain] + b"".join(kept))

    def _replace(self, data: bytes, text: bytes) -> None:
        if text == data:
            return
        self._file.close()
        try:
            files.write_file(self.path, text)
        finally:
            self._file = files.AppendFile(self.path)

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        self._file.close()


def _is_kept(row: Row, step: int, is_behind_checkpoint: bool) -> bool:
    at = row.get("step")
    if isinstance(at, int | float) and at > step:
        return False
    return row["kind"] in LASTING_KINDS if is_behind_checkpoint else row["kind"] not in CLOSING_KINDS


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror or error}.") from error


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # arrays and scalars of NumPy and torch, without importing either
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a row cannot hold a {type(value).__name__}: {value!r}")


def _name_non_finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _name_non_finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_name_non_finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else ("nan" if math.isnan(value) else "inf" if value > 0 else "-inf")
    if value is None or isinstance(value, str | int):
        return value
    return _name_non_finite(_plain(value))


def _restore_non_finite(value: Any) -> Any:
    if isinstance(value, str):
        return _NON_FINITE.get(value, value)
    if isinstance(value, dict):
        return {key: _restore_non_finite(item) for key, item in value.items()}
    return [_restore_non_finite(item) for item in value] if isinstance(value, list) else value
