"""A twin that is trained alone, by the loop of a single network: so that it can be examined as a run is, and so that
one whose loss becomes NaN can be judged by its best weights before that."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from limpid.errors import NonFiniteLoss
from limpid.population.ground import Ground
from limpid.population.member import Member
from limpid.practice.budget import Purse
from limpid.practice.examination import Examiner, subject_of
from limpid.practice.twins import Outcome
from limpid.practice.yardstick import judge_network
from limpid.probes.probe import measure
from limpid.probes.registry import PROBES
from limpid.training.checkpoint import TrainingState
from limpid.training.history import Silence
from limpid.training.loop import fit
from limpid.training.randomness import own_randomness


def train_alone(
    member: Member, ground: Ground, figure: str, purse: Purse, *, examined: Sequence[str] | None = None
) -> Outcome:
    """Train a twin to its end and judge it by this figure.

    Args:
        examined: also write down what the doctor's checks read: monitors, and these probes besides the cheap ones.

    Raises a LimpidError where it cannot be built, OutOfBudget when the budget is used up before its end.
    """
    started = time.perf_counter()
    wiring = ground.wiring(member)
    plan = replace(wiring.plan, checkpoint_seconds=math.inf, checkpoint_steps=None)
    book = Notebook({} if examined is None else wiring.header(member.config))
    meter = _Meter(purse)
    examiner = None if examined is None else Examiner(book, meter)  # type: ignore[arg-type]
    saved: list[TrainingState] = []
    failed = False
    with purse.spending() as stop, own_randomness(wiring.config.training.seed), wiring.fast_roads():
        monitors = None
        if examiner is not None:
            examiner.examine(wiring)
            monitors = examiner.monitors(wiring)
        watching = (book, meter) if examiner is None else (examiner, examiner)
        try:
            fit(wiring.parts, plan, *watching, save=saved.append, stop=stop, monitors=monitors)
        except NonFiniteLoss:
            failed = True
            if saved and saved[-1].best:
                wiring.network.load_state_dict(saved[-1].best)
    judgement = judge_network(wiring, figure)
    outcome = Outcome(judgement, meter.steps, time.perf_counter() - started, failed)
    if examined is None:
        return outcome
    for row in measure(subject_of(wiring), (one for one in PROBES if one.name in examined and one.when != "before")):
        book.add("probe", **row)
    book.add("result", split="valid", step=meter.steps, n=len(judgement.losses_N), **judgement.figures)
    book.add("end", status="failed" if failed else "finished", reason="", step=meter.steps)
    return replace(outcome, rows=book.rows, header=book.header, asked=frozenset(("", *examined)))


class Notebook:
    """What stands in for a run folder: the rows that a record would hold, in memory."""

    def __init__(self, header: Mapping[str, Any]) -> None:
        self.header = header
        self.rows: list[Mapping[str, Any]] = []

    def add(self, kind: str, **fields: Any) -> None:
        self.rows.append({"kind": kind, **fields})

    def events(self, kind: str | None = None) -> list[Mapping[str, Any]]:
        return [row for row in self.rows if kind is None or row["kind"] == kind]


class _Meter(Silence):
    """Spends the steps of a training; `steps` are those of the epochs that have ended."""

    def __init__(self, purse: Purse) -> None:
        self._purse = purse
        self.steps = 0

    def step(self, step: int, loss: float) -> None:
        self._purse.expect(step - self.steps)

    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None:
        self._purse.spend(row["step"] - self.steps)
        self.steps = row["step"]
