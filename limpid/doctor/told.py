"""Which findings somebody has been told of: each once, and once more when it has become graver."""

from __future__ import annotations

from collections.abc import Iterable

from limpid.doctor.finding import LEVELS, Finding


class Told:
    """Remembers findings by check and place, with the gravest level at which they were told."""

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self._levels: dict[tuple[str, str], int] = {}
        self.news(findings)

    def news(self, findings: Iterable[Finding]) -> list[Finding]:
        """Those of the findings that are new or graver than before; from now on they count as told."""
        fresh = []
        for finding in findings:
            place, level = (finding.code, finding.where), LEVELS.index(finding.level)
            if level > self._levels.get(place, -1):
                self._levels[place] = level
                fresh.append(finding)
        return fresh
