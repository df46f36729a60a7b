"""How well each column alone tells the target, and whether a column numbers the rows.

A column is cut into bins (its values, or quantiles); each bin answers with the majority class or mean of the other half
of the rows, so that a column of noise gains nothing however many values it has.

    gain = (accuracy - share of the largest class) / (1 - that share)        classes
    gain = 1 - squared error / squared error of the mean                     numbers

0 is knowing nothing and 1 is knowing everything. The predictive power score (Wetschoreck 2020) is the same idea with a
decision tree. Where one column gains much, all others together are asked by least squares, for comparison.

Shapes: N rows, C columns, M bins, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limpid.probes.data_sample import DataSample, sample_split
from limpid.probes.subject import Subject

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

ROWS = 2000
MOST_BINS = 32
MOST_NUMBERS = 64  # number columns scored one by one: those that differ most between classes or go with the target
TOLD = 12  # columns kept in the record
ASK_OTHERS = 0.5  # gain from which the other columns are asked too
LEAST_ROWS = 40


@dataclass(frozen=True)
class Column:
    """One column of the source: numbers, or codes where it is a category."""

    name: str
    numbers: Floats | None  # (N,)
    codes: Codes | None  # (N,)
    missing: NDArray[np.bool_] | None = None  # (N,), where the cell was empty


@dataclass(frozen=True)
class Answer:
    """What is to be told: K classes, or one number."""

    name: str
    codes: Codes | None
    numbers: Floats | None
    num_classes: int = 0


def measure(subject: Subject) -> dict[str, Any] | None:
    """{columns: gains of the best columns, ...}; None unless rows are columns of numbers and categories."""
    spec, dataset = subject.spec, subject.dataset
    if spec is None or dataset is None or spec.kind not in ("table", "vector") or spec.task == "tokens":
        return None
    sample = sample_split(dataset.train, ROWS)
    if len(sample.target) < LEAST_ROWS:
        return None
    columns = columns_of(subject, sample)
    half_N = np.random.default_rng(1).permutation(len(sample.target)) % 2
    source = dataset.train.index
    place_N = None if source is None else source[sample.position].numpy().astype(np.float64)
    rows: list[dict[str, Any]] = []
    order: list[dict[str, Any]] = []
    for answer in answers_of(subject, sample):
        chosen = _screen(columns, answer)
        gains = {column.name: gain_of(column, answer, half_N) for column in chosen}
        best = sorted(gains, key=lambda name: -gains[name])[:TOLD]
        others = None
        if best and len(columns) > 1 and gains[best[0]] >= ASK_OTHERS:
            rest = [column for column in columns if column.name != best[0]]
            linear = joint_gain(rest, answer, half_N)
            others = max([linear, *(gains[name] for name in best[1:2])])
        rows += [
            {
                "target": answer.name,
                "numbers": answer.numbers is not None,
                "column": name,
                "gain": gains[name],
                "others": others if name == best[0] else None,
                "same": _same(next(c for c in columns if c.name == name), answer),
            }
            for name in best
        ]
        if place_N is not None:
            place = Column("order", place_N, None)
            order.append({"target": answer.name, "gain": gain_of(place, answer, half_N)})
    numbering = [found for column in columns if (found := _numbering(column, place_N, len(dataset.train)))]
    return {"n": len(sample.target), "num_columns": len(columns), "columns": rows, "order": order, "ids": numbering}


def columns_of(subject: Subject, sample: DataSample) -> list[Column]:
    """The columns of the source behind the features of the sample."""
    assert subject.spec is not None
    spec = subject.spec
    numbers_NF = sample.inputs[0].numpy().astype(np.float64)
    state = spec.preparation.get("encoder")
    if spec.kind != "table" or state is None:
        return [
            Column(name, numbers_NF[:, j], None) for j, name in enumerate(spec.feature_names[: numbers_NF.shape[1]])
        ]
    columns: list[Column] = []
    at = {name: j for j, name in enumerate(spec.feature_names)}
    codes_NC = sample.inputs[1].numpy() if len(sample.inputs) > 1 else None
    for entry in state["columns"]:
        name = entry["name"]
        if entry["type"] != "category":
            j = at[f"{name} days" if entry["type"] == "date" else name]
            hole = at.get(f"{name} missing") if entry["indicator"] else None
            missing = None if hole is None else numbers_NF[:, hole] > 0
            columns.append(Column(name, numbers_NF[:, j], None, missing))
        elif codes_NC is not None:
            codes_N = codes_NC[:, spec.category_names.index(name)]
            columns.append(Column(name, None, codes_N.astype(np.int64)))
        else:
            block = [at[f"{name}={value}"] for value in entry["values"]]
            hot_NV = numbers_NF[:, block]
            columns.append(Column(name, None, np.where(hot_NV.any(1), hot_NV.argmax(1) + 1, 0).astype(np.int64)))
    return columns


def answers_of(subject: Subject, sample: DataSample) -> list[Answer]:
    """The targets, one by one; of many, the first four."""
    assert subject.spec is not None
    spec, target = subject.spec, sample.target
    if spec.task == "classification":
        return [Answer(spec.target_names[0] if spec.target_names else "target", target.numpy(), None, spec.num_outputs)]
    names = spec.target_names or tuple(f"target {t}" for t in range(target.shape[1]))
    many = range(min(4, target.shape[1]))
    if spec.task in ("binary", "multilabel"):
        return [Answer(names[t], target[:, t].numpy().astype(np.int64), None, 2) for t in many]
    return [Answer(names[t], None, target[:, t].numpy().astype(np.float64)) for t in many]


def gain_of(column: Column, answer: Answer, half_N: Codes) -> float:
    """Cross-fitted gain of one column alone; see the head of this file."""
    bins_N, num = bins_of(column)
    if answer.codes is not None:
        return _class_gain(bins_N, num, answer.codes, answer.num_classes, half_N)
    assert answer.numbers is not None
    gain = _number_gain(bins_N, num, answer.numbers, half_N)
    if column.numbers is None or column.numbers.std() == 0 or answer.numbers.std() == 0:
        return gain
    return max(gain, float(np.corrcoef(column.numbers, answer.numbers)[0, 1] ** 2))


def bins_of(column: Column) -> tuple[Codes, int]:
    """(N,) bin of each row and the number of bins; missing cells have a bin of their own."""
    if column.codes is not None:
        return column.codes, int(column.codes.max()) + 1
    assert column.numbers is not None
    values = np.unique(column.numbers)
    if len(values) > MOST_BINS:
        values = np.unique(np.quantile(column.numbers, np.linspace(0, 1, MOST_BINS + 1)[1:-1]))
        bins_N = np.searchsorted(values, column.numbers, side="right")
    else:
        bins_N = np.searchsorted(values, column.numbers)
    if column.missing is not None:
        bins_N = np.where(column.missing, len(values) + 1, bins_N)
    return bins_N.astype(np.int64), len(values) + 2


def joint_gain(columns: list[Column], answer: Answer, half_N: Codes) -> float:
    """Cross-fitted gain of all these columns together, by ridge regression on numbers and one-hot categories."""
    parts = [np.ones((len(half_N), 1))]
    for column in columns[:MOST_NUMBERS]:
        if column.numbers is not None:
            spread = column.numbers.std()
            parts.append(((column.numbers - column.numbers.mean()) / (spread or 1.0))[:, None])
        elif column.codes is not None and column.codes.max() < MOST_NUMBERS:
            parts.append(np.eye(int(column.codes.max()) + 1)[column.codes])
    x_NF = np.concatenate(parts, axis=1)
    if answer.codes is not None:
        y_NK = np.eye(answer.num_classes)[answer.codes]
    else:
        assert answer.numbers is not None
        y_NK = answer.numbers[:, None]
    guess_NK = np.empty_like(y_NK)
    for side in (0, 1):
        fit, rest = half_N == side, half_N != side
        gram_FF = x_NF[fit].T @ x_NF[fit] + np.eye(x_NF.shape[1]) * 1e-3 * fit.sum()
        guess_NK[rest] = x_NF[rest] @ np.linalg.solve(gram_FF, x_NF[fit].T @ y_NK[fit])
    if answer.codes is not None:
        base = np.bincount(answer.codes).max() / len(half_N)
        return float(((guess_NK.argmax(1) == answer.codes).mean() - base) / max(1.0 - base, 1e-12))
    error = ((guess_NK - y_NK) ** 2).sum()
    return float(1.0 - error / max(((y_NK - y_NK.mean()) ** 2).sum(), 1e-300))


def _class_gain(bins_N: Codes, num: int, y_N: Codes, num_classes: int, half_N: Codes) -> float:
    base = np.bincount(y_N).max() / len(y_N)
    if base >= 1.0:
        return 0.0
    flat = (half_N * num + bins_N) * num_classes + y_N
    count_2MK = np.bincount(flat, minlength=2 * num * num_classes).reshape(2, num, num_classes)
    hits = 0
    for side in (0, 1):
        other_MK = count_2MK[1 - side] + 1e-3 * count_2MK[1 - side].sum(0) / max(1, count_2MK[1 - side].sum())
        hits += int(np.take_along_axis(count_2MK[side], other_MK.argmax(1)[:, None], axis=1).sum())
    return float((hits / len(y_N) - base) / (1.0 - base))


def _number_gain(bins_N: Codes, num: int, y_N: Floats, half_N: Codes) -> float:
    error, mean = 0.0, y_N.mean()
    for side in (0, 1):
        fit, rest = half_N == side, half_N != side
        count_M = np.bincount(bins_N[fit], minlength=num)
        sum_M = np.bincount(bins_N[fit], weights=y_N[fit], minlength=num)
        guess_M = np.where(count_M > 0, sum_M / np.maximum(count_M, 1), mean)
        error += float(((y_N[rest] - guess_M[bins_N[rest]]) ** 2).sum())
    return 1.0 - error / max(float(((y_N - mean) ** 2).sum()), 1e-300)


def _same(column: Column, answer: Answer) -> bool:
    """Whether the column is the target under another name: each value goes with one class, and each class with one."""
    if answer.codes is None:
        return False
    bins_N, _ = bins_of(column)
    if column.numbers is not None and len(np.unique(column.numbers)) > answer.num_classes + 1:
        return False
    pairs = np.unique(bins_N * answer.num_classes + answer.codes)
    return len(pairs) == len(np.unique(bins_N)) == len(np.unique(answer.codes))


def _screen(columns: list[Column], answer: Answer) -> list[Column]:
    """Categories and the numbers that go with the target most, by the share of their variance between classes."""
    numbers = [column for column in columns if column.numbers is not None]
    if len(numbers) <= MOST_NUMBERS:
        return columns
    x_NC = np.stack([column.numbers for column in numbers if column.numbers is not None], axis=1)
    z_NC = (x_NC - x_NC.mean(0)) / np.maximum(x_NC.std(0), 1e-300)
    y_NK = np.eye(answer.num_classes)[answer.codes] if answer.codes is not None else np.zeros((len(z_NC), 1))
    if answer.numbers is not None:
        y_NK = ((answer.numbers - answer.numbers.mean()) / max(answer.numbers.std(), 1e-300))[:, None]
    strength_C = ((y_NK.T @ z_NC) ** 2 / np.maximum(y_NK.sum(0), 1.0)[:, None]).sum(0)
    kept = set(np.argsort(-strength_C, kind="stable")[:MOST_NUMBERS].tolist())
    strong = [column for j, column in enumerate(numbers) if j in kept]
    return [*strong, *(column for column in columns if column.numbers is None)]


def _numbering(column: Column, place_N: Floats | None, num_rows: int) -> dict[str, Any] | None:
    """A column of whole numbers that differ in every row: how densely they lie, and whether they follow the rows."""
    x_N = column.numbers
    if x_N is None or (x_N % 1 != 0).any() or len(np.unique(x_N)) < len(x_N):
        return None
    follows = 0.0
    if place_N is not None:
        follows = float(abs(np.corrcoef(np.argsort(np.argsort(x_N)), np.argsort(np.argsort(place_N)))[0, 1]))
    return {"column": column.name, "follows": follows, "density": float(num_rows / max(np.ptp(x_N), 1.0))}
