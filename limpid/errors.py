"""Every error that Limpid raises on purpose, as one tree.

    LimpidError                 exit code 2: something the user can mend
    |-- ConfigError             an option or a key of the configuration
    |-- DataError               a file, row, column, image or array
    |-- ModelError              an architecture that cannot be built for this data
    |-- RecordError             a run folder that cannot be read or written
    |   |-- CheckpointError     no valid checkpoint, or one that does not fit
    |   |-- RunLocked           exit code 5: another process writes this run
    |   `-- DiskFull            exit code 6: nothing could be written, the last checkpoint is intact
    |-- MissingExtra            an optional package is not installed
    |-- NonFiniteLoss           exit code 4: NaN or Inf in the loss; the last good weights are kept
    `-- Stopped                 exit code 130 (Ctrl-C) or 143 (SIGTERM): stopped on request, resumable

A message is complete in itself: what was wrong and where (file, row, column, layer or option), what was expected, and
what to do about it. The command line prints it without a traceback and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LimpidError(Exception):
    """Something the user can mend; `str(error)` is the whole message."""

    exit_code = 2


class ConfigError(LimpidError):
    """An option or a configuration key is unknown, has the wrong type, or contradicts another."""


class DataError(LimpidError):
    """The data cannot be used as they are; the message names the file, row, column or image."""


class ModelError(LimpidError):
    """The architecture is unknown, or cannot be built for data of this shape."""


class RecordError(LimpidError):
    """A run folder is missing, damaged, or of a format that this version does not read."""


class CheckpointError(RecordError):
    """No checkpoint of the run verifies, or its tensors do not fit the model."""


class RunLocked(RecordError):
    """Another process is writing this run."""

    exit_code = 5


class DiskFull(RecordError):
    """The disk took no more; what had been committed before is intact."""

    exit_code = 6


class MissingExtra(LimpidError):
    """An optional package is needed; the message holds the command that installs it."""


class NonFiniteLoss(LimpidError):
    """The loss became NaN or Inf; the message names the first layer or the rows it came from."""

    exit_code = 4


class Stopped(LimpidError):
    """Training stopped on request after saving a checkpoint.

    `signal` is "SIGINT" (exit code 130) or "SIGTERM" (143).
    """

    def __init__(self, message: str, signal: str) -> None:
        super().__init__(message)
        self.signal = signal
        self.exit_code = {"SIGINT": 130, "SIGTERM": 143}[signal]

    def resumable(self, run: object) -> Stopped:
        """The same, with the command that continues the run in this folder."""
        return Stopped(f"{self} Continue with: limpid train --resume {run}", self.signal)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word closest to a mistyped one, or None; of dotted words the last part may match alone."""
    known = list(known)
    tails = {name.rpartition(".")[2]: name for name in known}
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if found:
        return found[0]
    found = difflib.get_close_matches(word.rpartition(".")[2], tails, n=1, cutoff=0.6)
    return tails[found[0]] if found else None
