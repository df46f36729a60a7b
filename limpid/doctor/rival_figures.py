"""What simple rivals reached on the validation rows, as errors to hold beside the network's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limpid.doctor.evidence import Evidence
from limpid.doctor.fit_figures import Estimate
from limpid.doctor.numbers import finite

PROBES = ("rivals_after", "rivals", "quick_rivals")  # the most thorough first
FULL_NAMES = {
    "constant": "the best constant answer",
    "linear": "a linear model",
    "neighbours": "nearest neighbours",
    "trees": "boosted trees",
    "last value": "the last value once more",
    "last season": "the last season once more",
    "frequencies": "the frequencies of tokens",
    "pairs": "counts of token pairs",
    "triples": "counts of token triples",
}


class RivalFigures:
    """Errors of the rivals; `known` is False where none were measured.

    An error is 1 - accuracy, 1 - R2 or a loss in nats, as in `fit_figures`.
    """

    def __init__(self, evidence: Evidence) -> None:
        rows = ((name, evidence.probe(name)) for name in PROBES)
        self.source, row = next(((name, row) for name, row in rows if row and row.get("rivals")), ("", {}))
        self.row: Mapping[str, Any] = row
        self.score = str(row.get("score", ""))
        self.n = int(finite(row.get("n")) or 0)
        self.errors: dict[str, Estimate] = {}
        for name, figures in (row.get("rivals") or {}).items():
            estimate = self._error(figures)
            if estimate is not None:
                self.errors[name] = estimate

    @property
    def known(self) -> bool:
        return bool(self.errors)

    @property
    def best(self) -> tuple[str, Estimate] | None:
        """The rival with the least error; the constant answer is none."""
        return min(
            ((name, error) for name, error in self.errors.items() if name != "constant"),
            key=lambda item: item[1].value,
            default=None,
        )

    @property
    def constant(self) -> float | None:
        """Error of the best constant answer, or of token frequencies."""
        known = self.errors.get("constant") or self.errors.get("frequencies")
        return None if known is None else known.value

    @property
    def network(self) -> Estimate | None:
        """Error of the trained network on the very same rows."""
        return self._error(self.row.get("network") or {})

    def gain_over(self, name: str) -> tuple[float, float] | None:
        """Mean and standard error of how much better the network is than a rival, in pairs on the same rows."""
        gain = (self.row.get("gain") or {}).get(name) or {}
        mean, se = finite(gain.get("mean")), finite(gain.get("se"))
        return None if mean is None or se is None else (mean, se)

    def _error(self, figures: Mapping[str, Any]) -> Estimate | None:
        value, low, high = (finite(figures.get(key)) for key in ("score", "low", "high"))
        if value is None:
            return None
        low, high = (value if low is None else low), (value if high is None else high)
        if self.score == "loss":
            return Estimate(value, low, high, self.n)
        return Estimate(1 - value, 1 - high, 1 - low, self.n)


def called(name: str) -> str:
    """The rival for people."""
    return FULL_NAMES.get(name, name)
