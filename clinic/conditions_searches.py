"""Faults of searches, H01 to H08, in invented ones: nothing is trained, the record alone is written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from clinic.condition import Build, Case, Condition
from clinic.invented_search import BATCH, DECAY, DROPOUT, HIDDEN, KNOBS, LR, Params, Sweep, hill

LOOKED_AT = 1000  # searches from seeds below were looked at while thresholds were set
NARROW_LOW = ({**LR, "low": 1e-6, "high": 1e-5}, *KNOBS[1:])
CONSTANT = {"optim": {"schedule": "constant"}}


def rate(params: Params) -> float:
    return math.log10(params["optim.lr"])


def every_knob_counts(params: Params) -> float:
    return 0.9 + 0.02 * rate(params) - 0.2 * params["model.dropout"]


SICK: dict[str, tuple[str, Sweep]] = {
    "range ends below the best": ("H01", Sweep(knobs=NARROW_LOW, budget=30)),
    "range ends above the best": ("H01", Sweep(knobs=({**LR, "low": 0.05, "high": 3.0}, *KNOBS[1:]), budget=40)),
    "eight trials": ("H02", Sweep(budget=8)),
    "most fail": ("H02", Sweep(breaks=lambda params, draw: rate(params) > -2.5 or draw.random() < 0.2)),
    "nothing matters": ("H03", Sweep(surface=lambda params: 0.9, finals=(3, 5))),
    "best beside breakdown": (
        "H04",
        Sweep(surface=lambda p: 0.9 + 0.03 * rate(p), breaks=lambda p, draw: rate(p) > -1.5, budget=40),
    ),
    "let go blindly": ("H05", Sweep(prune_at=1, early=lambda p, draw: 0.5 + 0.1 * draw.normal(), budget=50)),
    "late bloomers let go": ("H05", Sweep(prune_at=1, early=lambda p, draw: 0.5 - 0.3 * (hill(p) - 0.9), budget=40)),
    "best at once": ("H06", Sweep(epochs=60, best_at=0.05, speed=0.02)),
    "best at the very end": ("H06", Sweep(best_at=1.0, speed=1.0, config=CONSTANT)),
    "sizes at one rate": ("H07", Sweep(knobs=(DECAY, DROPOUT, BATCH))),
    "knobs that do nothing": ("H08", Sweep(budget=60)),
}
BESIDE = {"sizes at one rate": ("H03",), "most fail": ("H04",), "eight trials": ("H03",)}  # fire legitimately
HEALTHY: dict[str, Sweep] = {
    "plain": Sweep(budget=30),
    "noisy": Sweep(noise=0.02),
    "some fail by chance": Sweep(breaks=lambda params, draw: draw.random() < 0.15),
    "breakdown far away": Sweep(breaks=lambda params, draw: params["optim.lr"] > 0.6),
    "rate, decay and size": Sweep(knobs=(LR, BATCH, DECAY)),
}
NEAR: dict[str, tuple[str, Sweep]] = {
    "best a third inside": ("H01", Sweep(knobs=({**LR, "high": 0.25}, *KNOBS[1:]))),
    "an idle range that begins at 0": ("H01", Sweep(surface=lambda p: 0.97 - 0.2 * p["model.dropout"])),
    "a small space, all of it": (
        "H02",
        Sweep(knobs=({**BATCH, "choices": [16, 32]}, {**HIDDEN, "choices": [[32], [64]]}), budget=40),
    ),
    "little matters, but more than seeds": ("H03", Sweep(surface=lambda p: 0.9 + 0.012 * rate(p), noise=0.004)),
    "does not fit in memory": (
        "H04",
        Sweep(breaks=lambda p, draw: rate(p) > -1.5, reason="It does not fit in memory: 3 GB are needed."),
    ),
    "let go in time": ("H05", Sweep(prune_at=6, budget=40)),
    "late, under a rate that falls": ("H06", Sweep(best_at=1.0, speed=0.6, config={"optim": {"schedule": "cosine"}})),
    "late, but as good as ever": ("H06", Sweep(best_at=1.0, speed=0.1, config=CONSTANT)),
    "sizes twice as large": ("H07", Sweep(knobs=({**BATCH, "choices": [32, 64]}, DECAY))),
    "every knob counts": ("H08", Sweep(knobs=(LR, DROPOUT), surface=every_knob_counts, budget=60)),
}


def drawn(sweep: Sweep) -> Build:
    """The case of a seed: the search's record, written as a run folder."""

    def build(seed: int, folder: Path) -> Case:
        return Case(loop=lambda path: sweep.write(LOOKED_AT + seed, path))

    return build


def sick() -> Iterator[Condition]:
    """One condition for each way in which a search goes wrong."""
    for name, (code, sweep) in SICK.items():
        also = BESIDE.get(name, ())
        yield Condition(f"{code}-{dashed(name)}", "sick", code, drawn(sweep), also=also, scope="search")


def near() -> Iterator[Condition]:
    """What looks like one of these faults, and is none."""
    for name, (code, sweep) in NEAR.items():
        yield Condition(f"near-{code}-{dashed(name)}", "near", code, drawn(sweep), scope="search")


def healthy() -> Iterator[Condition]:
    """Searches in which nothing is wrong."""
    for name, sweep in HEALTHY.items():
        yield Condition(f"healthy-search-{dashed(name)}", "healthy", "", drawn(sweep), scope="search")


def dashed(name: str) -> str:
    """ "range ends below the best" as a part of a condition's name."""
    return name.replace(",", "").replace(" ", "-")
