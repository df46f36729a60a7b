"""Equal rows: within the training split, with different labels, in validation and in the test. And nearly equal ones.

Shapes: N training rows, M validation or test rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from limpid.data.dataset import Dataset, ResidentRows, Split
from limpid.probes.copies import Groups, NearCopies, equal_groups, median_distance, natural_rows, near_copies
from limpid.probes.flat_rows import choose_rows, flat_rows
from limpid.probes.subject import Subject

MOST_BYTES = 200_000_000  # of resident rows that are digested before training; MNIST has 47 million
MOST_STREAMED = 1000  # rows that have to be read or put together one by one
COLUMN_ROWS = 2000  # rows whose values tell how likely equal rows are
NEAR_TRAIN, NEAR_ASKED = 20_000, 1000
LEVEL = 0.3  # of the median deviation of a column, below which columns are not stretched
SMALL = 300_000  # numbers in all rows; of so few nearly equal ones are looked for before training too
SHOWN = 5
KINDS = ("image", "vector", "table", "array", "series", "text")


def measure(subject: Subject) -> dict[str, Any] | None:
    """What rows equal others; a few milliseconds. None for data whose inputs repeat by nature (pairs, captions).

    {rows, copies, natural, conflicts, ceiling, valid_rows, shared, shared_natural, blank, examples, shared_examples}:
    copies, conflicts and shared are numbers of rows, natural the share of copies that chance explains, ceiling the
    largest accuracy that conflicting labels allow.
    """
    dataset = subject.dataset
    if dataset is None or not applies(dataset):
        return None
    parts = [dataset.train] + ([] if dataset.valid is None else [dataset.valid])
    chosen = [_affordable(split) for split in parts]
    groups = equal_groups([(split.rows, number_N) for split, number_N in zip(parts, chosen, strict=True)])
    size = len(chosen[0])
    train = Groups(groups.group_N[:size], groups.num_blank)
    copies, shared = np.flatnonzero(train.copies()), np.flatnonzero(np.isin(groups.group_N[size:], train.group_N))
    values: dict[str, Any] = {
        "rows": size,
        "copies": len(copies),
        "natural": _natural(dataset, dataset.train, chosen[0][copies]),
        "conflicts": 0,
        "ceiling": 1.0,
        "blank": groups.num_blank,
        "examples": _names(dataset.train, chosen[0][copies]),
        "valid_rows": len(groups.group_N) - size,
        "shared": len(shared),
    }
    if dataset.valid is not None:
        values["shared_natural"] = _natural(dataset, dataset.valid, chosen[-1][shared])
        values["shared_examples"] = _names(dataset.valid, chosen[-1][shared])
    if len(copies) and dataset.spec.task in ("classification", "binary"):
        label_N = dataset.train.target[chosen[0]].cpu().flatten().numpy()
        values |= {"conflicts": int(train.conflicts(label_N).sum()), "ceiling": train.best_accuracy(label_N)}
    if size == len(dataset.train) <= NEAR_TRAIN:
        values |= _near(dataset, SMALL) or {}
    return values


def measure_near(subject: Subject) -> dict[str, Any] | None:
    """{near, near_asked, near_chance, near_shared, near_shared_asked, near_shared_chance, ...examples} of some rows."""
    if subject.dataset is None or not applies(subject.dataset):
        return None
    return _near(subject.dataset, None)


def measure_test(subject: Subject) -> dict[str, Any] | None:
    """{rows, shared, natural, examples}: test rows with the inputs of a training row; targets are not looked at."""
    dataset = subject.dataset
    test = None if dataset is None or not applies(dataset) else dataset.test()
    if dataset is None or test is None:
        return None
    train_N, test_M = _affordable(dataset.train), _affordable(test)
    group_NM = equal_groups([(dataset.train.rows, train_N), (test.rows, test_M)]).group_N
    shared = test_M[np.flatnonzero(np.isin(group_NM[len(train_N) :], group_NM[: len(train_N)]))]
    return {
        "rows": len(test_M),
        "shared": len(shared),
        "natural": _natural(dataset, test, shared),
        "examples": _names(test, shared),
    }


def applies(dataset: Dataset) -> bool:
    """Whether equal inputs mean anything: not where samples are windows of one text, or several belong to an input."""
    return dataset.spec.kind in KINDS and dataset.spec.task != "tokens"


def _near(dataset: Dataset, most_numbers: int | None) -> dict[str, Any] | None:
    """Nearly equal rows among the training rows and from validation to training, equal ones not counted."""
    spec = dataset.spec
    if spec.kind == "table":
        return None  # rows of one kind of thing are near in numbers that mean little
    position_N = choose_rows(dataset.train, NEAR_TRAIN)
    one = flat_rows(dataset.train, spec, position_N[:1])
    if one is None or len(position_N) < 20:
        return None
    if most_numbers is not None and one.shape[1] * len(position_N) > most_numbers:
        return None
    train = flat_rows(dataset.train, spec, position_N)
    assert train is not None
    valid = None
    if dataset.valid is not None:
        asking_M = choose_rows(dataset.valid, NEAR_ASKED)
        valid = flat_rows(dataset.valid, spec, asking_M)
    both = levelled(train if valid is None else torch.cat((train, valid)))
    train, valid = both[: len(train)], both[len(train) :]
    unit = row_unit(train)
    within = near_copies(train, unit=unit, last=min(len(train), NEAR_ASKED))
    values: dict[str, Any] = {"near": _strictly(within), "near_asked": within.asked, "near_chance": within.by_chance}
    if len(valid):
        across = near_copies(train, valid, unit=unit)
        names = [
            f"{dataset.valid.name_of(int(asking_M[i]))} = {dataset.train.name_of(int(position_N[j]))}"  # type: ignore[union-attr]
            for i, j in zip(across.row[:SHOWN].tolist(), across.other[:SHOWN].tolist(), strict=True)
        ]
        values |= {
            "near_shared": _strictly(across),
            "near_shared_asked": across.asked,
            "near_shared_chance": across.by_chance,
            "near_shared_examples": names,
        }
    return values


def row_unit(rows_NF: Tensor) -> float:
    """The median distance of a row to its nearest neighbour; of many rows, that of some to all."""
    return median_distance(rows_NF, last=min(len(rows_NF), NEAR_ASKED))


def levelled(rows_NF: Tensor) -> Tensor:
    """Columns with deviation 1, but no column that hardly varies is blown up to that."""
    std_F = rows_NF.std(0, correction=0)
    varied = std_F[std_F > 0]
    least = LEVEL * float(varied.median()) if len(varied) else 1.0
    return (rows_NF - rows_NF.mean(0)) / std_F.clamp_min(least)


def _strictly(found: NearCopies) -> int:
    return int((found.nearness > 0).sum())


def _affordable(split: Split) -> Tensor:
    """Numbers of the rows that can be digested in a few milliseconds."""
    if isinstance(split.rows, ResidentRows):
        num_bytes = sum(tensor.nbytes for tensor in split.rows.tensors)
        return choose_rows(split, len(split) if num_bytes <= MOST_BYTES else MOST_STREAMED)
    return choose_rows(split, MOST_STREAMED)


def _natural(dataset: Dataset, split: Split, number_M: Tensor) -> float:
    """Share of these rows that others may well equal by chance, since their values are common; 0 for pictures."""
    if dataset.spec.kind not in ("table", "vector") or not len(number_M):
        return 0.0
    number_M = number_M[:COLUMN_ROWS]
    sample = dataset.train.rows.take(choose_rows(dataset.train, COLUMN_ROWS))
    asked = split.rows.take(number_M)
    flat = [[tensor.cpu().double().reshape(len(tensor), -1) for tensor in each] for each in (asked, sample)]
    asked_MF, sample_NF = (torch.cat(each, dim=1).numpy() for each in flat)
    rarest = 2 if dataset.spec.kind == "table" else 3
    return float(natural_rows(asked_MF, sample_NF, len(dataset.train), rarest=rarest).mean())


def _names(split: Split, number_N: Tensor) -> list[str]:
    return [split.name_of(int(i)) for i in number_N[:SHOWN]]
