"""Images as pictures: empty ones, grey ones among coloured ones, and pixels in another order than the shape says.

    roughness = mean |difference of neighbouring pixels of one channel|
    order     = roughness when the memory is read as (H, W, C) / roughness as it is read

Neighbours of a photograph or drawing are alike. Below 1 the other reading makes more of a picture. Where noise hides
that, channels tell: those of one pixel mostly rise and fall together.

Shapes: N images, C channels, H x W pixels.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from limpid.probes.data_sample import name_rows, sample_training
from limpid.probes.subject import Subject

IMAGES = 256
SIDE = 32  # pixels of a side, to see whether an image shows anything
ROUGH_IMAGES = 16
LEAST_SIDE = 6  # pixels; smaller images have hardly any neighbours


def measure(subject: Subject) -> dict[str, Any] | None:
    """{n, flat, grey, order, ...}; None where inputs are no images."""
    if subject.inputs[0].ndim != 4 or (subject.spec is not None and subject.spec.kind not in ("image", "captions")):
        return None
    sample = sample_training(subject, IMAGES, side=SIDE)
    x = sample.inputs[0]
    flat_NV = x.flatten(1)
    flat_N = flat_NV.amax(1) == flat_NV.amin(1)
    values: dict[str, Any] = {
        "n": len(x),
        "shape": list(subject.inputs[0].shape[1:]),
        "flat": int(flat_N.sum()),
        "flat_rows": name_rows(subject, sample.position[flat_N]),
        "channels_last": _channels_last(subject.inputs[0]),
    }
    if x.shape[1] == 3:
        grey_N = ((x == x[:, :1]).flatten(1)).all(1)
        values |= {"grey": int(grey_N.sum()), "grey_rows": name_rows(subject, sample.position[grey_N])}
        values["channel_means"] = x.float().mean((0, 2, 3)).tolist()
    if x.shape[1] > 1 and min(subject.inputs[0].shape[2:]) >= LEAST_SIDE:
        few = subject.inputs[0][:ROUGH_IMAGES].contiguous().cpu().float()
        num, channels, height, width = few.shape
        other = few.reshape(num, height, width, channels).movedim(3, 1)
        rough = _roughness(few)
        values["order"] = _roughness(other) / rough if rough > 0 else None
        values["agreement"], values["agreement_other"] = _agreement(few), _agreement(other)
    return values


def _roughness(x: Tensor) -> float:
    across = (x[..., 1:] - x[..., :-1]).abs().mean()
    down = (x[..., 1:, :] - x[..., :-1, :]).abs().mean()
    return float(across + down)


def _agreement(x: Tensor) -> float:
    """Mean correlation of the channels of an image, pixel by pixel."""
    z_NCV = x.flatten(2)
    z_NCV = z_NCV - z_NCV.mean(2, keepdim=True)
    z_NCV = z_NCV / z_NCV.norm(dim=2, keepdim=True).clamp_min(1e-6)
    both_NCC = z_NCV @ z_NCV.transpose(1, 2)
    channels = x.shape[1]
    off = both_NCC.sum((1, 2)) - both_NCC.diagonal(dim1=1, dim2=2).sum(1)
    return float((off / (channels * (channels - 1))).mean())


def _channels_last(x: Tensor) -> bool:
    """Whether the shape is (N, H, W, C): a square in front, and a number of channels behind."""
    _, first, second, last = x.shape
    return last in (1, 3, 4) and first == second and first > 4 and last != second
