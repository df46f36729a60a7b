"""A progress bar on the terminal for work that takes longer than a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

PATIENCE = 1.0  # seconds before a bar appears


def watched(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """The same items; from the second second on, with a bar on standard error if that is a terminal."""
    start = time.monotonic()
    items = iter(items)
    done = 0
    for item in items:
        yield item
        done += 1
        if time.monotonic() - start > PATIENCE:
            break
    else:
        return
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(items, label, total=total, completed=done, console=console, transient=True)
