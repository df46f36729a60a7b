"""Images with a class for every pixel: targets are whole numbers of the images' own height and width.

Shapes: N images, C channels of H x W pixels, P = H W pixels row by row.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from limpid.config import DataConfig
from limpid.data.array_dataset import Array, Arrays, Index, scale_of, to_inputs
from limpid.data.dataset import Dataset, ResidentRows, Split
from limpid.data.folds import subset_of
from limpid.data.scaling import is_default
from limpid.data.split import split_indices, split_shares
from limpid.errors import DataError
from limpid.spec import DataSpec

UNASKED = -100  # target of a pixel that does not count; any negative class means it


def masks_dataset(arrays: Arrays, config: DataConfig, *, seed: int, name: str) -> Dataset:
    """Images (N, C, H, W) and classes (N, H, W), of which negative ones do not count, split at random.

    Raises DataError for inputs that are no images, and for targets of another size or that are no whole numbers.
    """
    kind, inputs = to_inputs(arrays.x)
    shape, y = tuple(inputs.shape[1:]), arrays.y
    if kind != "image" or y.shape[1:] != shape[1:] or y.dtype.kind not in "biu":
        raise DataError(
            f"{name}: targets of shape {y.shape} and dtype {y.dtype} for inputs of shape {tuple(inputs.shape)}. A "
            "class for every pixel takes images (N, channels, H, W) and whole numbers (N, H, W)."
        )
    if arrays.valid is not None or arrays.test is not None or config.split != "random" or not is_default(config):
        raise DataError(
            f"{name}: classes of pixels come in one part, split at random and scaled by channel. Leave out data.split, "
            "data.scale and further parts."
        )
    valid_share, test_share = split_shares(config, has_test=False)
    rows = split_indices(
        len(inputs), valid_share=valid_share, test_share=test_share, seed=seed, subset=subset_of(config)
    )
    asked = y[y >= 0]
    if asked.size == 0:
        raise DataError(f"{name}: every pixel's class is negative, so that none counts.")
    values = np.unique(asked)
    target_NP = torch.from_numpy(np.where(y < 0, UNASKED, np.searchsorted(values, y)).astype(np.int64)).flatten(1)

    def part(index: Index) -> Split | None:
        if len(index) == 0:
            return None
        at = torch.from_numpy(index)
        return Split(ResidentRows((inputs[at],)), target_NP[at], index=at)

    train, valid, test = rows
    train_split = part(train)
    assert train_split is not None
    mean, std = scale_of(inputs, kind, train)
    counts = dict(zip(("train", "valid", "test"), map(len, rows), strict=True))
    learned = train_split.target[train_split.target >= 0]
    preparation: dict[str, Any] = {"kind": "arrays", "dtype": str(inputs.dtype).removeprefix("torch.")}
    if inputs.dtype == torch.uint8:
        colour = "rgb" if shape[0] == 3 else "grey"
        preparation |= {"kind": "image", "size": list(shape[1:]), "colour": colour, "fit": config.fit}
    spec = DataSpec(
        name=name,
        kind="image",
        task="tokens",
        input_shape=shape,
        output_shape=(shape[1] * shape[2],),
        num_outputs=len(values),
        classes=tuple(map(str, values.tolist())),
        scale_mean=mean,
        scale_std=std,
        class_counts=tuple(torch.bincount(learned, minlength=len(values)).tolist()),
        num_train=counts["train"],
        num_valid=counts["valid"],
        num_test=counts["test"],
        preparation=preparation,
    )
    summary: dict[str, Any] = {
        "rows": len(inputs),
        "columns": [],
        "dropped": [],
        "notes": [*arrays.notes, f"inputs of shape {shape} are read as image, with a class for every pixel"],
        "split": counts | {"how": "random"},
        "task": "tokens",
        "task_reason": "targets of the images' own size: a class for every pixel",
        "target": [arrays.target_name],
    }
    return Dataset(spec, train_split, part(valid), lambda: part(test), _digest(arrays.x, y), summary)


def _digest(*arrays: Array) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr((array.shape, array.dtype.str)).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
