"""Verdicts about recipes, over seeds or folds: better, worse, or cannot tell.

Where both recipes were trained with the same seeds, figures are paired by seed: that takes out what a seed does to
both, which is much where the seed also draws the split.

Shapes: N and M seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from limpid.reporting.intervals import MOST_TRIALS, Interval, mean_interval, trials_to_tell, unpaired_difference
from limpid.reporting.repeats import OWN_SPLIT, SAME_ROWS, Judged, Repeats
from limpid.reporting.text import LOWER_IS_BETTER, SHARES, label, number

Word = Literal["better", "worse", "cannot tell", "not comparable"]

DOUBT = 0.05  # all verdicts of one comparison together; shared out evenly among them (Bonferroni)
POWER = 0.8  # chance to see a difference that is there, in the advice on how many seeds that takes


@dataclass(frozen=True)
class RecipeVerdict:
    """How the second of two recipes does against the first, over seeds or folds.

    `difference` is mean(second) - mean(first) in the score's own unit; `interval` holds the difference that endlessly
    many seeds would show, on this data, with probability 1 - `doubt` (of folds: that other rows of the kind would).
    `more` seeds of each would tell a difference of this size with probability `POWER`; None where it is told, where
    there is none, and of folds.
    """

    first: str
    second: str
    word: Word
    reason: str = ""  # why they are not comparable
    score: str = ""
    split: str = ""
    unit: str = "seeds"  # or folds
    pairs: int = 0  # 0: seeds do not agree, and the figures were compared unpaired
    seeds: tuple[int, int] = (0, 0)  # that were compared, of the first and of the second
    rows: int = 0  # that each was judged on, about
    judged: Judged = SAME_ROWS
    difference: float = math.nan
    interval: Interval = (math.nan, math.nan)
    doubt: float = DOUBT
    more: int | None = None

    def sentence(self) -> str:
        """The verdict in words, with its evidence."""
        if self.word == "not comparable":
            return f"The recipes {self.second} and {self.first} are not comparable: {self.reason}."
        if self.word == "cannot tell":
            start = f"Cannot tell the recipes {self.second} and {self.first} apart"
        else:
            start = f"The recipe {self.second} is {self.word} than {self.first}"
        change = measured(self.score, self.difference, self.interval, self.doubt)
        text = f"{start}: {self.split} {change} over "
        counts = f"{self.seeds[0]} and {self.seeds[1]}"
        text += f"{self.pairs} pairs of {self.unit}" if self.pairs else f"{counts} {self.unit}, unpaired"
        text += f", on the same {number(self.rows)} rows" if self.judged == SAME_ROWS else f", each {self.judged}"
        return text + "." + self._advice()

    def _advice(self) -> str:
        if self.more is None:
            return ""
        many = "thousands of" if self.more >= MOST_TRIALS - max(self.seeds) else f"about {number(self.more)}"
        return f" If it is really that large, {many} more seeds of each would show it 4 times in 5."


def judge_recipes(first: Repeats, second: Repeats, doubt: float = DOUBT) -> RecipeVerdict:
    """Compare what two recipes reached: paired by seed where they have two seeds in common, else unpaired."""
    reason, score = _obstacle(first, second)
    if reason:
        return RecipeVerdict(first.name, second.name, "not comparable", reason)
    shared = sorted(set(first.figures) & set(second.figures))
    rows = min(first.rows, second.rows)
    step = 1 / rows if score in SHARES and rows else 0.0
    paired = len(shared) >= 2
    seeds = (shared, shared) if paired else (sorted(first.figures), sorted(second.figures))
    a_N, b_M = first.values(score, seeds[0]), second.values(score, seeds[1])
    difference = float(b_M.mean() - a_N.mean())
    if paired:
        bounds, spread = (
            mean_interval(b_M - a_N, doubt, step=step, overlap=first.overlap),
            float((b_M - a_N).std(ddof=1)),
        )
    else:
        bounds, spread = unpaired_difference(a_N, b_M, doubt, step=step), math.hypot(a_N.std(ddof=1), b_M.std(ddof=1))
    word = word_of(bounds, score)
    more = None
    if word == "cannot tell" and difference and first.unit == "seeds":
        needed = trials_to_tell(difference, max(spread, step / math.sqrt(6)), doubt, POWER, groups=1 if paired else 2)
        more = max(1, needed - min(len(one) for one in seeds))
    return RecipeVerdict(
        first.name,
        second.name,
        word,
        score=score,
        split=first.split,
        unit=first.unit,
        pairs=len(shared) if paired else 0,
        seeds=(len(seeds[0]), len(seeds[1])),
        rows=rows,
        judged=first.judged,
        difference=difference,
        interval=bounds,
        doubt=doubt,
        more=more,
    )


def _obstacle(first: Repeats, second: Repeats) -> tuple[str, str]:
    """Why there can be no verdict, or else the figure that it is about."""
    for one in (first, second):
        if not one.figures:
            return f"none of the {one.unit} of {one.name} has a result", ""
        if len(one.figures) < 2:
            return f"{one.name} has one of the {one.unit} only, and it takes two to see how much they matter", ""
    if first.judged != second.judged:
        return f"{first.name} was judged {first.judged} by each of its {first.unit}, {second.name} {second.judged}", ""
    shared = set(first.contents) & set(second.contents)
    paired = len(shared) >= 2
    seen = [{one.contents[seed] for seed in (shared if paired else one.contents)} for one in (first, second)]
    if (seen[0] != seen[1] and (first.judged != OWN_SPLIT or paired)) or first.overlap != second.overlap:
        return "they were trained on different data, or on another split of it", ""
    scores = [name for name in first.scores() if name in second.scores()]
    return ("", scores[0]) if scores else ("no figure was measured in both", "")


def word_of(bounds: Interval, score: str) -> Word:
    """What an interval of a difference says of the second: better or worse where it does not hold 0."""
    low, high = (-bounds[1], -bounds[0]) if score in LOWER_IS_BETTER else bounds
    return "better" if low > 0 else "worse" if high < 0 else "cannot tell"


def measured(score: str, difference: float, bounds: Interval, doubt: float) -> str:
    """A difference with its interval: `accuracy +0.37 points (97.5 % interval -1.06 to +1.79 points)`."""
    unit = " points" if score in SHARES else ""
    change, low, high = (_signed(value, score) for value in (difference, *bounds))
    return f"{label(score)} {change}{unit} ({100 * (1 - doubt):.4g} % interval {low} to {high}{unit})"


def _signed(value: float, score: str) -> str:
    """A difference with its sign; of shares in points of a hundred."""
    if score in SHARES:
        return f"{100 * value:+.2f}"
    return ("+" if value >= 0 else "") + number(value, 3)
