"""A probe: its name, where it is, what it measures and what that costs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from limpid.catalogue.part import load_home
from limpid.probes.subject import Subject

# "before": cheap, part of every training. "check": made by `limpid check`. "after": needs the trained network.
When = Literal["before", "check", "after"]


@dataclass(frozen=True)
class Probe:
    """One measurement. `home` names a function from a Subject to plain values, or None where it does not apply."""

    name: str
    home: str
    what: str
    price: str
    when: When


def measure(subject: Subject, probes: Iterable[Probe]) -> Iterable[dict[str, Any]]:
    """Rows of the record, one for each probe that applies; the subject is left as it was found."""
    for probe in probes:
        started = time.perf_counter()
        with subject.untouched():
            values = load_home(probe.home)(subject)
        if values is not None:
            yield {"name": probe.name, "values": values, "seconds": time.perf_counter() - started}
