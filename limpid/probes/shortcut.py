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
from limpid.probes.quick_rivals import as_columns, neighbour_answers
from limpid.probes.slices import decision_errors
from limpid.probes.subject import Subject
from limpid.spec import DataSpec

TRAIN_ROWS, VALID_ROWS = 1000, 256
GRID = 6  # a picture is covered in so many rows and columns of parts
MOST_COLUMNS = 64
LEAST_ROWS = 30


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """{n, error, constant, parts: [{name, share, border, error, alone}]}: the error (see `slices`) with each part
    covered, the most costly first, with the share of the input that it is; and of pictures of one class each the error
    of nearest neighbours that see nothing else. None for other kinds of data.
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

    told = _told_alone(subject, inputs[0]) if spec.kind == "image" else {}
    prior = objective.predict(objective.prior_outputs(target)).cpu()
    covered = _covered_pictures(inputs) if spec.kind == "image" else _shuffled_columns(inputs, spec)
    parts = [{**part, "error": error(changed), "alone": told.get(part["name"])} for part, changed in covered]
    parts.sort(key=lambda part: -part["error"])
    constant = decision_errors(prior, target.cpu(), spec).mean().item()
    return {"n": len(index_M), "error": error(inputs), "constant": constant, "parts": parts[:8], "examined": len(parts)}


def _covered_pictures(inputs: tuple[Tensor, ...]) -> Iterator[tuple[dict[str, Any], tuple[Tensor, ...]]]:
    pictures_MCHW, *rest = inputs
    height, width = pictures_MCHW.shape[-2:]
    mean_CHW = pictures_MCHW.float().mean(dim=0).to(pictures_MCHW.dtype)
    for name, (top, bottom, left, right) in _cells(pictures_MCHW).items():
        changed = pictures_MCHW.clone()
        changed[..., top:bottom, left:right] = mean_CHW[..., top:bottom, left:right]
        border = top == 0 or left == 0 or bottom == height or right == width
        share = (bottom - top) * (right - left) / (height * width)
        yield {"name": name, "share": share, "border": border}, (changed, *rest)


def _cells(pictures_MCHW: Tensor) -> dict[str, tuple[int, int, int, int]]:
    """(top, bottom, left, right) of the parts of a picture, by name."""
    height, width = pictures_MCHW.shape[-2:]
    rows, columns = min(GRID, height), min(GRID, width)
    found = {}
    for i in range(rows):
        for j in range(columns):
            top, bottom = i * height // rows, (i + 1) * height // rows
            left, right = j * width // columns, (j + 1) * width // columns
            found[f"rows {top} to {bottom - 1}, columns {left} to {right - 1}"] = (top, bottom, left, right)
    return found


def _told_alone(subject: Subject, pictures_MCHW: Tensor) -> dict[str, float]:
    """Error of nearest neighbours on each part alone, by its name."""
    dataset, spec = subject.dataset, subject.spec
    assert dataset is not None and dataset.valid is not None and spec is not None
    if spec.task not in ("classification", "binary"):
        return {}
    index_N, index_M = choose_rows(dataset.train, TRAIN_ROWS), choose_rows(dataset.valid, VALID_ROWS)
    known = dataset.train.rows.take(index_N)[0].cpu().float()
    asked = pictures_MCHW.cpu().float()
    target_NK = as_columns(dataset.train.target[index_N].cpu(), spec.task, spec.num_outputs)
    truth = dataset.valid.target[index_M].cpu().reshape(-1).long()
    errors = {}
    for name, (top, bottom, left, right) in _cells(pictures_MCHW).items():
        part, other = (p[..., top:bottom, left:right].flatten(1) for p in (known, asked))
        answer_MK = neighbour_answers(part, target_NK, other)
        guess = answer_MK.argmax(dim=1) if answer_MK.shape[1] > 1 else (answer_MK[:, 0] > 0.5).long()
        errors[name] = (guess != truth).double().mean().item()
    return errors


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
