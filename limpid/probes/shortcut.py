"""Does the trained network hang on one small part of its input? Parts are covered, one at a time, on validation rows.

A part of a picture is replaced by its mean over the rows, a column by that of other rows. Source: occlusion (Zeiler &
Fergus 2014) and permutation importance (Breiman 2001), over a whole set.

Shapes: M validation rows, C channels of H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from limpid.probes.flat_rows import choose_rows
from limpid.probes.slices import decision_errors
from limpid.probes.subject import Subject
from limpid.spec import DataSpec

VALID_ROWS = 256
GRID = 6  # a picture is covered in so many rows and columns of parts
MOST_COLUMNS = 64
LEAST_ROWS = 30


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """{n, error, constant, parts: [{name, share, border, error}]}: the error (see `slices`) with each part covered, the
    most costly first, with the share of the input that it is; None for other kinds of data.
    """
    dataset, spec, objective = subject.dataset, subject.spec, subject.objective
    if dataset is None or dataset.valid is None or spec is None or objective is None or spec.task == "tokens":
        return None
    if spec.kind not in ("image", "table", "vector") or len(dataset.valid) < LEAST_ROWS:
        return None
    index_M = choose_rows(dataset.valid, VALID_ROWS)
    inputs = tuple(tensor.to(subject.target.device) for tensor in dataset.valid.rows.take(index_M))
    target = dataset.valid.target[index_M]
    subject.network.eval()

    def error(changed: tuple[Tensor, ...]) -> float:
        decision = objective.predict(subject.answer(*changed).float()).cpu()
        return decision_errors(decision, target.cpu(), spec).mean().item()

    prior = objective.predict(objective.prior_outputs(target)).cpu()
    covered = _covered_pictures(inputs) if spec.kind == "image" else _shuffled_columns(inputs, spec)
    parts = [{**part, "error": error(changed)} for part, changed in covered]
    parts.sort(key=lambda part: -part["error"])
    constant = decision_errors(prior, target.cpu(), spec).mean().item()
    return {"n": len(index_M), "error": error(inputs), "constant": constant, "parts": parts[:8], "examined": len(parts)}


def _covered_pictures(inputs: tuple[Tensor, ...]) -> Iterator[tuple[dict[str, Any], tuple[Tensor, ...]]]:
    pictures_MCHW, *rest = inputs
    height, width = pictures_MCHW.shape[-2:]
    rows, columns = min(GRID, height), min(GRID, width)
    mean_CHW = pictures_MCHW.float().mean(dim=0).to(pictures_MCHW.dtype)
    for i in range(rows):
        for j in range(columns):
            top, bottom = i * height // rows, (i + 1) * height // rows
            left, right = j * width // columns, (j + 1) * width // columns
            changed = pictures_MCHW.clone()
            changed[..., top:bottom, left:right] = mean_CHW[..., top:bottom, left:right]
            name = f"rows {top} to {bottom - 1}, columns {left} to {right - 1}"
            border = i in (0, rows - 1) or j in (0, columns - 1)
            share = (bottom - top) * (right - left) / (height * width)
            yield {"name": name, "share": share, "border": border}, (changed, *rest)


def _shuffled_columns(
    inputs: tuple[Tensor, ...], spec: DataSpec
) -> Iterator[tuple[dict[str, Any], tuple[Tensor, ...]]]:
    order = torch.randperm(len(inputs[0]), generator=torch.Generator().manual_seed(0)).to(inputs[0].device)
    width = sum(part.shape[1] for part in inputs)
    for place, part in enumerate(inputs):
        names = spec.feature_names if place == 0 else spec.category_names
        for j in range(min(part.shape[1], MOST_COLUMNS)):
            changed = part.clone()
            changed[:, j] = part[order, j]
            name = names[j] if j < len(names) else f"column {j}"
            yield {"name": name, "share": 1 / width, "border": False}, (*inputs[:place], changed, *inputs[place + 1 :])
