"""A treatment: what is changed, why that should help, and in which strengths. It proposes; only a trial decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding

Patch = Mapping[str, Any]  # options by path, {"optim.lr": 0.01}


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """One remedy as a change of options.

    Attributes:
        name: as the checks name it, "lower-rate".
        what: what is changed.
        why: how that is supposed to help.
        source: where the remedy comes from.
        doses: strengths worth trying, given the record and the finding; none where the remedy does not apply.
        honest_for: codes of the findings for which it is kept if the symptom is gone, whatever that costs, because the
            figure was too good before; for all others it is kept if the figure really improves.
        figure: what is compared where it is not the task's own loss.
        whole: shows at full length only: a short trial of it says nothing.
        again: once accepted, more of it is tried on top.
        by_hand: why no option expresses it; such a treatment has no doses.
    """

    name: str
    what: str
    why: str
    source: str
    doses: Callable[[Evidence, Finding], Iterable[Patch]] = lambda evidence, finding: ()
    honest_for: tuple[str, ...] = ()
    figure: str = ""
    whole: bool = False
    again: bool = False
    by_hand: str = ""

    def patches(self, evidence: Evidence, finding: Finding) -> tuple[Patch, ...]:
        """The doses that change something, each once."""
        changed: list[Patch] = []
        for dose in self.doses(evidence, finding):
            patch = {path: value for path, value in dose.items() if option(evidence, path) != value}
            if patch and patch not in changed:
                changed.append(patch)
        return tuple(changed)

    def patch(self, evidence: Evidence, finding: Finding) -> Patch | None:
        """The most promising dose; None where the treatment does not apply."""
        return next(iter(self.patches(evidence, finding)), None)


def option(evidence: Evidence, path: str, default: Any = None) -> Any:
    """An option of the run, also one of a part (`optim.momentum`); lists as tuples."""
    section, _, key = path.partition(".")
    values = (evidence.header.get("config") or {}).get(section) or {}
    value = values[key] if key in values else (values.get("options") or {}).get(key, default)
    return tuple(value) if isinstance(value, list) else value


def number(evidence: Evidence, path: str, default: float = 0.0) -> float:
    """An option that is a number; `default` where it is none."""
    value = option(evidence, path)
    return float(value) if isinstance(value, int | float) else default
