"""What came of the paired trial of one treatment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from limpid.doctor.gain import LEVEL, Gain
from limpid.doctor.treatment import Patch
from limpid.practice.symptoms import Symptom


@dataclass(frozen=True)
class Trial:
    """What came of one treatment.

    Attributes:
        treatment: its name.
        finding: code of the finding that it is for, and `where` that is.
        patch: the options that it changes; empty where none would change.
        figure: what was compared, a loss: lower is better.
        untreated, treated: means of the figure over the pairs.
        gain: untreated - treated, with its interval; None where no pair was finished.
        score: (untreated, treated) means of the headline metric, and its `score_name`.
        share: of the run's steps that each twin took.
        symptom: of the finding, in a treated twin.
        accepted: whether the treatment is kept.
        reason: why, or why not, in one sentence.
        trainings: how many were made for it.
    """

    treatment: str
    finding: str
    where: str
    patch: Patch
    figure: str
    accepted: bool
    reason: str
    untreated: float | None = None
    treated: float | None = None
    gain: Gain | None = None
    score: tuple[float, float] | None = None
    score_name: str = ""
    seeds: tuple[int, ...] = ()
    share: float = 1.0
    symptom: Symptom = "not measured"
    trainings: int = 0
    seconds: float = 0.0

    def to_row(self) -> dict[str, Any]:
        """Plain values for the record."""
        plain = {**vars(self), "patch": dict(self.patch), "level": LEVEL}
        plain["gain"] = None if self.gain is None else self.gain.to_row()
        return {key: value for key, value in plain.items() if value is not None}
