"""A finding: symptom, evidence, cause and next step, with the number behind it; and the verdict that holds some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Level = Literal["note", "warning", "stop"]
Surety = Literal["suspected", "established", "confirmed"]

LEVELS: tuple[Level, ...] = get_args(Level)  # from mild to grave


@dataclass(frozen=True)
class Picture:
    """The evidence as a small picture: one or several lines over x, or bars by name, and a line where the limit is."""

    title: str  # what is shown, with its unit
    y: Mapping[str, tuple[float, ...]]  # by name; one point per x
    x: tuple[float | str, ...]  # steps, epochs, or names of bars
    x_title: str = "step"
    limit: float | None = None  # the threshold, in the unit of y


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong, or worth knowing, in one place.

    A rule fills in what it saw; the check that the rule belongs to lends its code, name, cause, remedy and treatments
    where the rule says nothing more special.
    """

    level: Level
    symptom: str  # one sentence that holds the number: "62 % of the units of layer 2 answer nothing to any sample"
    value: float  # the statistic
    threshold: float  # what it was held against
    where: str = ""  # layer, column, class, split, or rows
    step: int | None = None  # since when; None: before the first step
    n: int | None = None  # samples, steps or units behind the statistic
    sure: Surety = "established"  # "confirmed": an experiment was made
    cause: str = ""
    remedy: str = ""
    treatments: tuple[str, ...] = ()  # names of treatments, the most promising first
    picture: Picture | None = None
    rows: tuple[str, ...] = ()  # names of samples that show it
    code: str = ""
    name: str = ""
    because: str = ""  # code of the finding that explains this one

    def to_row(self) -> dict[str, Any]:
        """Plain values for the record; what is empty is left out."""
        return {key: value for key, value in asdict(self).items() if value not in ("", None, ())}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Finding:
        """The finding of a row of the record; fields of later versions are left out."""
        plain = {key: row[key] for key in cls.__dataclass_fields__ if key in row}
        if isinstance(plain.get("picture"), Mapping):
            picture = plain["picture"]
            lines = {name: tuple(line) for name, line in picture["y"].items()}
            plain["picture"] = Picture(**{**picture, "y": lines, "x": tuple(picture["x"])})
        for key in ("treatments", "rows"):
            plain[key] = tuple(plain.get(key, ()))
        return cls(**plain)


@dataclass(frozen=True)
class Verdict:
    """What a rule measured, also of a healthy run, and what it found."""

    statistics: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
