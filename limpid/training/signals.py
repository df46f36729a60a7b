"""Requests to stop, from the keyboard (SIGINT) or a scheduler (SIGTERM).

A handler only sets a flag; the loop reads it between steps, saves, and leaves. A second Ctrl-C raises
KeyboardInterrupt at once: whatever is on disk then is valid, because every write there is atomic.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class StopRequest:
    """Context manager that turns signals into `requested`: None, "SIGINT" or "SIGTERM".

    Handlers are installed only in the main thread (elsewhere Python does not allow it) and restored on exit.
    """

    def __init__(self) -> None:
        self.requested: str | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.requested == "SIGINT":
            raise KeyboardInterrupt
        self.requested = signal.Signals(number).name
