"""A check: the question, the rule that answers it from the record, and its thresholds with their sources and doubts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Verdict

When = Literal["before", "during", "after"]
Scope = Literal["run", "search"]
BLAME = "BDNSOGTH"  # root causes first: bugs, data, numbers, signal, optimisation, generalisation, throughput, searches


@dataclass(frozen=True)
class Threshold:
    """A limit: its unit, where it comes from, and how much it is to be believed."""

    value: float
    unit: str
    source: str
    doubt: str


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check of the catalogue.

    Attributes:
        code: letter of its group and a number, "S05".
        name: a word or two with dashes, "dead-units".
        question: what it asks, in one line.
        rule: reads the evidence; returns a verdict, or None when what it needs was not measured.
        when: the earliest moment at which the rule can say anything.
        thresholds: the limits by name; the rule's file holds them as constants.
        cause, remedy: what a finding says of them unless it knows better.
        treatments: names of treatments, the most promising first.
        explains: codes of the checks whose findings follow from this one's.
        reads: names of the probes and monitors that it reads.
        scope: what it is asked of: one training run, or a search.
    """

    code: str
    name: str
    question: str
    rule: Callable[[Evidence], Verdict | None]
    when: When
    cause: str
    remedy: str
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    treatments: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    scope: Scope = "run"

    @property
    def blame(self) -> int:
        """Place of its group in the order of blame; 0 is blamed first."""
        return BLAME.index(self.code[0])
