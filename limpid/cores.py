"""The cores that this process may use. Needs no torch, for those who ask before torch is loaded."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores that this process may run on, which a container or taskset can make fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
