"""What the predictions of a run say: counts per class, and the rows it is most wrong about.

Shapes: N rows of the split, K classes, L labels, T regression targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limpid.reporting.intervals import Interval, f1_interval, wilson
from limpid.reporting.reading import Reading
from limpid.reporting.text import plain

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class ClassOutcome:
    """Counts of one class or label, and the shares made of them."""

    name: str
    true_positives: int
    predicted: int
    support: int

    @property
    def precision(self) -> float | None:
        return self.true_positives / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        return self.true_positives / self.support if self.support else None

    @property
    def f1(self) -> float | None:
        total = self.predicted + self.support
        return 2 * self.true_positives / total if total else None

    @property
    def precision_interval(self) -> Interval:
        return wilson(self.true_positives, self.predicted)

    @property
    def recall_interval(self) -> Interval:
        return wilson(self.true_positives, self.support)

    @property
    def f1_interval(self) -> Interval:
        return f1_interval(self.true_positives, self.predicted + self.support - 2 * self.true_positives)


def targets_and_predictions(reading: Reading) -> tuple[np.ndarray, np.ndarray] | None:
    """(target, prediction) as int64 (N,) of classes, int64 (N, L) of labels or float64 (N, T); None without them."""
    import numpy as np

    arrays = reading.predictions
    if reading.task == "tokens" or "target" not in arrays or len(arrays["target"]) == 0:
        return None  # sequences of tokens have outcomes of their own: token_outcomes.py
    if reading.task == "regression":
        key = "prediction" if "prediction" in arrays else "values"
        if key not in arrays:
            return None
        rows = len(arrays["target"])
        return arrays["target"].reshape(rows, -1).astype(np.float64), arrays[key].reshape(rows, -1).astype(np.float64)
    if "prediction" not in arrays:
        return None
    target, prediction = (arrays[key].astype(np.int64) for key in ("target", "prediction"))
    if reading.task != "multilabel":
        target, prediction = target.reshape(-1), prediction.reshape(-1)
    return (target, prediction) if target.shape == prediction.shape else None


def class_names(reading: Reading, num_classes: int) -> list[str]:
    """Printable names; classes beyond those of the spec are called by their number."""
    names = [plain(name) for name in reading.classes]
    return names[:num_classes] + [f"class {k}" for k in range(len(names), num_classes)]


def confusion(target_N: np.ndarray, prediction_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts (K, K): row the true class, column the predicted one."""
    import numpy as np

    cells = np.bincount(target_N * num_classes + prediction_N, minlength=num_classes * num_classes)
    return cells.reshape(num_classes, num_classes)


def confusion_of(reading: Reading) -> np.ndarray | None:
    """The confusion counts of a classification run, or None when it has none."""
    pair = targets_and_predictions(reading)
    if pair is None or reading.task not in ("classification", "binary"):
        return None
    return confusion(*pair, max(len(reading.classes), int(max(pair[0].max(), pair[1].max())) + 1))


def class_outcomes(reading: Reading) -> list[ClassOutcome]:
    """One outcome per class (classification, binary) or label (multilabel)."""
    pair = targets_and_predictions(reading)
    if pair is None or reading.task == "regression":
        return []
    if reading.task == "multilabel":
        hits, predicted, support = (pair[0] & pair[1]).sum(0), pair[1].sum(0), pair[0].sum(0)
    else:
        counts_KK = confusion_of(reading)
        assert counts_KK is not None
        hits, predicted, support = counts_KK.diagonal(), counts_KK.sum(0), counts_KK.sum(1)
    return [
        ClassOutcome(name, int(hits[k]), int(predicted[k]), int(support[k]))
        for k, name in enumerate(class_names(reading, len(hits)))
    ]


