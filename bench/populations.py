"""What a member costs as its population grows, and what that saves: `python -m bench.populations`.

    growth   seconds and memory per member, populations of 1 to 1024 networks 64-64-32-10 on digits
    loops    64 seeds of moons 2-32-32-2 and 32 seeds of digits against as many single runs in a loop
    lenet    1 to 8 LeNets on MNIST, against one after another (needs --data DIR or LIMPID_DATA)

Each figure comes from a process of its own, warmed by one network for one epoch; imports and reading are left out. The
loops' single runs and the run of all seeds write their folders without reports.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.child import Child, run_child
from bench.programs import last_object
from bench.summary import Spread, number, spread

DIGITS = {"data__source": "digits", "model__name": "mlp", "model__hidden": [64, 32], "batch_size": 64}
MOONS = {"data__source": "moons", "model__name": "mlp", "model__hidden": [32, 32], "batch_size": 64}
LENET = {"data__source": "mnist", "model__name": "lenet5", "batch_size": 128}
GROWTH = (1, 4, 16, 64, 256, 1024)
LOOPS = {"moons 2-32-32-2": (MOONS, 64, 20.0), "digits 64-64-32-10": (DIGITS, 32, 6.0)}  # least ratio: the bar
LENETS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Cost:
    """What one job cost."""

    seconds: float
    cpu_seconds: float
    megabytes: float  # on the device, where that is not the CPU
    figure: float


def main() -> None:
    """Parse the command line, measure what it asks for, print tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.populations", description=__doc__)
    parser.add_argument("parts", nargs="*", default=["growth", "loops", "lenet"], help="of growth, loops, lenet")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--epochs", type=int, default=5, help="of each network in growth; the loops take four times that"
    )
    parser.add_argument("--on", nargs="*", default=["auto", "one-by-one"], help="ways to train; the first is judged")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--data", default=os.environ.get("LIMPID_DATA"), help="data folder (LIMPID_DATA)")
    parser.add_argument("--quick", action="store_true", help="few, small populations, once: does everything run?")
    options = parser.parse_args()
    if options.quick:
        options.repeats, options.epochs = 1, 1
    fixed: dict[str, Any] = {"training__device": options.device}
    if "growth" in options.parts:
        sizes = GROWTH[:2] if options.quick else GROWTH
        print(f"### Cost per member, digits 64-64-32-10, {options.epochs} epochs\n")
        print(growth_table(measure_growth(sizes, options, fixed), options.epochs), flush=True)
    if "loops" in options.parts:
        print("\n### One population of seeds against a loop of single runs\n")
        print(loop_table(measure_loops(options, fixed)), flush=True)
    if "lenet" in options.parts and options.data:
        print("\n### LeNets on MNIST, together and one after another\n")
        print(lenet_table(measure_lenets(options, fixed | {"data__data_dir": options.data})), flush=True)
    elif "lenet" in options.parts:
        print("\nLeNets on MNIST were left out: --data DIR is missing, and LIMPID_DATA is not set.")


def measure(options: Mapping[str, Any], members: int, *, way: str = "population", on: str = "auto") -> Cost:
    """Run one job in a process of its own."""
    job = {"options": options, "members": members, "way": way, "on": on}
    child = run_child([sys.executable, "-m", "bench.population_child", json.dumps(job)])
    if child.code != 0:
        raise SystemExit(f"{way} of {members} on {on} failed:\n{child.errors}")
    values = last_object(child.output)
    cost = Cost(values["seconds"], values["cpu_seconds"], _megabytes(child, values), values["figure"])
    name = options["data__source"]
    print(f"{name} {way} of {members} {on}: {number(cost.seconds)} s", file=sys.stderr, flush=True)
    return cost


def _megabytes(child: Child, values: Mapping[str, Any]) -> float:
    return float(values.get("device_megabytes") or child.peak_megabytes)


def measure_growth(
    sizes: Sequence[int], options: argparse.Namespace, fixed: Mapping[str, Any]
) -> dict[tuple[int, str], list[Cost]]:
    """Costs by size and way; of one after another only while that takes no minutes."""
    found: dict[tuple[int, str], list[Cost]] = {}
    job = DIGITS | fixed | {"epochs": options.epochs}
    for _ in range(options.repeats):
        for size in sizes:
            for on in options.on:
                if on != "one-by-one" or size <= 64:
                    found.setdefault((size, on), []).append(measure(job, size, on=on))
    return found


