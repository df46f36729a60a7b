"""How numbers are brought to one range, learned from the training rows alone.

    standardise          z = (x - mean) / std                     population standard deviation
    minmax, symmetric    z in [0, 1], z in [-1, 1]                at the least and largest training value
    decorrelate          z = U' x                                 x centred, U the eigenvectors of its covariance U S U'
    whiten               z = (S + e)^-1/2 U' x                    e = 1e-5
    zca                  z = U (S + e)^-1/2 U' x                  the whitening that changes x least

The root of the eigenvalue, not the eigenvalue, makes unit variances: var z = S / (S + e). Columns of a table have units
of their own, so they are standardised before they are turned; pixels share one and are only centred. With `components`
only so many directions of largest variance are kept. A constant feature is centred and left at that.

The result goes into the spec; the network applies it on the device (models/network.py), and can undo it.

Shapes: N rows, F values of a sample (features, or C x H x W pixels), M components.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from limpid.config import DataConfig
from limpid.errors import ConfigError

TURNED = ("decorrelate", "whiten", "zca")
EPS = 1e-5
MOST_CELLS = 1 << 20  # of the matrix that is kept with the run, as text: some 10 MB
MOST_VALUES = 8192  # of a sample that is turned: its covariance takes 0.5 GB
CONSTANT = 1e-7  # spread below this share of the mean is rounding

# CIFAR-10, training images, values 0 to 1. Published pipelines mostly use the second row of deviations, which are means
# over the images of each image's own deviation; pooled over all pixels, as here, the deviations are the first.
CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2470, 0.2435, 0.2616)
CIFAR10_STD_WITHIN_IMAGES = (0.2023, 0.1994, 0.2010)

Pieces = Callable[[], Iterator[Tensor]]  # the training rows, some at a time; may be read twice


@dataclass(frozen=True)
class Scale:
    """What the spec keeps: z = ((x - mean) / std) R, with R left out where nothing is turned."""

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    rotation: tuple[tuple[float, ...], ...] = ()  # (F, M)
    shape: tuple[int, ...] = ()  # of z, where it is no longer that of x

    @property
    def turned(self) -> bool:
        return bool(self.rotation)


def is_default(config: DataConfig) -> bool:
    """Whether the plain rule holds: standardise, images per channel."""
    refuse_meaningless(config)
    return config.scale in ("auto", "standardise") and config.scale_per != "pixel"


def fit_scale(pieces: Pieces, config: DataConfig, *, image: bool) -> Scale:
    """Learn the configured scaling from the training rows, (n, F) or (n, C, H, W) at a time; bytes count as x / 255.

    Raises ConfigError for more values than can be turned.
    """
    refuse_meaningless(config)
    how = config.scale
    if how == "none":
        return Scale()
    if how in TURNED:
        return _fit_turned(pieces, how, config.components, image=image)
    per_channel = image and config.scale_per != "pixel"
    if how in ("minmax", "symmetric"):
        low, high = _extremes(pieces, per_channel)
        width = torch.where(high > low, high - low, 1.0)
        if how == "symmetric":
            return Scale(_plain((low + high) / 2), _plain(torch.where(high > low, width / 2, 1.0)))
        return Scale(_plain(low), _plain(width))
    mean, variance = _moments(pieces, per_channel)
    return Scale(_plain(mean), _plain(_safe_root(variance, mean)))


def turn(covariance_FF: Tensor, how: str, components: int | None) -> Tensor:
    """The matrix R, (F, M) or for zca (F, F), that turns centred rows: z = x R.

    Directions come by falling variance, each with its largest entry positive, so that the result does not depend on
    the library's choice of sign.
    """
    value_F, vector_FF = torch.linalg.eigh(covariance_FF.double())
    value_M, vector_FM = value_F.flip(0)[:components].clamp(min=0.0), vector_FF.flip(1)[:, :components]
    largest_M = vector_FM.gather(0, vector_FM.abs().argmax(0, keepdim=True))
    vector_FM = vector_FM * torch.where(largest_M < 0, -1.0, 1.0)
    if how == "decorrelate":
        return vector_FM
    white_FM = vector_FM / (value_M + EPS).sqrt()
    return white_FM if how == "whiten" else white_FM @ vector_FM.t()


def refuse_meaningless(config: DataConfig) -> None:
    """Raise ConfigError for options that would be passed over in silence."""
    if config.components is not None and config.scale not in TURNED:
        raise ConfigError(
            f"data.components = {config.components} needs directions to choose from: set data.scale=decorrelate, "
            "whiten or zca."
        )


def _fit_turned(pieces: Pieces, how: str, components: int | None, *, image: bool) -> Scale:
    num_values = next(pieces()).flatten(1).shape[1]
    num_kept = num_values if how == "zca" else min(components or num_values, num_values)
    if num_values > MOST_VALUES or num_values * num_kept > MOST_CELLS:
        most = 0 if num_values > MOST_VALUES or how == "zca" else MOST_CELLS // num_values
        advice = f"data.components={most} or fewer, or " if most else ""
        raise ConfigError(
            f"data.scale = {how} needs a matrix of {num_values:,} x {num_kept:,} numbers, which is too large. "
            f"Use {advice}fewer inputs (data.image_size, data.colour=grey, data.drop), or data.scale=standardise."
        )
    mean_F, variance_F = _moments(pieces, per_channel=False)
    std_F = torch.ones_like(mean_F) if image else _safe_root(variance_F, mean_F)
    covariance_FF = torch.zeros(num_values, num_values, dtype=torch.float64)
    count = 0
    for x in pieces():
        z = (_values(x).flatten(1) - mean_F) / std_F
        covariance_FF += z.t() @ z
        count += len(z)
    rotation_FM = turn(covariance_FF / count, how, components)
    rows = tuple(map(tuple, rotation_FM.float().tolist()))
    return Scale(_plain(mean_F), _plain(std_F), rows, () if how == "zca" else (num_kept,))


def _values(x: Tensor) -> Tensor:
    return x.double() / 255 if x.dtype == torch.uint8 else x.double()


def _moments(pieces: Pieces, per_channel: bool) -> tuple[Tensor, Tensor]:
    """Mean and population variance, in two passes; of each channel, or of each value, flat."""
    total, count = torch.zeros(()), 0
    for x in pieces():
        flat = _flat(x, per_channel)
        total, count = total + flat.sum(0), count + len(flat)
    mean = total / count
    squares = torch.zeros_like(mean)
    for x in pieces():
        squares += (_flat(x, per_channel) - mean).square().sum(0)
    return mean, squares / count


def _extremes(pieces: Pieces, per_channel: bool) -> tuple[Tensor, Tensor]:
    found = [(flat.amin(0), flat.amax(0)) for flat in (_flat(x, per_channel) for x in pieces())]
    lows, highs = zip(*found, strict=True)
    return torch.stack(lows).amin(0), torch.stack(highs).amax(0)


def _flat(x: Tensor, per_channel: bool) -> Tensor:
    """(n, C, H, W) as (n H W, C) per channel, anything as (n, F) otherwise."""
    values = _values(x)
    return values.movedim(1, -1).flatten(0, -2) if per_channel else values.flatten(1)


def _safe_root(variance: Tensor, mean: Tensor) -> Tensor:
    std = variance.sqrt()
    return torch.where(std <= CONSTANT * mean.abs(), 1.0, std)


def _plain(values: Tensor) -> tuple[float, ...]:
    return tuple(values.tolist())