def frequent_confusions(counts_KK: np.ndarray, names: list[str], most: int = 10) -> list[dict[str, Any]]:
    """The most frequent mistakes: true class, predicted class, rows, share of the true class's rows."""
    import numpy as np

    wrong_KK = counts_KK.copy()
    np.fill_diagonal(wrong_KK, 0)
    order = np.argsort(-wrong_KK, axis=None, kind="stable")[:most]
    found = []
    for true, guess in zip(*np.unravel_index(order, wrong_KK.shape), strict=True):
        if rows := int(wrong_KK[true, guess]):
            low, high = wilson(rows, support := int(counts_KK[true].sum()))
            found.append(
                {"true": names[true], "predicted": names[guess], "rows": rows, "share": rows / support}
                | {"low": low, "high": high, "support": support}
            )
    return found


@dataclass(frozen=True)
class WrongRow:
    """One row that the network is far from: names and figures, printable."""

    position: int  # in predictions.npz
    name: str
    true: str
    predicted: str
    probability: float | None  # of what was predicted; None for regression
    probability_true: float | None
    loss: float | None
    wrong: bool


def most_wrong(reading: Reading, most: int = 24) -> list[WrongRow]:
    """Rows in falling order of their loss (NaN first: those are the worst); without losses, wrong rows first."""
    import numpy as np

    pair = targets_and_predictions(reading)
    if pair is None:
        return []
    losses = reading.predictions.get("losses")
    if losses is not None and len(losses) == len(pair[0]):
        badness = np.nan_to_num(losses.astype(np.float64).reshape(len(pair[0]), -1).mean(1), nan=np.inf, posinf=np.inf)
    elif reading.task == "regression":
        badness = np.abs(pair[0] - pair[1]).sum(1)
    else:
        badness = (pair[0] != pair[1]).reshape(len(pair[0]), -1).sum(1)
    return [describe_row(reading, int(i)) for i in np.argsort(-badness, kind="stable")[:most]]


def describe_row(reading: Reading, i: int) -> WrongRow:
    """Row i of the predictions in words."""
    import numpy as np

    pair = targets_and_predictions(reading)
    assert pair is not None
    target, guess = pair[0][i], pair[1][i]
    losses = reading.predictions.get("losses")
    loss = float(np.mean(losses[i])) if losses is not None and i < len(losses) else None
    name = row_name(reading, i)
    if reading.task == "regression":
        return WrongRow(i, name, _join_numbers(target), _join_numbers(guess), None, None, loss, True)
    if reading.task == "multilabel":
        names = class_names(reading, len(target))
        true, predicted = (", ".join(names[k] for k in np.flatnonzero(labels)) or "none" for labels in (target, guess))
        return WrongRow(i, name, true, predicted, None, None, loss, bool((target != guess).any()))
    names = class_names(reading, max(int(target), int(guess)) + 1)
    return WrongRow(
        i,
        name,
        names[target],
        names[guess],
        _probability(reading, i, int(guess)),
        _probability(reading, i, int(target)),
        loss,
        bool(target != guess),
    )


def row_name(reading: Reading, i: int) -> str:
    """Where row i came from: a file name if the run kept it, else its row in the source."""
    for key in ("name", "names", "origin"):
        if key in reading.predictions and i < len(reading.predictions[key]):
            return plain(str(reading.predictions[key][i]))
    index = reading.predictions.get("index")
    return f"row {int(index[i])}" if index is not None and i < len(index) else f"row {i}"


def _probability(reading: Reading, i: int, k: int) -> float | None:
    """Probability of class k for row i; a single column is that of class 1."""
    probabilities = reading.predictions.get("probabilities")
    if probabilities is None or i >= len(probabilities):
        return None
    row = probabilities[i].reshape(-1)
    if len(row) == 1:
        return float(row[0]) if k == 1 else 1.0 - float(row[0])
    return float(row[k]) if k < len(row) else None


def _join_numbers(values: np.ndarray) -> str:
    from limpid.reporting.text import number

    return ", ".join(number(float(value)) for value in values)
