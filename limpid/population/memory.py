"""What a lack of memory looks like: the errors of torch and NumPy that say that something does not fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from limpid.errors import ModelError

# torch's CPU allocator has no error class of its own; these are its words (c10/core/impl/alloc_cpu.cpp, StorageUtils).
CPU_WORDS = ("can't allocate memory", "not enough memory", "Storage size calculation overflowed")
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


@contextmanager
def memory_suffices() -> Iterator[None]:
    """Raises ModelError, with what was asked for, where an error inside says that memory does not suffice."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        reason = lack_of_memory(error)
        if reason is None:
            raise
        raise ModelError(reason) from None


def lack_of_memory(error: Exception) -> str | None:
    """The reason for people, where an error says that memory did not suffice; None for every other error."""
    text = str(error)
    refused = isinstance(error, RuntimeError) and any(words in text for words in CPU_WORDS)
    if not (refused or isinstance(error, MemoryError | torch.OutOfMemoryError)):
        return None
    asked = re.search(r"(?:allocate|of|for) (\d+) bytes", text)
    piece = f": one tensor of it takes {readable(int(asked[1]))}" if asked else ""
    return f"It does not fit in memory{piece}. Use a smaller network or smaller batches."


def readable(num_bytes: float) -> str:
    """Bytes in the largest unit that leaves a number above 1.

    >>> readable(1125899906842624), readable(512)
    ('1 PiB', '512 bytes')
    """
    step = 0
    while num_bytes >= 1024 and step < len(UNITS) - 1:
        num_bytes, step = num_bytes / 1024, step + 1
    return f"{num_bytes:.3g} {UNITS[step]}" if num_bytes < 1000 else f"{num_bytes:.0f} {UNITS[step]}"
