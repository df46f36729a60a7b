"""Scale, spread and holes of each input feature: as it comes, and as the network's body sees it.

    r = sqrt(mean^2 + std^2)      the size that first weights meet; they expect about 1

A feature is a column of a vector or table, a channel of images, a column of a series; other arrays are one feature.

Shapes: M values of each feature, F features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limpid.probes.data_sample import MOST_ROWS, behind_scale, finite_statistic, sample_split, sample_training
from limpid.probes.subject import Subject

MOST_FEATURES = 64  # described one by one: those whose size is farthest from 1
MOST_PIXELS = 32  # of a side, for statistics
IMAGES = 128  # their pixels are values enough
DRAWN = 1000  # values of a feature among which the different ones are counted
FEW_VALUES = 2  # a flag has so many; its mean and deviation say nothing of its scale
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d)


def measure(subject: Subject) -> dict[str, Any] | None:
    """Statistics of features; None for inputs that are whole numbers (tokens, categories)."""
    images = subject.spec is not None and subject.spec.kind in ("image", "captions")
    sample = sample_training(subject, IMAGES if images else MOST_ROWS, side=MOST_PIXELS if images else None)
    first = sample.inputs[0]
    pixels = first.dtype == torch.uint8
    if not pixels and not first.is_floating_point():
        return None
    kind = _kind(subject, first)
    lengths = sample.inputs[1] if kind == "series" and len(sample.inputs) > 1 else None
    seen = behind_scale(subject, _thin(first, kind))
    raw_MF = _features(_thin(first, kind), kind, lengths)
    seen_MF = raw_MF if seen.shape[1:] != _thin(first, kind).shape[1:] else _features(seen, kind, lengths)
    raw, body = _describe(raw_MF), _describe(seen_MF)
    names = _names(subject, raw_MF.shape[1])
    strain_F = body["size"].clamp_min(1e-12).log().abs()
    constant_F = raw["std"] == 0
    shown = torch.argsort(strain_F + 100.0 * constant_F, descending=True)[:MOST_FEATURES].sort().values
    features = [
        {
            "name": names[j],
            "mean": finite_statistic(body["mean"][j]),
            "std": finite_statistic(body["std"][j]),
            "raw_mean": finite_statistic(raw["mean"][j]),
            "raw_std": finite_statistic(raw["std"][j]),
            "distinct": int(raw["distinct"][j]),
            "common": float(raw["common"][j]),
        }
        for j in shown.tolist()
    ]
    dense_F = (raw["common"] < 0.5) & (raw["distinct"] > FEW_VALUES)
    values = {
        "kind": kind,
        "rows": len(first),
        "num_features": raw_MF.shape[1],
        "features": features,
        "not_finite": int((~torch.isfinite(first)).sum()) if first.is_floating_point() else 0,
        "largest": finite_statistic(seen_MF.abs().max()),
        "largest_raw": finite_statistic(raw_MF.abs().max()),
        "std_all": finite_statistic(seen_MF.std(correction=0)),
        "typical_std": finite_statistic(body["std"][dense_F].median()) if bool(dense_F.any()) else None,
        "equal_rows": bool((first == first[:1]).all()) if len(first) > 1 else False,
        "bytes": pixels,
        "shape": list(first.shape[1:]),
        "normalised_first": None,
    }
    if constant_F.any():
        values["constant"] = _constant(subject, names, constant_F, kind)
    if (strain_F > 1.0).any():
        values["normalised_first"] = isinstance(first_layer(subject), NORMS)
    return values


def first_layer(subject: Subject) -> nn.Module | None:
    """The first layer behind the scaling that computes anything when a row passes."""
    order = layer_order(subject)
    return order[0] if order else None


@torch.no_grad()
def layer_order(subject: Subject) -> list[nn.Module]:
    """The layers without layers of their own, in the order in which rows pass them."""
    order: list[nn.Module] = []
    scale = getattr(subject.network, "scale", None)
    leaves = [m for m in subject.network.modules() if not list(m.children()) and m is not scale]
    handles = [m.register_forward_hook(lambda module, *_: order.append(module)) for m in leaves]
    try:
        subject.network.eval()
        subject.answer(*(tensor[:2] for tensor in subject.inputs))
    finally:
        for handle in handles:
            handle.remove()
    return order


def _kind(subject: Subject, first: Tensor) -> str:
    if subject.spec is not None:
        return str(subject.spec.kind)
    return {2: "vector", 4: "image"}.get(first.ndim, "array")


def _thin(first: Tensor, kind: str) -> Tensor:
    """Fewer pixels of large images."""
    if kind not in ("image", "captions"):
        return first
    stride = -(-max(first.shape[-2:]) // MOST_PIXELS)
    return first[..., ::stride, ::stride] if stride > 1 else first


def _features(first: Tensor, kind: str, lengths_N: Tensor | None) -> Tensor:
    """(M, F) float32."""
    if kind in ("image", "captions") and first.ndim == 4:
        return first.movedim(1, -1).flatten(0, -2).float()
    if kind == "series" and first.ndim == 3:
        flat_MF = first.flatten(0, 1)
        if lengths_N is not None:
            inside_NT = torch.arange(first.shape[1]) < lengths_N.cpu().unsqueeze(1)
            flat_MF = flat_MF[inside_NT.flatten()]
        return flat_MF.float()
    return first.float() if first.ndim == 2 else first.float().reshape(-1, 1)


def _describe(x_MF: Tensor) -> dict[str, Tensor]:
    """mean, std, size, number of different values and share of the middle one, each (F,)."""
    std_F, mean_F = torch.std_mean(x_MF, dim=0, correction=0)
    drawn = np.random.default_rng(0).integers(0, len(x_MF), DRAWN) if len(x_MF) > DRAWN else np.arange(len(x_MF))
    few_MF = x_MF[torch.from_numpy(drawn)]
    ordered_MF = few_MF.sort(dim=0).values
    distinct_F = (ordered_MF[1:] != ordered_MF[:-1]).sum(0) + 1
    common_F = (few_MF == ordered_MF[len(ordered_MF) // 2]).float().mean(0)
    flat_F = (x_MF.amax(0) == x_MF.amin(0)) if len(x_MF) else torch.zeros_like(mean_F)
    std_F = torch.where(flat_F, 0.0, std_F)
    return {
        "mean": mean_F,
        "std": std_F,
        "size": (mean_F.square() + std_F.square()).sqrt(),
        "distinct": distinct_F,
        "common": common_F,
    }


def _names(subject: Subject, num: int) -> list[str]:
    named = () if subject.spec is None else subject.spec.feature_names
    return list(named) if len(named) == num else [f"feature {j}" for j in range(num)]


def _constant(subject: Subject, names: list[str], constant_F: Tensor, kind: str) -> list[dict[str, Any]]:
    """Features with one value in all training rows looked at, and the share of validation rows with others."""
    split = None if subject.dataset is None else subject.dataset.train
    places = constant_F.nonzero().flatten().tolist()
    if kind not in ("vector", "table") or split is None:
        return [{"name": names[j], "later": 0.0, "rows": 0} for j in places[:MOST_FEATURES]]
    valid = subject.dataset.valid if subject.dataset is not None else None
    whole_NF = sample_split(split, 20_000).inputs[0]
    later_NF = None if valid is None else sample_split(valid).inputs[0]
    found = []
    for j in places[:MOST_FEATURES]:
        value = whole_NF[0, j]
        if (whole_NF[:, j] == value).all():
            later = 0.0 if later_NF is None else (later_NF[:, j] != value).float().mean().item()
            found.append({"name": names[j], "later": later, "rows": len(whole_NF)})
    return found
