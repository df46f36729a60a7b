"""One program in a process of its own, measured from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LONGEST_SECONDS = 1800.0  # a run that takes longer is stopped and counts as failed
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes; Linux counts in KiB


@dataclass(frozen=True)
class Child:
    """What a finished process cost and said."""

    seconds: float  # from before it was started until it was gone
    peak_megabytes: float  # largest resident set of it or of a child that it waited for
    code: int  # exit code; negative: the signal that ended it
    output: str
    errors: str


def run_child(command: Sequence[str], *, env: Mapping[str, str] | None = None, limit: float = LONGEST_SECONDS) -> Child:
    """Run to the end. `env` is added to the present environment."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        noted = {"LIMPID_BENCH_STARTED": repr(time.time())}
        process = subprocess.Popen(command, stdout=output, stderr=errors, env={**os.environ, **(env or {}), **noted})
        timer = threading.Timer(limit, os.kill, (process.pid, signal.SIGKILL))
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        return Child(seconds, usage.ru_maxrss * MAXRSS_UNIT / 1e6, process.returncode, output.read(), errors.read())
