"""Random changes of training images by name; each is switched on by its option in section `augment`."""

from __future__ import annotations

from limpid.catalogue.part import Catalogue, Part


def _change(name: str, what: str, source: str) -> Part:
    return Part(name=name, home="limpid.data.augment:build_augment", what=what, source=source)


AUGMENTATIONS: Catalogue[Part] = Catalogue(
    "augmentation",
    "augment",
    (
        _change("flip", "mirror left to right, every other image", "Krizhevsky et al. 2012"),
        _change("crop", "shift by some pixels", "LeCun et al. 1998; Krizhevsky et al. 2012"),
        _change("scale", "crops of a random share of the area, scaled up again", "Szegedy et al. 2014"),
        _change("rotation", "turn by some degrees", "Simard et al. 2003"),
        _change("translate", "shift by a share of the side, between pixels too", "LeCun et al. 1998"),
        _change("shear", "slant to the left or right", "LeCun et al. 1998; Simard et al. 2003"),
        _change("stretch", "scale height and width, each by its own factor", "LeCun et al. 1998"),
        _change("jitter", "change brightness, contrast and saturation", "Howard 2013"),
        _change("blur", "smooth by a Gaussian of random width", "Howard 2013; Chen et al. 2020 (arXiv 2002.05709)"),
        _change("noise", "add normal noise to every value", "Sietsma & Dow 1991"),
        _change("cutout", "erase a square", "DeVries & Taylor 2017 (arXiv 1708.04552)"),
        _change("mixup", "blend pairs of images and their labels", "Zhang et al. 2017 (arXiv 1710.09412)"),
        _change("cutmix", "paste a patch of another image, labels by area", "Yun et al. 2019 (arXiv 1905.04899)"),
    ),
)
