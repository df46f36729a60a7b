"""w7: many configurations of one small network, by Limpid and by its peers in turn: `python -m bench.w7`.

An MLP 64-32 on scikit-learn's digits, 20 epochs of each configuration, the same ones for everyone, the best chosen on
the same hold-out. Whole processes are measured, imports and reading included; "training" is what the trials took by
themselves, divided by the number of workers (Limpid: all of its search). `limpid tune` draws as many configurations of
its own from the same ranges, and writes its record, the winner's run with its test score, and a report.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.child import run_child
from bench.environment import WORK, peer_python, prepare
from bench.programs import last_object
from bench.search_plan import write_plan, write_space
from bench.summary import Spread, number, spread

PEERS = Path(__file__).parent / "peers"
PEER_SCRIPTS = {
    "sklearn, 2 jobs": ("sklearn_w7.py",),
    "optuna": ("optuna_w7.py",),
    "optuna, resident rows": ("optuna_w7.py", "--style", "resident"),
    "keras-tuner": ("kerastuner_w7.py",),
    "ray-tune": ("ray_w7.py",),
}
TUNE = "limpid tune"
TUNE_OPTIONS = "--model mlp --hidden 64,32 --optimizer adam --metric accuracy --sampler random --seeds 0 --json".split()
SLOW = ("keras-tuner", "ray-tune")  # run half as often, and with hundreds of trials only when asked to
LONGEST = 900.0  # seconds
# How many times faster Limpid is to be, whole processes, and its training alone; see the issue of populations.
BARS = {
    25: {"sklearn, 2 jobs": 2, "optuna": 5, "keras-tuner": 20, "ray-tune": 20},
    250: {"sklearn, 2 jobs": 6, "optuna": 15},
}
TRAINING_BAR = {"sklearn, 2 jobs": 10}


@dataclass(frozen=True)
class Search:
    """One search by one program."""

    program: str
    trials: int
    seconds: float
    peak_megabytes: float
    search_seconds: float | None = None
    training_seconds: float | None = None
    best_accuracy: float | None = None
    mean_accuracy: float | None = None
    error: str | None = None


def main() -> None:
    """Parse the command line, run everything in turn, and print a table for each number of trials."""
    parser = argparse.ArgumentParser(prog="python -m bench.w7", description=__doc__)
    programs = ("limpid", TUNE, *PEER_SCRIPTS)
    parser.add_argument("--trials", type=int, nargs="*", default=[25, 250])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5, help="of 25 trials; of more, one in three of that")
    parser.add_argument("--programs", nargs="*", default=programs, choices=programs)
    parser.add_argument("--all", action="store_true", help="the slow programs with many trials too")
    parser.add_argument("--on", default="auto", help="Limpid's way to train a population")
    parser.add_argument("--quick", action="store_true", help="3 trials of 2 epochs, once: does everything run?")
    options = parser.parse_args()
    if options.quick:
        options.trials, options.epochs, options.repeats = [3], 2, 1
    prepare()
    for trials in options.trials:
        many = trials > 50
        shown = [name for name in options.programs if options.all or not many or name not in SLOW]
        repeats = max(1, options.repeats // 3) if many else options.repeats
        plan = write_plan(WORK / f"w7-{trials}.json", trials, options.epochs)
        results = alternate(shown, plan, trials, repeats, on=options.on)
        print(f"\n### {trials} configurations, {options.epochs} epochs each\n\n{search_table(results)}")


def alternate(programs: Sequence[str], plan: Path, trials: int, repeats: int, *, on: str = "auto") -> list[Search]:
    """Every program in turn, `repeats` times; all results are kept in .bench as they come."""
    results: list[Search] = []
    for repeat in range(repeats):
        for program in programs:
            if program in SLOW and repeat >= max(1, repeats // 2):
                continue
            results.append(run_search(program, command_of(program, plan, on=on), trials))
            say = results[-1].error or f"{number(results[-1].seconds)} s, best {results[-1].best_accuracy:.4f}"
            print(f"w7 {trials} trials {repeat + 1}/{repeats} {program}: {say}", file=sys.stderr, flush=True)
            kept = json.dumps([asdict(result) for result in results], indent=1)
            (WORK / f"results-w7-{trials}.json").write_text(kept, encoding="utf-8")
    return results


def command_of(program: str, plan: Path, *, on: str = "auto") -> list[str]:
    """The command line of one program."""
    if program == TUNE:
        told = json.loads(plan.read_text(encoding="utf-8"))
        start = [sys.executable, "-c", "from limpid.cli import main; main()", "tune", "digits", *TUNE_OPTIONS]
        space = str(write_space(plan.with_name("w7-space.toml")))
        size = ["--budget", str(len(told["configs"])), "--epochs", str(told["epochs"])]
        return [*start, "--space", space, *size, "--set", "optim.schedule=constant", "--on", on]
    if program == "limpid":
        return [sys.executable, "-m", "bench.population_w7", str(plan), "--on", on]
    script, *rest = PEER_SCRIPTS[program]
    return [str(peer_python()), str(PEERS / script), *rest, str(plan)]


def run_search(program: str, command: Sequence[str], trials: int) -> Search:
    """Run one program to its end."""
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", f"{folder}/search"] if program == TUNE else []
        child = run_child([*command, *out], limit=LONGEST)
    values = tuned(child.output) if program == TUNE else last_object(child.output)
    if child.code != 0 or values.get("trials") != trials:
        said = [line for line in child.errors.splitlines() if line.strip()]
        reason = f"exit {child.code}: {said[-1].strip() if said else 'no message'}"
        return Search(program, trials, child.seconds, child.peak_megabytes, error=reason)
    names = ("search_seconds", "training_seconds", "best_accuracy", "mean_accuracy")
    return Search(program, trials, child.seconds, child.peak_megabytes, **{name: values[name] for name in names})


def tuned(output: str) -> dict[str, Any]:
    """What the JSON lines of `limpid tune` say, as a peer would report it."""
    rows = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    trials = [row for row in rows if row["event"] == "trial"]
    figures = [row["figure"] for row in trials if row["state"] == "finished"]
    if not figures:
        return {}
    seconds = sum(row["seconds"] for row in trials)  # of members trained together, each has its share
    values = {"trials": len(trials), "best_accuracy": max(figures), "mean_accuracy": sum(figures) / len(figures)}
    return values | {"search_seconds": seconds, "training_seconds": seconds}


def search_table(results: Sequence[Search]) -> str:
    """Medians with ranges, and how many times faster Limpid is, beside the least that it is to be."""
    runs: dict[str, list[Search]] = {}
    for result in results:
        runs.setdefault(result.program, []).append(result)
    trials = results[0].trials
    whole = {name: spread(run.seconds for run in group if not run.error) for name, group in runs.items()}
    training = {name: spread(run.training_seconds for run in group) for name, group in runs.items()}
    lines = [
        "| program | seconds, whole process | Limpid is x faster | at least | training alone, s | x faster | at least "
        "| best accuracy | mean accuracy | peak MB | runs |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, group in runs.items():
        best, mean = (spread(getattr(run, key) for run in group) for key in ("best_accuracy", "mean_accuracy"))
        failed = next((run.error for run in group if run.error), None)
        memory = spread(run.peak_megabytes for run in group if not run.error)
        seconds, alone = whole[name], training[name]
        cells = [
            name,
            seconds.render() if seconds else f"failed: {str(failed).replace('|', '/')[:80]}",
            _times(name, whole),
            str(BARS.get(trials, {}).get(name, "")),
            alone.render() if alone else "-",
            _times(name, training),
            str(TRAINING_BAR.get(name, "")),
            f"{best.median:.4f}" if best else "-",
            f"{mean.median:.4f}" if mean else "-",
            f"{memory.median:,.0f}" if memory else "-",
            f"{seconds.n if seconds else 0} of {len(group)}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _times(name: str, figures: Mapping[str, Spread | None]) -> str:
    ours, theirs = figures.get("limpid"), figures[name]
    return f"{theirs.median / ours.median:.1f}" if "limpid" not in name and ours and theirs and ours.median else ""


if __name__ == "__main__":
    main()
