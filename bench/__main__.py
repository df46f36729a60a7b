"""`python -m bench`: Limpid and its peers in turn on the same data, as tables of medians."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.environment import WORK, peer_python, prepare
from bench.programs import PEERS, PRECISIONS, run_limpid, run_peer, warm_limpid
from bench.subset import make_subset
from bench.summary import Result, floor_text, number, table
from bench.workloads import WORKLOADS, Mode, Workload

QUICK_ROWS = (2000, 1000)
ALL_PEERS = tuple(dict.fromkeys(peer for workload in WORKLOADS.values() for peer in workload.peers))
ALL_MODES = tuple(dict.fromkeys(mode.name for workload in WORKLOADS.values() for mode in workload.modes))


def main() -> None:
    """Parse the command line, run what it asks for, print tables and keep the figures."""
    options = read_command_line()
    if options.setup:
        prepare()
        return
    prepare()
    for key in options.workloads:
        workload = shorten(WORKLOADS[key]) if options.quick else WORKLOADS[key]
        run_workload(workload, options)


def read_command_line() -> argparse.Namespace:
    """The options; an unknown workload or peer, or no data, ends here."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("workloads", nargs="*", default=[], help=f"of {', '.join(WORKLOADS)}; default all")
    parser.add_argument("--peers", nargs="*", default=ALL_PEERS, choices=ALL_PEERS, help="default all")
    parser.add_argument("--modes", nargs="*", choices=ALL_MODES, help="default all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data", type=Path, default=os.environ.get("LIMPID_DATA"), help="data folder (LIMPID_DATA)")
    parser.add_argument("--quick", action="store_true", help="2,000 rows, one repeat, no target runs: does it work?")
    parser.add_argument("--limpid-set", action="append", default=[], metavar="A.B=C", help="option for Limpid")
    parser.add_argument("--limpid-epochs", type=int, help="epochs of Limpid's target runs")
    parser.add_argument("--setup", action="store_true", help="install the peers and stop")
    options = parser.parse_args()
    options.workloads = options.workloads or list(WORKLOADS)
    unknown = [key for key in options.workloads if key not in WORKLOADS]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    if options.data is None and not options.setup:
        parser.error("--data DIR is missing, and LIMPID_DATA is not set")
    if options.quick:
        options.repeats = 1
    return options


def shorten(workload: Workload) -> Workload:
    """The workload with few rows and two epochs, for a look whether everything runs."""
    modes = tuple(replace(mode, epochs=min(mode.epochs, 2)) for mode in workload.modes if mode.target is None)
    return replace(workload, rows=QUICK_ROWS, modes=modes)


def run_workload(workload: Workload, options: argparse.Namespace) -> None:
    """Run all programs in turn, `repeats` times, writing the figures down after each run."""
    data = options.data.resolve()
    if workload.rows is not None:
        num_train, num_test = workload.rows
        data = make_subset(data, WORK / "data" / f"{num_train}-{num_test}", num_train=num_train, num_test=num_test)
    if "cifar10" in workload.source:  # decoded for all peers before anything is timed
        subprocess.run([str(peer_python()), str(PEERS / "datasets.py"), str(data)], check=True, capture_output=True)
    peers = [peer for peer in workload.peers if peer in options.peers]
    modes = [mode for mode in workload.modes if options.modes is None or mode.name in options.modes]
    if options.limpid_epochs:
        modes = [replace(mode, limpid_epochs=options.limpid_epochs) for mode in modes]

    floor = measured_floor(workload)
    precision = expert_precision(workload, data) if "expert" in peers else "float32"
    warm = warm_limpid(workload, data, extra=options.limpid_set)
    if warm.error:
        raise SystemExit(f"limpid does not run {workload.key}: {warm.error}")
    results: list[Result] = []
    for repeat in range(options.repeats):
        for mode in modes:
            for program in ("limpid", *peers):
                if program == "limpid":
                    result = run_limpid(workload, mode, data, extra=options.limpid_set)
                else:
                    result = run_peer(program, workload, mode, data, precision=precision)
                results.append(result)
                say(f"{workload.key} {mode.name} {repeat + 1}/{options.repeats} {describe(result, mode)}")
                write_results(workload, results, floor=floor, expert_precision=precision, options=options)
    print(f"\n## {workload.key.upper()} {workload.title}\n")
    for mode in modes:
        print(f"### {heading(mode)}\n\n{table(results, mode)}\n")
    if "expert" in peers:
        print(f"The expert's arithmetic, measured beforehand: {precision}.")
    print(floor_text(floor, results))


def heading(mode: Mode) -> str:
    """The mode in words: "process: 1 epoch"."""
    if mode.target is not None:
        return f"{mode.name}: until {100 * mode.target:.1f} % of the test rows are right"
    return f"{mode.name}: {mode.epochs} epoch{'s' if mode.epochs > 1 else ''}"


def measured_floor(workload: Workload) -> dict[str, Any]:
    """The floor, measured in a process of its own."""
    command = [sys.executable, "-m", "bench.floor", workload.key]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def expert_precision(workload: Workload, data: Path) -> str:
    """The arithmetic in which the expert's script is fastest here, by a short run of each."""
    short = Mode("probe", "train_samples_per_second", epochs=2)
    rates = {}
    for precision in PRECISIONS:
        result = run_peer("expert", workload, short, data, precision=precision)
        rates[precision] = result.train_samples_per_second or 0.0
        say(f"{workload.key} expert in {precision}: {number(rates[precision])} samples/s")
    return max(PRECISIONS, key=lambda precision: rates[precision])


def describe(result: Result, mode: Mode) -> str:
    """One run in one line."""
    if result.error:
        return f"{result.program}: {result.error}"
    value = getattr(result, mode.measure)
    figure = "not reached" if value is None else f"{mode.measure} {number(value)}"
    return (
        f"{result.program}: {figure}, test accuracy {result.test_accuracy or 0.0:.4f}, {result.peak_megabytes:,.0f} MB"
    )


def write_results(
    workload: Workload,
    results: Sequence[Result],
    *,
    floor: dict[str, Any],
    expert_precision: str,
    options: argparse.Namespace,
) -> None:
    """Keep every single run in .bench/results-<workload>.json."""
    WORK.mkdir(exist_ok=True)
    values = {
        "workload": workload.key,
        "title": workload.title,
        "quick": options.quick,
        "limpid_set": options.limpid_set,
        "expert_precision": expert_precision,
        "floor": floor,
        "results": [asdict(result) for result in results],
    }
    (WORK / f"results-{workload.key}.json").write_text(json.dumps(values, indent=1), encoding="utf-8")


def say(text: str) -> None:
    """Progress goes to stderr, so that stdout holds the tables alone."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
