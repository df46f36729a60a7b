"""One recipe trained with several seeds: what each network reached.

The members of one run that differ only in their seed are such repeats, and so are single runs of the same configuration
under several seeds.

Shapes: N seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from limpid.reporting.intervals import mean_interval
from limpid.reporting.reading import NOT_A_METRIC, USUAL_SCORES, Reading, Row
from limpid.reporting.text import SHARES, figure, interval, label, plain

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Repeats:
    """What the networks of one recipe reached.

    Attributes:
        figures: of each seed, by the names of the figures; finite ones.
        split: whose figures these are, "validation" or "test".
        rows: of that split.
        same_rows: all seeds were judged on the same rows.
        contents: fingerprint of the data that each seed saw.
        failed: networks that came to nothing.
    """

    name: str
    figures: Mapping[int, Mapping[str, float]]
    split: str
    rows: int
    same_rows: bool
    contents: Mapping[int, str] = field(default_factory=dict)
    failed: int = 0

    def values(self, score: str, seeds: Sequence[int]) -> np.ndarray:
        """The figures of these seeds, (N,) float64."""
        import numpy as np

        return np.array([self.figures[seed][score] for seed in seeds], dtype=np.float64)

    def scores(self) -> list[str]:
        """Figures that every seed has, the headline first."""
        shared = [
            name for name in next(iter(self.figures.values()), {}) if all(name in of for of in self.figures.values())
        ]
        return sorted(shared, key=lambda name: USUAL_SCORES.index(name) if name in USUAL_SCORES else len(USUAL_SCORES))

    def to_row(self, score: str) -> Row:
        """Mean, interval of the mean and range over the seeds, as plain values."""
        seeds = sorted(self.figures)
        values = self.values(score, seeds)
        low, high = mean_interval(values) if len(seeds) > 1 else (math.nan, math.nan)
        if score in SHARES and len(seeds) > 1:
            low, high = max(low, 0.0), min(high, 1.0)
        return {
            "recipe": self.name,
            "split": self.split,
            "seeds": seeds,
            "failed": self.failed,
            "score": score,
            "mean": float(values.mean()),
            "deviation": float(values.std(ddof=1)) if len(seeds) > 1 else None,
            "interval": [low, high],
            "range": [float(values.min()), float(values.max())],
        }


def members_of(reading: Reading, name: str) -> Repeats | None:
    """The members of a run that differ in their seed alone; None where it has none, or they differ in more."""
    training = (reading.header.get("config") or {}).get("training") or {}
    rows = reading.run.events("member") if reading.header.get("members") else []
    if training.get("ensemble") != "seeds" or not rows or any("run" in row for row in rows):
        return None
    figures, failed, first = {}, 0, _seed(reading)
    answering = {one.get("number", place) for place, one in enumerate(reading.header["members"], 1)}
    for row in rows:
        if row["number"] not in answering:  # of a learning curve, on fewer training rows
            continue
        found = _figures(row)
        if found and row.get("state", "finished") != "failed":
            figures[int(row.get("seed", first + row["number"] - 1))] = found
        else:
            failed += 1
    num_rows = int(reading.data.get("num_valid") or 0)
    content = f"{reading.header.get('fingerprint')}, {num_rows} rows drawn by seed {first}"
    return Repeats(name, figures, "validation", num_rows, True, dict.fromkeys(figures, content), failed)


def runs_of(readings: Sequence[Reading], name: str) -> Repeats:
    """Single runs of one configuration under several seeds, judged by their results on the test split.

    Each is judged on the rows that its own seed put into that split.
    """
    figures, contents, failed, rows = {}, {}, 0, []
    splits = [str((reading.result or {}).get("split", "")) for reading in readings]
    for reading, split in zip(readings, splits, strict=True):
        found = _finite(reading.result or {})
        if split != max(splits) or not found:  # "valid" is after "test": a run without a test split has no test figure
            failed += 1
            continue
        seed = _seed(reading)
        figures[seed], contents[seed] = found, str(reading.header.get("fingerprint"))
        rows.append(int((reading.result or {}).get("n") or 0))
    return Repeats(name, figures, "test", min(rows, default=0), False, contents, failed)


def _figures(row: Row) -> dict[str, float]:
    """All validation figures of a member's best epoch; where they were not kept, the one that picked it."""
    found = _finite(row.get("valid") or {})
    return found or _finite({str(row.get("monitor", "loss")): row.get("figure")})


def _finite(row: Mapping[str, Any]) -> dict[str, float]:
    kept = NOT_A_METRIC - {"loss"}
    return {
        plain(name): float(value)
        for name, value in row.items()
        if name not in kept and isinstance(value, int | float) and math.isfinite(value)
    }


def shown_repeats(row: Row) -> Row:
    """A row of `Repeats.to_row` as printed."""
    score = row["score"]
    seeds = f"{len(row['seeds'])}" + (f" ({row['failed']} failed)" if row["failed"] else "")
    return {
        "recipe": row["recipe"],
        "seeds": seeds,
        "score": f"mean {row['split']} {label(score)} {figure(score, row['mean'])}",
        "95 % interval": interval(score, *row["interval"]) if len(row["seeds"]) > 1 else "",
        "least to most": interval(score, *row["range"]),
    }


def group_runs(readings: Sequence[Reading], ignored: tuple[str, ...]) -> list[list[Reading]]:
    """Runs that differ in their seed and in nothing else that matters, in order; options of `ignored` do not.

    The same recipe with the same seed twice is no repeat of it: such runs stay alone.
    """
    groups: dict[str, list[Reading]] = {}
    for reading in readings:
        groups.setdefault(_recipe(reading, ignored), []).append(reading)
    found = []
    for group in groups.values():
        different = len({_seed(reading) for reading in group}) == len(group)
        found += [group] if different else [[reading] for reading in group]
    return found


def _recipe(reading: Reading, ignored: tuple[str, ...]) -> str:
    """The configuration without the seed, as text."""
    sections = (reading.header.get("config") or {}).items()
    options = {f"{name}.{key}": value for name, section in sections if section for key, value in section.items()}
    return repr(sorted((k, repr(v)) for k, v in options.items() if k != "training.seed" and not k.startswith(ignored)))


def _seed(reading: Reading) -> int:
    return int(((reading.header.get("config") or {}).get("training") or {}).get("seed", 0))
