"""The rows of a data set that somebody should look at: labels that are probably wrong, copies, leaks, the hardest.

Shapes: N rows of training and validation together, K classes, F numbers of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.data.corrections import RELABEL, labels_of
from limpid.data.dataset import Dataset, Split
from limpid.probes.confident_joint import NoiseEstimate, estimate_noise, suspect_labels
from limpid.probes.flat_rows import choose_rows, flat_rows
from limpid.probes.held_out import (
    SIDE,
    picture_probabilities,
    row_probabilities,
    text_probabilities,
    tree_predictions,
)
from limpid.probes.label_signal import standardised
from limpid.probes.neighbours import condensed, nearest_rows
from limpid.spec import DataSpec

MOST_ROWS = 100_000  # of training and validation each
LEAST_ROWS = 50
BLOCK = 1000  # rows that are read at a time
HARDEST = 50
NEIGHBOURS = 10
FAR = 8.0  # deviations (by the median) from what is expected; of a million normal residuals none lies there
KINDS = {
    "label": "labels that are probably wrong",
    "doubt": "labels that quick models doubt most",
    "number": "numbers far from what is expected",
    "conflict": "equal rows with different labels",
    "leak": "training rows that are in validation or test too",
    "copy": "copies of other rows",
    "hard": "hardest of the other rows",
}
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Suspect:
    """One row, and why it is suspected.

    Attributes:
        row: its name; split: "train" or "valid"; position: its place in the split.
        given: its label; suggested: another one, or "".
        confidence: of the suggestion, from 0 to 1; of a number, how many deviations it is off.
        kind: a key of `KINDS`.
        other: name of the row that it equals.
        suggested_action: keep, drop or relabel:CLASS.
        like: share of its nearest neighbours with its label.
    """

    row: str
    split: str
    position: int
    given: str
    kind: str
    suggested: str = ""
    confidence: float = 1.0
    other: str = ""
    suggested_action: str = "keep"
    like: float | None = None


@dataclass(frozen=True)
class Part:
    """Rows of one split that are looked at."""

    name: str
    split: Split
    position_N: Tensor
    labels: list[str]

    def suspect(self, i: int, kind: str) -> Suspect:
        place = int(self.position_N[i])
        return Suspect(self.split.name_of(place), self.name, place, self.labels[i], kind)


@dataclass(frozen=True)
class Rows:
    """The parts, one behind the other."""

    parts: list[Part]
    spec: DataSpec

    def __len__(self) -> int:
        return sum(len(part.position_N) for part in self.parts)

    def suspect(self, i: int, kind: str) -> Suspect:
        """Row number i of all parts together."""
        for part in self.parts:
            if i < len(part.position_N):
                return part.suspect(i, kind)
            i -= len(part.position_N)
        raise IndexError(i)

    @property
    def targets(self) -> Tensor:
        return torch.cat([part.split.target[part.position_N].cpu() for part in self.parts])


def rows_of(dataset: Dataset) -> Rows:
    """The rows of training and validation, a part of them where they are very many."""
    splits = [("train", dataset.train)] + ([("valid", dataset.valid)] if dataset.valid is not None else [])
    parts = []
    for name, split in splits:
        position_N = choose_rows(split, MOST_ROWS)
        labels = labels_of(split, dataset.spec)
        parts.append(Part(name, split, position_N, [labels[i] for i in position_N.tolist()]))
    return Rows(parts, dataset.spec)


def suspect_classes(rows: Rows) -> tuple[list[Suspect], NoiseEstimate | None]:
    """Rows whose class is probably wrong, then the hardest of the others; and how many labels are wrong.

    None and nothing where rows do not have one class each, are too few, or have no plain form.
    """
    spec = rows.spec
    if spec.task not in ("classification", "binary") or len(rows) < LEAST_ROWS:
        return [], None
    label_N = rows.targets.flatten().long()
    num_classes = len(spec.classes)
    if len(label_N) != len(rows):
        return [], None
    p_NK, plain_NF = _probabilities(rows, label_N, num_classes)
    if p_NK is None:
        return [], None
    label = label_N.numpy()
    estimate = estimate_noise(p_NK, label)
    flagged, lead_N = suspect_labels(p_NK, label, estimate)
    known = set(flagged.tolist())
    hardest = [i for i in np.argsort(-lead_N, kind="stable").tolist() if i not in known][:HARDEST]
    numbers = [*flagged.tolist(), *hardest]
    like = _like(plain_NF, label_N, numbers)
    found = []
    for place, i in enumerate(numbers):
        kind = "label" if place < len(flagged) else "hard"
        best = int(p_NK[i].argmax())
        suggested = spec.classes[best] if best != label[i] else ""
        one = replace(rows.suspect(i, kind), suggested=suggested, confidence=float(p_NK[i, best]), like=like.get(i))
        found.append(replace(one, suggested_action=f"{RELABEL}{suggested}") if kind == "label" else one)
    return found, estimate


def suspect_numbers(rows: Rows) -> list[Suspect]:
    """Rows whose number is far from what boosted trees that have not seen it expect.

    z_i = |r_i - median r| / (1.4826 median |r - median r|)   with residuals r
    """
    spec = rows.spec
    if spec.task != "regression" or spec.num_outputs != 1 or len(rows) < LEAST_ROWS:
        return []
    plain_NF = _plain(rows)
    if plain_NF is None:
        return []
    target_N = rows.targets.double().flatten().numpy()
    expected_N = tree_predictions(standardised(plain_NF), target_N)
    residual_N = target_N - expected_N
    off_N = np.abs(residual_N - np.median(residual_N))
    z_N = off_N / max(1.4826 * float(np.median(off_N)), 1e-9 * float(np.abs(target_N).max()), 1e-300)
    order = np.argsort(-z_N, kind="stable")
    far = [i for i in order.tolist() if z_N[i] > FAR]
    hardest = [i for i in order.tolist() if z_N[i] <= FAR][:HARDEST]
    return [
        replace(
            rows.suspect(i, "number" if place < len(far) else "hard"),
            suggested=f"{expected_N[i]:.5g}",
            confidence=float(z_N[i]),
        )
        for place, i in enumerate([*far, *hardest])
    ]


def _probabilities(rows: Rows, label_N: Tensor, num_classes: int) -> tuple[NDArray[np.float32] | None, Tensor | None]:
    """Out-of-sample probabilities by models for the kind of data, and the rows as plain numbers if there is a form."""
    kind = rows.spec.kind
    if kind == "text":
        return text_probabilities(_tokens(rows), label_N, num_classes).numpy(), _plain(rows)
    if kind == "image":
        pixels = _pictures(rows)
        return picture_probabilities(pixels, label_N, num_classes).numpy(), pixels.flatten(1).float()
    plain_NF = _plain(rows)
    if plain_NF is None:
        return None, None
    plain_NF = standardised(plain_NF)
    return row_probabilities(plain_NF, label_N, num_classes, table=kind == "table").numpy(), plain_NF


def _plain(rows: Rows) -> Tensor | None:
    blocks = [
        flat_rows(part.split, rows.spec, index_B) for part in rows.parts for index_B in part.position_N.split(BLOCK)
    ]
    known = [block for block in blocks if block is not None]
    return torch.cat(known) if len(known) == len(blocks) else None


def _pictures(rows: Rows) -> Tensor:
    """(N, C, h, w), sides of at most `SIDE` pixels, in the dtype of the source."""
    blocks = []
    for part in rows.parts:
        for index_B in part.position_N.split(BLOCK):
            pixels = part.split.rows.take(index_B)[0].cpu()
            if max(pixels.shape[-2:]) > SIDE:
                small = torch.nn.functional.adaptive_avg_pool2d(pixels.float(), SIDE)
                pixels = small if pixels.is_floating_point() else small.round().to(pixels.dtype)
            blocks.append(pixels)
    return torch.cat(blocks)


def _tokens(rows: Rows) -> list[NDArray[np.int64]]:
    texts: list[NDArray[np.int64]] = []
    for part in rows.parts:
        for index_B in part.position_N.split(BLOCK):
            tokens_BT, lengths_B = part.split.rows.take(index_B)[:2]
            texts += [row[:length] for row, length in zip(tokens_BT.numpy(), lengths_B.tolist(), strict=True)]
    return texts


def _like(plain_NF: Tensor | None, label_N: Tensor, numbers: Sequence[int]) -> dict[int, float]:
    """Share of the nearest neighbours that have a row's label, of these rows."""
    if plain_NF is None or not numbers or len(label_N) <= NEIGHBOURS + 1:
        return {}
    near = condensed(plain_NF)
    asking = torch.tensor(numbers)
    _, found_Mk = nearest_rows(near, NEIGHBOURS + 1, asking_MF=near[asking])
    shares = {}
    for i, row in zip(numbers, found_Mk.tolist(), strict=True):
        others = [j for j in row if j != i][:NEIGHBOURS]
        shares[i] = float((label_N[others] == label_N[i]).float().mean())
    return shares
