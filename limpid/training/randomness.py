"""The states of all global random generators, so that a resumed run draws the numbers that it would have drawn.

Batches and augmentation do not need this: they are functions of (seed, epoch, index). Dropout does, and so may a
module or an augmentation of the user's own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_random(seed: int) -> None:
    """Start all generators from one seed, below 2^32. Otherwise torch starts each process from a different one."""
    seed_torch(seed)
    np.random.seed(seed)
    random.seed(seed)


def seed_torch(seed: int) -> None:
    """Start torch's generators from one seed.

    Without an accelerator that is the CPU's. `torch.manual_seed` would then note for three kinds of device, each with
    the stack of its caller, what to do once they are there: 0.3 to 0.7 ms a call, many times a run.
    """
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def capture_random() -> dict[str, Any]:
    """States of torch (CPU, every GPU in use, MPS), NumPy and Python, as tensors and plain JSON values."""
    version, words, spare = random.getstate()
    kind, keys, position, has_spare, np_spare = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
        "python": [version, list(words), spare],
        "numpy": [str(kind), np.asarray(keys).tolist(), int(position), int(has_spare), float(np_spare)],
    }


def restore_random(states: dict[str, Any]) -> None:
    """Put the generators back to captured states; those of devices that this machine lacks are left out."""
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available():
        for device, state in enumerate(states["cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(state, device)
    if states["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])
    version, words, spare = states["python"]
    random.setstate((version, tuple(words), spare))
    kind, keys, position, has_spare, np_spare = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_spare, np_spare))


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Inside the block the global generators start from this seed; after it they are as they were found.

    Thus a run depends on its seed alone, and a program that calls Limpid draws the numbers it would have drawn.
    """
    found = capture_random()
    seed_random(seed)
    try:
        yield
    finally:
        restore_random(found)
