"""What a network answered for N samples: decisions, probabilities, and what was noticed about the input.

Shapes: N samples, K classes or labels, T regression targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from limpid.errors import ConfigError
from limpid.spec import DataSpec

if TYPE_CHECKING:
    import polars as pl

LABEL_SEPARATOR = "; "  # between the labels of one multi-label decision


@dataclass(frozen=True)
class Predictions:
    """Answers in the order of the samples.

    `decisions` holds class names, tuples of label names (or of the class of every pixel, row by row), or floats in the
    target's units: (N,) for one target and (N, T) for several. `probabilities` is (N, K) in the order of `classes`,
    None for regression and for places.
    """

    spec: DataSpec
    names: Sequence[str] | range  # file of each sample, or number of its row
    decisions: list[str] | list[tuple[str, ...]] | NDArray[np.float32]
    probabilities: NDArray[np.float32] | None
    report: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.spec.classes

    @property
    def named_by(self) -> Literal["file", "row"]:
        return "row" if isinstance(self.names, range) else "file"

    def to_frame(self) -> pl.DataFrame:
        """One row per sample: `file` or `row`, then `prediction` and `p_<class>`.

        Regression gives `prediction`, or `prediction_<target>` for each of several targets. The labels of a
        multi-label decision are joined by "; ".
        """
        import polars as pl

        columns: dict[str, Any] = {self.named_by: pl.Series(list(self.names))}
        if isinstance(self.decisions, np.ndarray):
            values_NT = self.decisions.reshape(len(self), -1)
            names = [f"prediction_{name}" for name in self.spec.target_names]
            names = names if values_NT.shape[1] > 1 else ["prediction"]
            columns |= {name: values_NT[:, t] for t, name in enumerate(names)}
        else:
            texts = [d if isinstance(d, str) else LABEL_SEPARATOR.join(d) for d in self.decisions]
            columns["prediction"] = pl.Series(texts, dtype=pl.String)
        if self.probabilities is not None:
            columns |= {f"p_{name}": self.probabilities[:, k] for k, name in enumerate(self.classes)}
        return pl.DataFrame(columns)

    def top(self, k: int) -> list[list[tuple[str, float]]]:
        """The k likeliest classes (or labels) of each sample with their probabilities, best first; all if k is more.

        Raises ConfigError for a regression, which has none.
        """
        if self.probabilities is None:
            raise ConfigError(f"{self.spec.name} has no classes to rank ({self.spec.task}). Leave out --top.")
        order_NK = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return [
            [(self.classes[c], float(shares_K[c])) for c in row]
            for row, shares_K in zip(order_NK, self.probabilities, strict=True)
        ]

    def top_lines(self, k: int) -> list[str]:
        """The k likeliest classes of each sample in percent: "dog.jpg: Samoyed 16 %, Papillon 5.7 %"."""
        word = "row " if self.named_by == "row" else ""
        return [
            f"{word}{name}: " + ", ".join(f"{label} {_percent(share)} %" for label, share in ranked)
            for name, ranked in zip(self.names, self.top(k), strict=True)
        ]

    def remarks(self) -> list[str]:
        """What a user should know about the input, one sentence each; empty when nothing was odd."""
        lines = []
        if self.report.get("extra"):
            lines.append(f"Ignored column(s) that training did not use: {', '.join(map(repr, self.report['extra']))}.")
        for column, count in self.report.get("unseen", {}).items():
            lines.append(f"Column {column!r}: {count:,} cell(s) hold a category that training did not have.")
        for column, count in self.report.get("missing", {}).items():
            lines.append(f"Column {column!r}: {count:,} missing cell(s) were filled as in training.")
        if self.report.get("skipped"):
            shown = "; ".join(map(str, self.report["skipped"][:5]))
            lines.append(f"Left out {len(self.report['skipped']):,} file(s) that cannot be used: {shown}")
        lines += self.report.get("notes", [])
        return lines


def _percent(share: float) -> str:
    """Whole percents from ten on, below with one decimal."""
    percent = 100 * share
    return f"{percent:.0f}" if percent >= 9.95 else f"{percent:.1f}"
