"""`python -m clinic`: sick runs, healthy runs and near misses, diagnosed and counted."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from clinic.register import CONDITIONS, bring_real, tasks
from clinic.shifts import CACHE, ROOT, Ledger, Task, work
from clinic.summary import bars, document, matrix, misses, per_check, rates
from clinic.tally import tally

RATES = ROOT / "limpid" / "doctor" / "error_rates.toml"
DOCUMENT = ROOT / "docs" / "CLINIC.md"
THOROUGH = 20  # of so many healthy runs one gets every probe there is
FAST = (  # conditions of the fast part, one seed each and cheap measurements alone
    *("B03-softmax-twice", "B06-loop-broadcast", "B11-loop-no-zero-grad", "B15-loop-sorted", "B16-horizon-too-short"),
    *(
        "D01-constant-and-missing",
        "D02-digits-x255",
        "D07-digits",
        "D08-copies",
        "D10-number-tells",
        "D15-hundred-rows",
    ),
    *("D16-loop-target-of-1000", "G01-two-units", "G02-wide-moons", "O02-sgd-1e-5", "S01-zeros", "S05-bias-minus-10"),
    *("H01-range-ends-below-the-best", "healthy-search-plain"),
    *("near-D02-one-hot", "near-D15-wide-margin", "near-B11-loop-accumulation", "near-B05-numbers-on-purpose"),
    *("healthy-cancer-adamw-none-cosine", "healthy-cancer-sgd-batch-constant", "healthy-diabetes-adamw-none-one_cycle"),
    *("healthy-diabetes-sgd-layer-cosine", "healthy-variant-two-classes", "healthy-loop-regression"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; the tables go to stdout, a full run into docs/ and the package too."""
    options = read_command_line(arguments)
    if options.data is not None:
        bring_real(options.data)
    chosen = tasks(options.half, options.seeds, options.only)
    if options.fast:
        chosen = [(name, 1) for name in FAST]
    planned = len(chosen)
    if options.so_far:
        known = Ledger(CACHE).rows
        chosen = [task for task in chosen if task in known]
    started = time.perf_counter()
    rows = work(
        chosen,
        num_workers=options.workers,
        dear=no_probes if options.fast else dear_probes,
        stale=options.stale,
        say=say,
    )

    from limpid.doctor.checks import CHECKS

    names = {code: check.name for code, check in CHECKS.items()}
    records = tally(rows, CONDITIONS, names)
    if options.misses:
        print(misses(rows, CONDITIONS))
        return 0
    print(bars(records, rows, CONDITIONS), "\n")
    print(per_check(records, names), "\n")
    print(matrix(rows, CONDITIONS, ("sick", "near")))
    print(f"\n{len(rows)} cases, {time.perf_counter() - started:.0f} s")
    whole = not (options.only or options.fast or options.seeds) and options.half == "report"
    if whole:
        stamp = {"date": date.today().isoformat(), "commit": commit()}
        head = f"Written by `make clinic` on {stamp['date']} from commit {stamp['commit']}."
        if options.so_far:
            head += f" Interrupted: {len(chosen)} of {planned} cases, lower seeds first."
        if options.stale:
            head += " Runs and measurements may be of commits shortly before it; the rules were asked again."
        DOCUMENT.write_text(document(rows, records, CONDITIONS, names, head), encoding="utf-8")
        RATES.write_text(rates(records, stamp), encoding="utf-8")
    return 0


def read_command_line(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m clinic", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="a few dozen runs: does everything work?")
    parser.add_argument("--only", nargs="*", default=(), metavar="WORD", help="codes, groups or parts of names")
    parser.add_argument("--seeds", type=int, help="of each condition; default 3 to 8 of sick, 2 of others")
    parser.add_argument("--half", choices=("calibration", "report"), default="report", help="which seeds")
    parser.add_argument("--data", type=Path, help="folder of real data too")
    parser.add_argument("--workers", type=int, default=2, help="processes; 0: this one")
    parser.add_argument("--stale", action="store_true", help="ask the rules again on kept records of earlier sources")
    parser.add_argument("--so-far", action="store_true", help="only the cases that are there of an interrupted clinic")
    parser.add_argument("--misses", action="store_true", help="print what is missed and what fires wrongly, one by one")
    return parser.parse_args(arguments)


def dear_probes(task: Task) -> list[str]:
    """Probes beyond those of every training: all that the check in question reads, and all of them for some runs."""
    from limpid.doctor.checks import CHECKS
    from limpid.probes.registry import PROBES

    condition = CONDITIONS[task[0]]
    dear = [probe.name for probe in PROBES if probe.when != "before"]
    if condition.group == "healthy":
        return dear if sum(map(ord, f"{task[0]}{task[1]}")) % THOROUGH == 0 else []
    asked = [code for code in (condition.code, *condition.kin) if code in CHECKS]
    return [name for name in dear if any(name in CHECKS[code].reads for code in asked)]


def no_probes(task: Task) -> list[str]:
    """Nothing beyond what every training measures."""
    return []


def commit() -> str:
    """The commit that was measured; "+" where the tree differs from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "limpid", "clinic") else "")


def say(text: str) -> None:
    """Progress goes to stderr, so that stdout holds the tables alone."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
