"""Verdicts about two trained networks, from their predictions of the same rows: better, worse, or cannot tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limpid.reporting.intervals import Interval, mcnemar, paired_bootstrap, paired_share_difference
from limpid.reporting.outcomes import targets_and_predictions
from limpid.reporting.reading import Reading
from limpid.reporting.recipe_verdict import DOUBT, Word, measured, word_of
from limpid.reporting.text import number, plain
from limpid.reporting.token_outcomes import token_pair

if TYPE_CHECKING:
    import numpy as np

REGRESSION_SCORES = ("r2", "rmse", "mse", "mae")


@dataclass(frozen=True)
class Verdict:
    """How the second of two runs does against the first, on the same rows.

    `difference` is second - first in the score's own unit (a share for accuracy); `interval` holds it with probability
    1 - `doubt`; `p_value` is McNemar's, for classes only. `word` is about the second run.
    """

    first: str
    second: str
    word: Word
    reason: str = ""  # why they are not comparable
    score: str = ""
    rows: int = 0
    difference: float = math.nan
    interval: Interval = (math.nan, math.nan)
    doubt: float = DOUBT
    p_value: float | None = None

    def sentence(self) -> str:
        """The verdict in words, with its evidence."""
        if self.word == "not comparable":
            return f"{self.second} and {self.first} are not comparable row by row: {self.reason}."
        if self.word == "cannot tell":
            start = f"Cannot tell {self.second} and {self.first} apart"
        else:
            start = f"{self.second} is {self.word} than {self.first}"
        change = measured(self.score, self.difference, self.interval, self.doubt)
        text = f"{start}: {change} on the same {number(self.rows)} rows"
        return text + (f", McNemar p = {number(self.p_value, 2)}." if self.p_value is not None else ".")


def judge(first: Reading, second: Reading, first_name: str, second_name: str, doubt: float = DOUBT) -> Verdict:
    """Compare the predictions of two runs row by row."""
    reason = _why_not_comparable(first, second)
    if reason:
        return Verdict(first_name, second_name, "not comparable", reason)
    if first.task == "tokens":
        return _judge_losses(first, second, first_name, second_name, doubt)
    pairs = targets_and_predictions(first), targets_and_predictions(second)
    assert pairs[0] is not None and pairs[1] is not None
    target, guesses = pairs[0][0], (pairs[0][1], pairs[1][1])
    p_value, rows = None, len(target)
    if first.task == "regression":
        score = first.score if first.score in REGRESSION_SCORES else "rmse"
        assert score is not None
        difference, bounds = _regression_difference(target, *guesses, score, doubt)
    elif first.task == "multilabel":
        score = "accuracy"
        right_N2 = _right_labels(target, *guesses)
        difference = float((right_N2[:, 1] - right_N2[:, 0]).mean())
        bounds = paired_bootstrap(right_N2, lambda means: means[:, 1] - means[:, 0], doubt)
    else:
        score = "accuracy"
        right = guesses[0] == target, guesses[1] == target
        only_first, only_second = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
        difference = (only_second - only_first) / rows
        bounds = paired_share_difference(only_second, only_first, rows, doubt)
        p_value = mcnemar(only_first, only_second)
    word = word_of(bounds, score)
    if p_value is not None and p_value >= doubt:
        word = "cannot tell"
    return Verdict(first_name, second_name, word, "", score, rows, difference, bounds, doubt, p_value)


def _judge_losses(first: Reading, second: Reading, first_name: str, second_name: str, doubt: float) -> Verdict:
    """Compare the mean loss of each sequence, in nats per token."""
    import numpy as np

    losses_N2 = np.stack([reading.predictions["losses"].astype(np.float64) for reading in (first, second)], axis=1)
    difference = float((losses_N2[:, 1] - losses_N2[:, 0]).mean())
    bounds = paired_bootstrap(losses_N2, lambda means: means[:, 1] - means[:, 0], doubt)
    word = word_of(bounds, "loss")
    return Verdict(first_name, second_name, word, "", "loss", len(losses_N2), difference, bounds, doubt, None)


def _why_not_comparable(first: Reading, second: Reading) -> str:
    """Empty when both answered the same rows."""
    import numpy as np

    for reading in (first, second):
        if reading.header.get("kind") == "search":
            name = plain(reading.run.path.name)
            return f"{name} is a search; give its winner, {name}/best"
        if targets_and_predictions(reading) is None and token_pair(reading) is None:
            return f"{plain(reading.run.path.name)} holds no predictions"
    if first.header.get("fingerprint") != second.header.get("fingerprint"):
        return "they were trained on different data"
    if first.task != second.task:
        return f"one is {first.task}, the other {second.task}"
    if first.predictions_split != second.predictions_split:
        return (
            f"one was scored on its {first.predictions_split} split, the other on its {second.predictions_split} split"
        )
    for key, what in (("index", "rows"), ("target", "targets")):
        arrays = first.predictions.get(key), second.predictions.get(key)
        if arrays[0] is not None and arrays[1] is not None and not np.array_equal(arrays[0], arrays[1]):
            return f"they were scored on different {what} (another seed or split)"
    return ""


def _regression_difference(
    target_NT: np.ndarray, first_NT: np.ndarray, second_NT: np.ndarray, score: str, doubt: float
) -> tuple[float, Interval]:
    """score(second) - score(first) and its interval, from per-row sums that are enough to compute every score."""
    import numpy as np

    columns = [target_NT, target_NT**2]
    for guess in (first_NT, second_NT):
        columns.append(np.abs(guess - target_NT) if score == "mae" else (guess - target_NT) ** 2)
    sums_NC = np.concatenate(columns, axis=1)

    def difference(means: np.ndarray) -> np.ndarray:
        mean, square, wrong_first, wrong_second = np.split(means, 4, axis=1)
        if score == "r2":
            variance = np.maximum(square - mean**2, np.finfo(np.float64).tiny)
            return np.asarray(((wrong_first - wrong_second) / variance).mean(1))
        if score == "rmse":
            return np.asarray(np.sqrt(wrong_second.mean(1)) - np.sqrt(wrong_first.mean(1)))
        return np.asarray((wrong_second - wrong_first).mean(1))

    return float(difference(sums_NC.mean(0, keepdims=True))[0]), paired_bootstrap(sums_NC, difference, doubt)


def _right_labels(target_NL: np.ndarray, first_NL: np.ndarray, second_NL: np.ndarray) -> np.ndarray:
    """Share of right labels per row, (N, 2): first run, second run."""
    import numpy as np

    return np.stack([(guess == target_NL).mean(1) for guess in (first_NL, second_NL)], axis=1)
