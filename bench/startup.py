"""How long Limpid takes to start: `python -m bench.startup`.

The limits are an import at most 0.15 s beyond torch's own, and `limpid --help` in at most 0.4 s.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.child import run_child
from bench.summary import Spread, spread

STATEMENTS = {
    "python alone": "pass",
    "import torch": "import torch",
    "import torch, limpid": "import torch, limpid",
    "import limpid": "import limpid",
    "limpid.train looked up": "import limpid; limpid.train",
}


def commands() -> dict[str, list[str]]:
    """What is timed, by name."""
    program = Path(sys.executable).with_name("limpid")
    start = [str(program)] if program.exists() else [sys.executable, "-c", "from limpid.cli import main; main()"]
    timed = {name: [sys.executable, "-c", statement] for name, statement in STATEMENTS.items()}
    return {**timed, "limpid --help": [*start, "--help"]}


def measure_startup(repeats: int) -> dict[str, Spread]:
    """Seconds of each command, alternated; one round beforehand fills the disk cache."""
    seconds: dict[str, list[float]] = {name: [] for name in commands()}
    for repeat in range(repeats + 1):
        for name, command in commands().items():
            child = run_child(command)
            if child.code != 0:
                raise SystemExit(f"{' '.join(command)} failed:\n{child.errors}")
            if repeat:
                seconds[name].append(child.seconds)
    found = {name: spread(values) for name, values in seconds.items()}
    return {name: value for name, value in found.items() if value is not None}


def startup_text(found: dict[str, Spread]) -> str:
    """The measurements as a markdown table with the difference that counts."""
    lines = ["| start | seconds |", "| --- | ---: |"]
    lines += [f"| {name} | {value.render()} |" for name, value in found.items()]
    beyond = found["import torch, limpid"].median - found["import torch"].median
    helped = found["limpid --help"].median
    return "\n".join([*lines, "", f"limpid beyond torch: {beyond:.3f} s; limpid --help: {helped:.3f} s"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    print(startup_text(measure_startup(parser.parse_args().repeats)))