def growth_table(found: Mapping[tuple[int, str], Sequence[Cost]], epochs: int) -> str:
    """Medians: milliseconds per member and epoch, against a population of one, and memory."""
    lines = [
        "| members | way | seconds | ms per member and epoch | of a lone member's | CPU ms | peak MB "
        "| MB per further member |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    alone: dict[str, tuple[float, float]] = {}
    for (size, on), costs in sorted(found.items(), key=lambda item: (item[0][1], item[0][0])):
        seconds, memory = _spread(costs, "seconds"), _spread(costs, "megabytes")
        each = seconds.median / size
        first, base = alone.setdefault(on, (each, memory.median))
        more = number((memory.median - base) / (size - 1)) if size > 1 else ""
        times = [number(1e3 * each / epochs), f"{each / first:.3f}"]
        cpu = number(1e3 * _spread(costs, "cpu_seconds").median / size / epochs)
        cells = [str(size), on, seconds.render(), *times, cpu, f"{memory.median:,.0f}"]
        lines.append("| " + " | ".join([*cells, more]) + " |")
    return "\n".join(lines)


def measure_loops(options: argparse.Namespace, fixed: Mapping[str, Any]) -> dict[str, dict[str, list[Cost]]]:
    """Costs by problem and way; the loop is as long as an eighth of the seeds, and is counted eight times."""
    found: dict[str, dict[str, list[Cost]]] = {}
    for _ in range(options.repeats):
        for name, (recipe, seeds, _) in LOOPS.items():
            seeds = 8 if options.quick else seeds
            job = recipe | fixed | {"epochs": 4 * options.epochs}
            costs = found.setdefault(name, {})
            costs.setdefault("population", []).append(measure(job, seeds, on=options.on[0]))
            costs.setdefault("run", []).append(measure(job, seeds, way="run"))
            part = measure(job, seeds // 8, way="loop")
            whole = Cost(8 * part.seconds, 8 * part.cpu_seconds, part.megabytes, part.figure)
            costs.setdefault("loop", []).append(whole)
    return found


def loop_table(found: Mapping[str, Mapping[str, Sequence[Cost]]]) -> str:
    """Medians and ratios to the loop."""
    lines = [
        "| problem | way | seconds | x faster than the loop | at least | CPU seconds | peak MB |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, ways in found.items():
        loop = _spread(ways["loop"], "seconds").median
        for way, costs in ways.items():
            seconds, cpu, memory = (_spread(costs, key) for key in ("seconds", "cpu_seconds", "megabytes"))
            ratio = "" if way == "loop" else f"{loop / seconds.median:.1f}"
            bar = f"{LOOPS[name][2]:g}" if way == "population" else ""
            cells = [name, way, seconds.render(), ratio, bar, number(cpu.median), f"{memory.median:,.0f}"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def measure_lenets(options: argparse.Namespace, fixed: Mapping[str, Any]) -> dict[int, dict[str, list[Cost]]]:
    """Costs by number of members and way, 50 steps of each network."""
    found: dict[int, dict[str, list[Cost]]] = {}
    job = LENET | fixed | {"epochs": 1, "training__steps": 5 if options.quick else 50}
    for _ in range(options.repeats):
        for size in LENETS[:2] if options.quick else LENETS:
            for on in dict.fromkeys([*options.on, "one-by-one"]):
                found.setdefault(size, {}).setdefault(on, []).append(measure(job, size, on=on))
    return found


def lenet_table(found: Mapping[int, Mapping[str, Sequence[Cost]]]) -> str:
    """Medians, and how they compare with one after another."""
    lines = ["| members | way | seconds | x faster than one by one | peak MB |", "| ---: | --- | ---: | ---: | ---: |"]
    for size, ways in sorted(found.items()):
        plain = _spread(ways["one-by-one"], "seconds").median
        for on, costs in ways.items():
            seconds, memory = _spread(costs, "seconds"), _spread(costs, "megabytes")
            ratio = "" if on == "one-by-one" else f"{plain / seconds.median:.2f}"
            lines.append(f"| {size} | {on} | {seconds.render()} | {ratio} | {memory.median:,.0f} |")
    return "\n".join(lines)


def _spread(costs: Sequence[Cost], key: str) -> Spread:
    found = spread(getattr(cost, key) for cost in costs)
    assert found is not None
    return found


if __name__ == "__main__":
    main()
