"""One recipe trained several times: what each network reached.

The members of one run that differ only in their seed are such repeats, and so are the folds of one run, and single runs
of the same configuration under several seeds.

Shapes: N seeds or folds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from limpid.reporting.population import Spread, read_population
from limpid.reporting.reading import NOT_A_METRIC, USUAL_SCORES, Reading, Row
from limpid.reporting.text import figure, interval, label, plain

if TYPE_CHECKING:
    import numpy as np

Judged = Literal["on the same rows", "on rows of its own split", "on the rows left out"]
SAME_ROWS: Judged = "on the same rows"
OWN_SPLIT: Judged = "on rows of its own split"
LEFT_OUT: Judged = "on the rows left out"


@dataclass(frozen=True)
class Repeats:
    """What the networks of one recipe reached.

    Attributes:
        figures: of each seed or fold, by the names of the figures; finite ones.
        split: whose figures these are, "validation" or "test".
        rows: that each was judged on, about.
        judged: "on the same rows" for seeds of one split, "on rows of its own split" for seeds that draw the split,
            "on the rows left out" for folds.
        contents: fingerprint of the data that each saw.
        failed: networks that came to nothing.
    """

    name: str
    figures: Mapping[int, Mapping[str, float]]
    split: str
    rows: int
    judged: Judged
    contents: Mapping[int, str] = field(default_factory=dict)
    failed: int = 0

    @property
    def unit(self) -> str:
        """What repeats the recipe."""
        return "folds" if self.judged == LEFT_OUT else "seeds"

    @property
    def overlap(self) -> float:
        """Rows tested over rows trained on, of folds: 1 / (k - 1) of k folds; see intervals.py. 0 of seeds."""
        return 1 / (len(self.figures) + self.failed - 1) if self.judged == LEFT_OUT else 0.0

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
        """Mean, interval of the mean and range, as plain values."""
        seeds = sorted(self.figures)
        row = {"recipe": self.name, "split": self.split, self.unit: seeds, "failed": self.failed, "score": score}
        spread = Spread.of(self.values(score, seeds).tolist(), score, judged=self.rows, overlap=self.overlap)
        return row | vars(spread)


def members_of(reading: Reading, name: str) -> Repeats | None:
    """The members of a run that differ in their seed or fold alone; None where it has none, or they differ in more."""
    population = read_population(reading)
    if population is None or population.how not in ("seeds", "folds"):
        return None
    folds, first = population.how == "folds", _seed(reading)
    figures, num_rows = {}, int(reading.data.get("num_valid") or 0)
    for row in population.rows:
        found = _figures(row)
        if found and row["number"] in population.answering:
            figures[row["number"] if folds else int(row.get("seed", first + row["number"] - 1))] = found
    count = len(population.answering) + len(population.failed)
    if folds:
        num_rows = round(int((population.held_out or {}).get("of") or 0) / count)
    content = f"{reading.header.get('fingerprint')}, {num_rows} rows drawn by seed {first}"
    contents, failed = dict.fromkeys(figures, content), count - len(figures)
    return Repeats(name, figures, "validation", num_rows, LEFT_OUT if folds else SAME_ROWS, contents, failed)


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
    return Repeats(name, figures, "test", min(rows, default=0), OWN_SPLIT, contents, failed)


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
    score, unit = row["score"], "folds" if "folds" in row else "seeds"
    return {
        "recipe": row["recipe"],
        "repeats": f"{row['n']} {unit}" + (f" ({row['failed']} failed)" if row["failed"] else ""),
        "score": f"mean {row['split']} {label(score)} {figure(score, row['mean'])}",
        "95 % interval": interval(score, row["low"], row["high"]) if row["n"] > 1 else "",
        "least to most": interval(score, row["least"], row["most"]),
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
