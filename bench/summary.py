"""Many runs in few numbers: medians with their range, ratios, and the table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.workloads import Mode

HIGHER_IS_BETTER = {"train_samples_per_second": True, "seconds": False, "seconds_to_target": False}
HEADINGS = {
    "train_samples_per_second": "samples/s after the first epoch",
    "seconds": "seconds, whole process",
    "seconds_to_target": "seconds to the target, whole process",
}


@dataclass(frozen=True)
class Result:
    """One run of one program."""

    program: str
    mode: str
    seconds: float
    peak_megabytes: float
    train_samples_per_second: float | None = None
    test_accuracy: float | None = None
    test_loss: float | None = None  # nats per token, of a language model
    seconds_to_target: float | None = None
    epochs: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class Spread:
    """Median and range of n values."""

    median: float
    low: float
    high: float
    n: int

    def render(self) -> str:
        """ "4.21 (4.10-4.30)", with three significant digits."""
        if self.n == 1:
            return number(self.median)
        return f"{number(self.median)} ({number(self.low)}-{number(self.high)})"


def spread(values: Iterable[float | None]) -> Spread | None:
    """Median with range of the values that are there; None when there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(statistics.median(known), min(known), max(known), len(known))


def advantage(ours: Spread | None, theirs: Spread | None, measure: str) -> float | None:
    """How many times better our median is: above 1 when we are faster, whichever way the measure points."""
    if ours is None or theirs is None or not ours.median or not theirs.median:
        return None
    return ours.median / theirs.median if HIGHER_IS_BETTER[measure] else theirs.median / ours.median


def number(value: float) -> str:
    """Three significant digits, thousands separated.

    >>> number(103456.7), number(12.345), number(0.98765)
    ('103,000', '12.3', '0.988')
    """
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= 100:
        return f"{rounded:,.0f}"
    return f"{rounded:#.3g}"


def table(results: Sequence[Result], mode: Mode) -> str:
    """The runs of one mode as a markdown table, Limpid first, then the peers from best to worst."""
    runs: dict[str, list[Result]] = {}
    for result in results:
        if result.mode == mode.name:
            runs.setdefault(result.program, []).append(result)
    figures = {program: spread(getattr(run, mode.measure) for run in group) for program, group in runs.items()}
    order = sorted(runs, key=lambda program: _rank(program, figures[program], mode.measure))
    lines = [
        f"| program | {HEADINGS[mode.measure]} | Limpid is x faster | test score | peak MB | runs |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for program in order:
        group, figure = runs[program], figures[program]
        times = advantage(figures.get("limpid"), figure, mode.measure)
        accuracy = spread(run.test_accuracy for run in group)
        loss = spread(run.test_loss for run in group)
        memory = spread(run.peak_megabytes for run in group if run.error is None)
        cells = [
            program,
            figure.render() if figure else _absent(group, mode),
            "" if program == "limpid" else f"{times:.2f}" if times else "-",
            f"{accuracy.median:.4f}" if accuracy else f"loss {loss.median:.4f}" if loss else "-",
            f"{memory.median:,.0f}" if memory else "-",
            f"{figure.n if figure else 0} of {len(group)}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def floor_text(floor: Mapping[str, Any], results: Sequence[Result]) -> str:
    """What the multiply-adds alone would allow, and the share of it that each program reaches."""
    rates = ", ".join(f"{name} {number(rate)}" for name, rate in floor["gflops"].items())
    lines = [
        f"Measured floor: {rates} GFLOP/s; memory {number(floor['gigabytes_per_second'])} GB/s. The multiply-adds of "
        f"this workload alone, each on its fastest road, allow {number(floor['samples_per_second'])} samples/s "
        f"(float32 {number(floor['float32_samples_per_second'])}, bf16 {number(floor['bf16_samples_per_second'])})."
    ]
    for program in dict.fromkeys(result.program for result in results):
        steady = spread(r.train_samples_per_second for r in results if r.program == program and (r.epochs or 0) > 1)
        if steady:
            lines.append(f"- {program}: {100 * steady.median / floor['samples_per_second']:.0f} % of the floor")
    return "\n".join(lines)


def _rank(program: str, figure: Spread | None, measure: str) -> tuple[bool, bool, float]:
    value = 0.0 if figure is None else figure.median
    return program != "limpid", figure is None, -value if HIGHER_IS_BETTER[measure] else value


def _absent(group: Sequence[Result], mode: Mode) -> str:
    failed = [run.error for run in group if run.error]
    if failed:
        return f"failed: {failed[0].replace('|', '/')[:80]}"
    return f"not reached in {max((run.epochs or 0) for run in group)} epochs" if mode.target else "-"
