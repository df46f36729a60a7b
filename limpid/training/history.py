"""What stands in for a terminal and a run folder where there is neither."""

from __future__ import annotations

from typing import Any


class Silence:
    """An observer that shows nothing; reporting.terminal has one that does."""

    def wired(self, wiring: Any, run: Any) -> None: ...
    def step(self, step: int, loss: float) -> None: ...
    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None: ...
    def finding(self, finding: Any) -> None: ...
    def close(self) -> None: ...


class History:
    """A recorder of a run that has no folder; `epochs` holds the rows of whole epochs."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, Any]] = []

    def add(self, kind: str, **fields: Any) -> None:
        if kind == "metric" and fields["split"] != "train_step":
            self.epochs.append(fields)
