"""Rows that are there more than once: copies within a split, copies with other labels, training rows that are in
validation or test too.

Shapes: N rows of all splits together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from limpid.data.corrections import RELABEL
from limpid.data.dataset import Dataset, Split
from limpid.probes.copies import Groups, equal_groups, natural_rows, near_copies
from limpid.probes.duplicates import applies, levelled, row_unit
from limpid.probes.flat_rows import choose_rows, flat_rows
from limpid.probes.suspects import Rows, Suspect

NEAR_TRAIN, NEAR_ASKED = 60_000, 2000
SAMPLE = 2000


@dataclass(frozen=True)
class Copies:
    """Suspects, and how many equal rows were left alone because chance explains them."""

    found: list[Suspect]
    natural: int = 0


def suspect_copies(rows: Rows, dataset: Dataset) -> Copies:
    """Copies, conflicts and leaks. Of the test split only the inputs are looked at."""
    if not applies(dataset):
        return Copies([])
    test = dataset.test()
    read = [(part.split.rows, part.position_N) for part in rows.parts]
    beyond = [] if test is None else [(test.rows, choose_rows(test, NEAR_TRAIN))]
    groups = equal_groups([*read, *beyond])
    natural_N = _natural(dataset, rows, groups)
    found = [
        one
        for members in _several(groups, len(rows))
        if not natural_N[members[0]]
        for one in _of_group(members, rows, test, beyond[0][1] if beyond else None)
    ]
    alone = sum(len(members) - 1 for members in _several(groups, len(rows)) if natural_N[members[0]])
    known = {(one.split, one.position) for one in found}
    near = [one for one in _near(rows, dataset, test) if (one.split, one.position) not in known]
    return Copies([*found, *near], alone)


def _several(groups: Groups, num_known: int) -> Iterator[list[int]]:
    """Numbers of the equal rows of each group that has several and at least one of training or validation."""
    order = np.argsort(groups.group_N, kind="stable")
    starts = np.flatnonzero(np.diff(groups.group_N[order], prepend=-1))
    for members in np.split(order, starts[1:]):
        if len(members) > 1 and int(members.min()) < num_known:
            yield sorted(members.tolist())


def _of_group(
    members: list[int], rows: Rows, test: Split | None, test_position: torch.Tensor | None
) -> Iterator[Suspect]:
    known = [rows.suspect(i, "copy") for i in members if i < len(rows)]
    beyond = [i - len(rows) for i in members if i >= len(rows)]
    labels = Counter(one.given for one in known if one.given)
    if len(labels) > 1:
        (first, most), (_, second) = labels.most_common(2)
        for one in known:
            settled = first if most > second else ""
            action = "keep" if one.given == settled else f"{RELABEL}{settled}" if settled else "drop"
            yield replace(
                one,
                kind="conflict",
                suggested=settled if one.given != settled else "",
                confidence=most / len(known),
                other=next(other.row for other in known if other is not one),
                suggested_action=action,
            )
        return
    held_out = next((one.row for one in known if one.split == "valid"), None)
    if held_out is None and beyond and test is not None and test_position is not None:
        held_out = f"{test.name_of(int(test_position[beyond[0]]))} of the test split"
    for place, one in enumerate(known):
        if one.split == "train" and held_out is not None:
            yield replace(one, kind="leak", other=held_out, suggested_action="drop")
        elif one.split == known[0].split and place > 0:
            yield replace(one, other=known[0].row, suggested_action="drop")


def _natural(dataset: Dataset, rows: Rows, groups: Groups) -> np.ndarray:
    """(N,) whether the values of a row are so common that others may well equal it; see `natural_rows`."""
    natural_N = np.zeros(len(groups.group_N), bool)
    spec = dataset.spec
    if spec.kind not in ("table", "vector"):
        return natural_N
    sample = dataset.train.rows.take(choose_rows(dataset.train, SAMPLE))
    sample_NF = torch.cat([each.double().reshape(len(each), -1) for each in sample], dim=1).numpy()
    several, begin = groups.sizes() > 1, 0
    for part in rows.parts:
        place = np.flatnonzero(several[begin : begin + len(part.position_N)])
        if len(place):
            taken = part.split.rows.take(part.position_N[torch.from_numpy(place)])
            values = torch.cat([each.double().reshape(len(each), -1) for each in taken], dim=1).numpy()
            rarest = 2 if spec.kind == "table" else 3
            natural_N[begin + place] = natural_rows(values, sample_NF, len(dataset.train), rarest=rarest)
        begin += len(part.position_N)
    return natural_N


def _near(rows: Rows, dataset: Dataset, test: Split | None) -> Iterator[Suspect]:
    """Training rows to which held-out rows are nearly equal; not of tables, where nearness means little."""
    spec, (part, *_) = dataset.spec, rows.parts
    if spec.kind == "table":
        return
    position_N = part.position_N[choose_rows(part.split, NEAR_TRAIN)] if len(part.position_N) > NEAR_TRAIN else None
    position_N = part.position_N if position_N is None else position_N
    train = flat_rows(part.split, spec, position_N)
    if train is None or len(train) < 20:
        return
    place_of = {int(position): i for i, position in enumerate(part.position_N.tolist())}
    for name, split in (("validation", dataset.valid), ("test", test)):
        if split is None:
            continue
        asking_M = choose_rows(split, NEAR_ASKED)
        asking = flat_rows(split, spec, asking_M)
        if asking is None:
            continue
        both = levelled(torch.cat((train, asking)))
        near = near_copies(both[: len(train)], both[len(train) :], unit=row_unit(both[: len(train)]))
        if (
            len(near.row) < 3
            or len(near.row) <= 3 * near.by_chance * near.asked + 3 * (near.by_chance * near.asked) ** 0.5
        ):
            continue
        for i, j, nearness in zip(near.row.tolist(), near.other.tolist(), near.nearness.tolist(), strict=True):
            if nearness > 0:
                one = rows.suspect(place_of[int(position_N[j])], "leak")
                yield replace(
                    one,
                    other=f"{split.name_of(int(asking_M[i]))} of the {name} split, nearly",
                    confidence=1 - nearness,
                    suggested_action="drop",
                )
