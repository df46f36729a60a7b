"""Random changes of training batches, on the device, as a function of (seed, epoch, index).

    flip, shifted crop -> scale crop, rotation, shear, stretch, translation in one resampling -> colour jitter -> blur
    -> noise -> cutout -> mixup or cutmix

All but the last leave the label alone. Evaluation never calls this. Each change reads random numbers of its own, so
that switching one off does not alter the others.

Shapes: B samples, C channels, H x W pixels, K classes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from limpid.config import AugmentConfig
from limpid.data.loader import Augment
from limpid.data.mixing import BetaQuantile, cutmix, mix_targets, mixup
from limpid.data.pixel_ops import ASPECT, add_noise, blur, cutout, jitter, log_uniform, shift_and_flip, warp
from limpid.data.shuffle import derive_seed, uniforms
from limpid.errors import ConfigError
from limpid.spec import DataSpec

# Columns of the random numbers.
FLIP, SHIFT, AREA, RATIO, PLACE, ANGLE, JITTER, HOLE, SHARE, PATCH, WHICH = 0, 1, 3, 4, 5, 7, 8, 11, 13, 14, 16
MOVE, SLANT, SIDES, WIDTH, NUM = 17, 19, 20, 22, 23

PIXEL_OPTIONS = (
    "flip",
    "crop",
    "scale",
    "rotation",
    "translate",
    "shear",
    "stretch",
    "jitter",
    "blur",
    "noise",
    "cutout",
    "cutmix",
)
PIXELS_STAY = ("jitter", "blur", "noise", "cutout")  # change values, and leave every pixel where it is


def build_augment(config: AugmentConfig, spec: DataSpec, seed: int) -> Augment | None:
    """The changes that are switched on, or None when none is.

    Raises ConfigError for an option that means nothing to this kind of data, or a crop as large as the image.
    """
    on = [name for name in AugmentConfig.model_fields if getattr(config, name) and (name, config.scale) != ("scale", 1)]
    if not on:
        return None
    if spec.kind != "image":
        wrong = [name for name in on if name in PIXEL_OPTIONS]
        if wrong:
            raise ConfigError(f"augment.{wrong[0]} changes images, but the data are of kind {spec.kind!r}.")
        if spec.cardinalities:
            raise ConfigError("augment.mixup cannot blend categories. Use --set data.encode=onehot, or leave it off.")
        return _Mixed(config, spec, seed)
    if spec.task == "tokens":
        moved = [name for name in on if name not in PIXELS_STAY]
        if moved:
            raise ConfigError(f"augment.{moved[0]} moves pixels and not their classes. Leave it out.")
    _, height, width = spec.input_shape
    if config.crop and config.crop >= min(height, width):
        raise ConfigError(
            f"augment.crop = {config.crop} pixels must be less than the side of the {height} x {width} images."
        )
    return _Images(config, spec, seed)


class _Mixed:
    """Mixup and cutmix."""

    def __init__(self, config: AugmentConfig, spec: DataSpec, seed: int) -> None:
        self.seed = derive_seed(seed, "augment")
        self.num_classes = spec.num_outputs
        self.mixup = BetaQuantile(config.mixup) if config.mixup else None
        self.cutmix = BetaQuantile(config.cutmix) if config.cutmix else None

    def __call__(
        self, inputs: tuple[Tensor, ...], target: Tensor, index: Tensor, epoch: int
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        u_BM = uniforms(self.seed, epoch, index, NUM)
        x, target = self.mix(self.change(inputs[0], u_BM, index, epoch), target, u_BM)
        return (x, *inputs[1:]), target

    def change(self, x: Tensor, u_BM: Tensor, index: Tensor, epoch: int) -> Tensor:
        return x

    def mix(self, x: Tensor, target: Tensor, u_BM: Tensor) -> tuple[Tensor, Tensor]:
        """One of the two for each sample: with both on, each with probability 1/2."""
        place_B2 = u_BM[:, PATCH : PATCH + 2]
        if self.mixup is not None:
            mixed, weight_B = mixup(x, self.mixup(u_BM[:, SHARE]))
            if self.cutmix is not None:
                pasted, pasted_weight_B = cutmix(x, self.cutmix(u_BM[:, SHARE]), place_B2)
                paste_B = u_BM[:, WHICH] < 0.5
                mixed = torch.where(paste_B[:, None, None, None], pasted, mixed)
                weight_B = torch.where(paste_B, pasted_weight_B, weight_B)
        elif self.cutmix is not None:
            mixed, weight_B = cutmix(x, self.cutmix(u_BM[:, SHARE]), place_B2)
        else:
            return x, target
        return mixed, mix_targets(target, weight_B, self.num_classes)


class _Images(_Mixed):
    """The changes of pixels, followed by mixing."""

    def __init__(self, config: AugmentConfig, spec: DataSpec, seed: int) -> None:
        super().__init__(config, spec, seed)
        self.config = config
        mean = torch.tensor(
            spec.scale_mean if len(spec.scale_mean) == spec.input_shape[0] else [0.0] * spec.input_shape[0]
        )
        self.mean = mean

    def change(self, x: Tensor, u_BM: Tensor, index: Tensor, epoch: int) -> Tensor:
        config = self.config
        border = config.crop or 0
        if config.flip or border:
            flip_B = u_BM[:, FLIP] < 0.5 if config.flip else None
            step_B2 = (u_BM[:, SHIFT : SHIFT + 2] * (2 * border + 1)).long() - border
            x = shift_and_flip(x, flip_B, step_B2[:, 0], step_B2[:, 1], border)
        bends = config.rotation or config.translate or config.shear or config.stretch
        if bends or (config.scale or 1.0) < 1.0:
            least = config.scale or 1.0
            area_B = least + (1.0 - least) * u_BM[:, AREA]
            ratio_B = log_uniform(u_BM[:, RATIO], *(ASPECT if least < 1.0 else (1.0, 1.0)))
            angle_B = (2.0 * u_BM[:, ANGLE] - 1.0) * math.radians(config.rotation or 0.0)
            place_B2 = u_BM[:, PLACE : PLACE + 2]
            if config.translate or config.shear or config.stretch:
                move_B2 = (config.translate or 0.0) * (2.0 * u_BM[:, MOVE : MOVE + 2] - 1.0)
                slant_B = ((2.0 * u_BM[:, SLANT] - 1.0) * math.radians(config.shear or 0.0)).tan()
                most = 1.0 + (config.stretch or 0.0)
                sides_B2 = log_uniform(u_BM[:, SIDES : SIDES + 2], 1.0 / most, most)
                x = warp(x, area_B, ratio_B, place_B2, angle_B, move_B2, slant_B, sides_B2)
            else:
                x = warp(x, area_B, ratio_B, place_B2, angle_B)
        if config.jitter:
            factor_B3 = 1.0 + config.jitter * (2.0 * u_BM[:, JITTER : JITTER + 3] - 1.0)
            x = jitter(x, factor_B3[:, 0], factor_B3[:, 1], factor_B3[:, 2])
        if config.blur:
            x = blur(x, config.blur * u_BM[:, WIDTH], config.blur)
        if config.noise:
            u_BN = uniforms(derive_seed(self.seed, "noise"), epoch, index, x[0].numel())
            x = add_noise(x, u_BN, config.noise)
        if config.cutout:
            fill = (self.mean * 255).round() if x.dtype == torch.uint8 else self.mean
            x = cutout(x, u_BM[:, HOLE : HOLE + 2], config.cutout, fill.to(x.device))
        return x
