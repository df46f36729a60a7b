"""Are validation and test rows of the kind that training rows are, and if not, what was done to them?

Inputs alone are compared; targets of the test split are not looked at. Images whose sets can be told apart are turned,
mirrored, inverted and given other channel orders, and the change that undoes the difference is named.

Shapes: N rows of training, M of the other set, C channels, H x W pixels, F features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.data.dataset import Split
from limpid.data.vocabulary import NUM_SPECIAL
from limpid.probes.data_columns import columns_of
from limpid.probes.data_domain import association, auc_between, distances
from limpid.probes.data_sample import MOST_ROWS, DataSample, sample_split
from limpid.probes.subject import Subject

Floats = NDArray[np.float64]

LEAST = 15  # rows of the smaller set
FEW_ROWS = 400  # of each set, in every training
GRID = 4  # cells of a side that images are averaged to
SIDE = 16  # pixels of a side that images are averaged to
MOST_PIXELS = 64  # of a side that are read for it
MOST_FEATURES = 96
TOLD = 8
APART = 0.6  # AUC from which the changes are tried
# what was done to the second set -> what undoes it
CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "turned by 90 degrees anticlockwise": lambda x: x.rot90(-1, (-2, -1)),
    "turned by 180 degrees": lambda x: x.rot90(2, (-2, -1)),
    "turned by 90 degrees clockwise": lambda x: x.rot90(1, (-2, -1)),
    "mirrored left to right": lambda x: x.flip(-1),
    "mirrored top to bottom": lambda x: x.flip(-2),
    "transposed, rows for columns": lambda x: x.transpose(-2, -1),
    "inverted, dark for bright": lambda x: 1.0 - x,
    "in another order of channels (RGB, BGR)": lambda x: x.flip(-3),
}


def measure_valid(subject: Subject) -> dict[str, Any] | None:
    """Training beside validation rows, targets included."""
    valid = None if subject.dataset is None else subject.dataset.valid
    return None if valid is None else _compare(subject, valid, rows=FEW_ROWS, targets=True)


def measure_test(subject: Subject) -> dict[str, Any] | None:
    """Inputs of training beside those of the test rows."""
    test = None if subject.dataset is None else subject.dataset.test()
    return None if test is None else _compare(subject, test, rows=MOST_ROWS, targets=False)


def _compare(subject: Subject, other: Split, *, rows: int, targets: bool) -> dict[str, Any] | None:
    assert subject.dataset is not None
    assert subject.spec is not None
    spec = subject.spec
    if spec.kind in ("pairs", "captions") or spec.preparation.get("kind") == "forecast" or spec.task == "tokens":
        return None  # neighbouring windows are no independent rows
    side = MOST_PIXELS if spec.kind == "image" else None
    first = sample_split(subject.dataset.train, rows, side=side)
    second = sample_split(other, rows, side=side)
    if min(len(first.target), len(second.target)) < LEAST:
        return None
    pictures = [_small(sample.inputs[0]) for sample in (first, second)] if spec.kind == "image" else None
    if pictures is not None:
        names, matrices = _picture_names(pictures[0]), [_picture_features(x) for x in pictures]
    else:
        names, *matrices = _row_features(subject, first, second)
    if not names:
        return None
    auc, p = auc_between(matrices[0], matrices[1])
    gap_F, p_F = distances(matrices[0], matrices[1])
    told = [
        {
            "name": names[j],
            "distance": float(gap_F[j]),
            "p": float(p_F[j]),
            **_moments(matrices[0][:, j], matrices[1][:, j]),
        }
        for j in np.lexsort((-gap_F, p_F))[:TOLD].tolist()
    ]
    inputs = pictures or [first.inputs[0], second.inputs[0]]
    values: dict[str, Any] = {
        "n": [len(first.target), len(second.target)],
        "auc": auc,
        "p": p,
        "num_features": len(names),
        "features": told,
        "scaled": scaling_between(inputs[0], inputs[1], spec.kind),
        "unseen": _unseen(subject, first, second) if spec.kind == "table" else {},
    }
    if pictures is not None:
        brightness = _moments(*(x.mean((1, 2, 3)).double().numpy() for x in pictures))
        values["brightness"] = brightness
    if pictures is not None and auc > APART:
        values["change"] = _name_change(pictures[0], pictures[1])
    if targets:
        values["targets"] = _target_drift(first.target, second.target)
    return values


def scaling_between(first: Tensor, second: Tensor, kind: str) -> dict[str, Any] | None:
    """Whether the second set is the first one on another scale: a common factor, or standardised in one set only."""
    if not first.is_floating_point() and first.dtype != torch.uint8:
        return None
    x_NF, y_MF = _scale_columns(first, kind), _scale_columns(second, kind)
    mean_F, std_F, mean2_F, std2_F = x_NF.mean(0), x_NF.std(0), y_MF.mean(0), y_MF.std(0)
    dense_F = (std_F > 0) & (std2_F > 0)
    if not dense_F.any():
        return None
    mean_F, std_F, mean2_F, std2_F = mean_F[dense_F], std_F[dense_F], mean2_F[dense_F], std2_F[dense_F]
    unit = [
        bool(((np.abs(m) < 0.3) & (s > 0.7) & (s < 1.4)).mean() > 0.9)  # rare pixels are off in a sample
        for m, s in ((mean_F, std_F), (mean2_F, std2_F))
    ]
    ratio_F = std2_F / std_F
    factor = float(np.median(ratio_F))
    alike = bool((np.abs(np.log(ratio_F / factor)) < 0.25).mean() > 0.8)
    moved = bool((np.abs(mean2_F - factor * mean_F) < 0.5 * factor * std_F).mean() > 0.8)
    return {"factor": factor, "common": alike and moved, "unit": unit, "num_features": len(ratio_F)}


def _scale_columns(x: Tensor, kind: str) -> NDArray[np.float32]:
    flat = x.movedim(1, -1).flatten(0, -2) if kind == "image" else x.flatten(0, max(0, x.ndim - 2))
    return (flat[:, :256] if flat.ndim > 1 else flat[:, None]).numpy()


def _small(x: Tensor) -> Tensor:
    """(N, C, h, w), at most 16 pixels to a side, from 0 to 1 if bytes; averages, which a turned image has turned."""
    x = x.float() / 255 if x.dtype == torch.uint8 else x.float()
    size = (min(SIDE, x.shape[-2]), min(SIDE, x.shape[-1]))
    return x if x.shape[-2:] == size else torch.nn.functional.adaptive_avg_pool2d(x, size)


def _picture_names(x: Tensor) -> list[str]:
    rows, columns = min(GRID, x.shape[-2]), min(GRID, x.shape[-1])
    grid = f"of {rows} x {columns}"
    cells = [f"brightness at row {r + 1}, column {c + 1} {grid}" for r in range(rows) for c in range(columns)]
    channels = [f"channel {c + 1}" for c in range(x.shape[1])]
    tilts = [f"{name}, {way}" for way in ("top against bottom", "left against right") for name in channels]
    means = [f"mean of {name}" for name in channels]
    return [*cells, *tilts, *means, "contrast", "change from left to right", "change from top to bottom"]


def _picture_features(x: Tensor) -> Floats:
    """Averages over a grid of cells, of each channel and its halves, and how much neighbouring pixels differ."""
    grey = x.mean(1, keepdim=True)
    cells = torch.nn.functional.adaptive_avg_pool2d(grey, (min(GRID, x.shape[-2]), min(GRID, x.shape[-1])))
    across = (grey[..., 1:] - grey[..., :-1]).abs().mean((1, 2, 3))
    down = (grey[..., 1:, :] - grey[..., :-1, :]).abs().mean((1, 2, 3))
    contrast = grey.flatten(1).std(dim=1)
    height, width = x.shape[-2] // 2, x.shape[-1] // 2
    tall = x[..., :height, :].mean((2, 3)) - x[..., -height:, :].mean((2, 3))
    wide = x[..., :width].mean((2, 3)) - x[..., -width:].mean((2, 3))
    parts = [cells.flatten(1), tall, wide, x.mean((2, 3)), torch.stack((contrast, across, down), dim=1)]
    return torch.cat(parts, dim=1).double().numpy()


def _row_features(subject: Subject, first: DataSample, second: DataSample) -> tuple[list[str], Floats, Floats]:
    """Columns of rows that are no images: numbers, categories one by one, lengths, and how often tokens occur."""
    assert subject.spec is not None
    kind = subject.spec.kind
    if kind == "text":
        return _bags(first, second)
    if kind == "series":
        named = [f"mean of {name}" for name in subject.spec.feature_names]
        both = [_sequence_features(sample) for sample in (first, second)]
        return ["length", *named], both[0], both[1]
    if kind not in ("table", "vector"):
        both = [sample.inputs[0].double().flatten(1)[:, :MOST_FEATURES].numpy() for sample in (first, second)]
        return [f"value {j}" for j in range(both[0].shape[1])], both[0], both[1]
    names: list[str] = []
    parts: list[tuple[Floats, Floats]] = []
    for one, two in zip(columns_of(subject, first), columns_of(subject, second), strict=True):
        if one.numbers is not None and two.numbers is not None:
            names.append(one.name)
            parts.append((one.numbers, two.numbers))
        elif one.codes is not None and two.codes is not None:
            for value in np.argsort(-np.bincount(one.codes), kind="stable")[:4].tolist():
                names.append(f"{one.name}, {'no known value' if value == 0 else f'value {value}'}")
                parts.append(((one.codes == value).astype(float), (two.codes == value).astype(float)))
        if len(names) >= MOST_FEATURES:
            break
    return names, np.stack([a for a, _ in parts], axis=1), np.stack([b for _, b in parts], axis=1)


def _sequence_features(sample: DataSample) -> Floats:
    x_NTF, length_N = sample.inputs[0].double(), sample.inputs[1].double()
    return torch.cat((length_N[:, None], x_NTF.sum(1) / length_N[:, None]), dim=1).numpy()


def _bags(first: DataSample, second: DataSample) -> tuple[list[str], Floats, Floats]:
    both = []
    kept = range(NUM_SPECIAL, NUM_SPECIAL + 40)  # UNKNOWN is rarer in training by construction
    for sample in (first, second):
        token_NT, length_N = sample.inputs[0], sample.inputs[1].double()
        share = torch.stack([(token_NT == code).sum(1) / length_N for code in kept], dim=1)
        both.append(torch.cat((length_N[:, None].log1p(), share), dim=1).numpy())
    return ["length", *(f"token {code}" for code in kept)], both[0], both[1]


def _moments(first_N: Floats, second_M: Floats) -> dict[str, float]:
    return {"mean": float(first_N.mean()), "mean_other": float(second_M.mean()), "std": float(first_N.std())}


def _name_change(first: Tensor, second: Tensor) -> dict[str, Any]:
    """The AUC that is left after each change has been undone."""
    base = _picture_features(first)
    square = first.shape[-1] == first.shape[-2]
    left = {}
    for name, undo in CHANGES.items():
        if (not square and ("90" in name or "transposed" in name)) or ("channels" in name and first.shape[1] == 1):
            continue
        left[name] = auc_between(base, _picture_features(undo(second)))[0]
    return left


def _unseen(subject: Subject, first: DataSample, second: DataSample) -> dict[str, float]:
    """Share of rows without a known category, by column, where training has none."""
    found = {}
    for one, two in zip(columns_of(subject, first), columns_of(subject, second), strict=True):
        if one.codes is not None and two.codes is not None and not (one.codes == 0).any() and (two.codes == 0).any():
            found[one.name] = float((two.codes == 0).mean())
    return found


def _target_drift(first: Tensor, second: Tensor) -> dict[str, float] | None:
    if first.is_floating_point() and not ((first == 0) | (first == 1)).all():
        gap_1, p_1 = distances(first.double().reshape(-1, 1).numpy(), second.double().reshape(-1, 1).numpy())
        return {"distance": float(gap_1[0]), "p": float(p_1[0])}
    if first.ndim > 1 and first.shape[1] > 1:
        return None
    strength, p = association(first.long().flatten().numpy(), second.long().flatten().numpy())
    return {"distance": strength, "p": p}
