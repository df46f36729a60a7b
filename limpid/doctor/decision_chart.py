"""Ng's applied bias-variance flow chart, walked with numbers: which of five questions is answered by yes first?

    training error high?       -> a bigger network, longer training, another architecture
    train-dev error high?      -> more data, regularisation, another architecture
    validation error high?     -> make training data more like it, synthesise, adapt, another architecture
    test error high?           -> more validation data: it was over-fitted by choosing
    otherwise                  -> done

An error is high when it lies above the one before it by more than a gap. Source: Ng, "Nuts and Bolts of Building
Applications using Deep Learning", 2016; the ledger's H7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Branch = Literal["bias", "variance", "mismatch", "validation over-fitted", "done"]

GAP = 0.02  # 2 points (ledger H7)
QUESTIONS: tuple[tuple[Branch, str, str], ...] = (
    ("bias", "training error", "a bigger network, longer training, a better optimiser, another architecture"),
    ("variance", "error on new rows from the training source", "more data, regularisation, another architecture"),
    (
        "mismatch",
        "validation error",
        "training data more like those of validation, synthesised data, domain adaptation, another architecture",
    ),
    ("validation over-fitted", "test error", "more validation data, fewer choices made with them"),
)


@dataclass(frozen=True)
class Step:
    """One question: the error, the one it is held against, and whether it is high; `error` None: not measured."""

    branch: Branch
    question: str
    error: float | None
    against: float
    gap: float

    @property
    def high(self) -> bool:
        return self.error is not None and self.error - self.against > self.gap


@dataclass(frozen=True)
class Walk:
    """The questions that were asked, and where the walk ended."""

    steps: tuple[Step, ...]
    branch: Branch
    remedy: str

    def to_row(self) -> dict[str, Any]:
        return {
            "branch": self.branch,
            "remedy": self.remedy,
            "steps": [{**vars(step), "high": step.high} for step in self.steps],
        }


def walk(errors: Sequence[float | None], target: float, gap: float | Sequence[float] = GAP) -> Walk:
    """Walk the chart.

    Args:
        errors: of training, train-dev, validation and test, as shares; None where it was not measured.
        target: error that people, or the best known answer, reach.
        gap: difference from which an error is high, one for all or one for each.

    >>> walk((0.015, 0.06, 0.06, 0.06), target=0.01).branch
    'variance'
    """
    gaps = list(gap) if isinstance(gap, Sequence) else [gap] * len(QUESTIONS)
    steps: list[Step] = []
    before = target
    for (branch, question, remedy), error, allowed in zip(QUESTIONS, errors, gaps, strict=True):
        step = Step(branch, question, error, before, allowed)
        steps.append(step)
        if step.high:
            return Walk(tuple(steps), branch, remedy)
        before = before if error is None else error
    return Walk(tuple(steps), "done", "nothing: each error lies close to the one before it")
