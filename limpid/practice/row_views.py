"""One row for people: its picture, its text, its curve or the values of its columns.

Shapes: C channels of H x W pixels, T steps, F features.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.data.dataset import Dataset
from limpid.data.vocabulary import Vocabulary
from limpid.reporting.png import data_uri
from limpid.spec import DataSpec

LARGEST_SIDE = 112  # pixels, as large as the page shows it
MOST_VALUES = 40
MOST_POINTS = 200


def describe_row(dataset: Dataset, split: str, position: int) -> dict[str, Any]:
    """What the page shows of a row: `picture`, `text`, `line` or `values`, whatever suits the kind of data."""
    rows = (dataset.train if split == "train" or dataset.valid is None else dataset.valid).rows
    inputs = tuple(tensor[0].cpu() for tensor in rows.take(torch.tensor([position])))
    spec = dataset.spec
    if spec.kind == "image":
        return {"picture": picture_of(inputs[0])}
    if spec.kind == "text":
        return {"text": _text(inputs, spec)}
    if spec.kind == "series":
        length = int(inputs[1]) if len(inputs) > 1 else len(inputs[0])
        course = inputs[0][:length, 0]
        return {"line": course[:: max(1, length // MOST_POINTS)].tolist()}
    if spec.kind in ("table", "vector"):
        return {"values": _values(inputs, spec)}
    return {}


def picture_of(pixels_CHW: Tensor) -> str:
    """A picture as a data URI, made smaller where it is large; pixels that are not bytes are brought to their range."""
    values = pixels_CHW.float()
    if max(values.shape[-2:]) > LARGEST_SIDE:
        height, width = values.shape[-2:]
        ratio = LARGEST_SIDE / max(height, width)
        values = F.adaptive_avg_pool2d(values, (max(1, round(height * ratio)), max(1, round(width * ratio))))
    if pixels_CHW.is_floating_point() or (pixels_CHW.dtype == torch.uint8 and pixels_CHW.max() < 128):
        low = values.min() if pixels_CHW.is_floating_point() else torch.zeros(())
        values = 255 * (values - low) / (values.max() - low).clamp_min(1e-12)
    return data_uri(values.clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).numpy())


def _text(inputs: tuple[Tensor, ...], spec: DataSpec) -> str:
    state = spec.preparation.get("vocabulary")
    length = int(inputs[1]) if len(inputs) > 1 else len(inputs[0])
    tokens = inputs[0][:length].tolist()
    return Vocabulary.from_state(state).decode(tokens) if isinstance(state, dict) else " ".join(map(str, tokens))


def _values(inputs: tuple[Tensor, ...], spec: DataSpec) -> list[tuple[str, str]]:
    """Names and values of the columns; filled cells say that they were missing, one-hot columns only what is hot."""
    numbers = dict(zip(spec.feature_names, inputs[0].tolist(), strict=False))
    if not spec.feature_names:
        numbers = {f"x{i}": value for i, value in enumerate(inputs[0].tolist())}
    encoder = spec.preparation.get("encoder") or {}
    columns = {column["name"]: column for column in encoder.get("columns", ()) if isinstance(column, dict)}
    values: dict[str, str] = {}
    for name, value in numbers.items():
        column, equals, category = name.partition("=")
        if equals and column in columns:
            if value:
                values[column] = category
        elif name.endswith(" missing") and name.removesuffix(" missing") in columns:
            if value:
                values[name.removesuffix(" missing")] = "missing"
        else:
            values[name] = f"{value:.5g}" if math.isfinite(value) else str(value)
    if len(inputs) > 1:
        for name, code in zip(spec.category_names, inputs[1].tolist(), strict=False):
            known = columns.get(name, {}).get("values", ())
            values[name] = str(known[code - 1]) if 0 < code <= len(known) else "missing or rare"
    return list(values.items())[:MOST_VALUES]
