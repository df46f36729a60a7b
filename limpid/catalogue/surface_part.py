"""What is known of a surface before anything descends it: where it starts, where it ends, and what makes it hard."""

from __future__ import annotations

from dataclasses import dataclass

from limpid.catalogue.part import Part

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class SurfacePart(Part):
    """A loss of two parameters with one difficulty of optimisation; `pitfall` says what goes wrong there.

    `home` is the loss that is wanted, a function (x, y) -> loss for tensors of any shape; `descends`, where optimisers
    see something else, is a function (x, y, draw) -> loss, whose `draw` from 0 to 1 picks the sample of a step.
    """

    difficulty: str
    start: Point  # the usual one
    window: tuple[Point, Point]  # of pictures: from and to, in x and in y
    minima: tuple[Point, ...]  # where the wanted loss is least; of a whole line of them, one point
    least: float = 0.0  # its value there
    local_minima: tuple[Point, ...] = ()
    saddles: tuple[Point, ...] = ()
    descends: str = ""
    clip_norm: float | None = None  # largest norm of the gradient that optimisers are given

    def facts(self) -> list[tuple[str, str]]:
        """Name and value of what is known, for people."""
        found = [("difficulty", self.difficulty), ("start", _shown((self.start,)))]
        found += [("minima" if len(self.minima) > 1 else "minimum", f"{self.least:.6g} at {_shown(self.minima)}")]
        found += [("local minima", _shown(self.local_minima))] if self.local_minima else []
        found += [("saddle points", _shown(self.saddles))] if self.saddles else []
        found += [] if self.clip_norm is None else [("gradient clipped to", f"{self.clip_norm:g}")]
        return found


def _shown(points: tuple[Point, ...]) -> str:
    return ", ".join(f"({x:.6g}, {y:.6g})" for x, y in points)
