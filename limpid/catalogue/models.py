"""Architectures by name, from simple to complex. Any other name is looked for in torchvision and timm."""

from __future__ import annotations

from limpid.catalogue import convolutional, dense, inception, linear_family, residual, sequence, vision, whitened
from limpid.catalogue.model_part import ModelPart
from limpid.catalogue.part import Catalogue

MODELS: Catalogue[ModelPart] = Catalogue(
    "model",
    "model",
    (
        *linear_family.PARTS,
        *dense.PARTS,
        *convolutional.PARTS,
        *inception.PARTS,
        *whitened.PARTS,
        *residual.PARTS,
        *vision.PARTS,
        *sequence.PARTS,
    ),
)
